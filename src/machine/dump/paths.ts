// The paths and links of a recording. A path that is not known here is not in a dump: for a reader that
// asks for something new it has to be added, so that no reader can give a name away by accident.

import type { Masks } from './names.ts'

/** A pattern for paths, and for each of its groups the mask that replaces it. */
type Rule = [pattern: RegExp, ...groups: (keyof Masks)[]]

const STORE = '/nix/store/[0-9a-z]{32}-[^/]+'

const DEVICE = '/sys/bus/pci/devices/[0-9a-f:.]+'

/** By the sources of their patterns, each for the whole path. */
const RULES: readonly Rule[] = (
  [
    ['/(?:etc|proc|proc/(?:bus|self|sys|bus/input|sys/kernel))'],
    ['/proc/(?:cpuinfo|meminfo|cmdline|modules|iomem|swaps|self/mountinfo)'],
    ['/(?:proc/bus/input/devices|proc/sys/kernel/osrelease|etc/os-release|dev/kmsg)'],
    ['/proc/spl/kstat/zfs/([^/]+)/state', 'dataset'],
    // What the kernel and the firmware name.
    [`${DEVICE}(?:/(?:driver|driver/module|iommu_group|physfn|virtfn\\d+))?`],
    [
      `${DEVICE}/(?:vendor|device|class|subsystem_vendor|subsystem_device|revision|modalias|resource)`
    ],
    [`${DEVICE}/(?:boot_vga|reset_method|driver_override|numa_node|sriov_\\w+|power_state|rom)`],
    ['/sys/bus/usb/devices/[\\d.:-]+(?:/(?:idVendor|idProduct|busnum|devnum))?'],
    ['/sys/class/drm/[\\w-]+(?:/(?:device|status|enabled))?'],
    ['/sys/class/(?:bluetooth/hci\\d+|dmi/id/(?:board_name|chassis_type))'],
    ['/sys/firmware/(?:acpi|efi)(?:/[\\w.-]+)*'],
    ['/sys/kernel/(?:iommu_groups|mm)(?:/[\\w:.-]+)*'],
    ['/sys/class/firmware-attributes/asus-armoury/attributes/gpu_mux_mode/current_value'],
    ['/sys/devices/platform/asus-nb-wmi/gpu_mux_mode'],
    ['/sys/devices/(?:system/cpu/online|virtual/nvme-subsystem/nvme-subsys\\d+(?:/nvme\\d+)?)'],
    ['/sys/dev/block/\\d+:\\d+'],
    ['/run/udev/data/b\\d+:\\d+'],
    // What people name.
    ['/sys/class/net/([^/]+)(?:/operstate|/bridge|/bridge/stp_state)?', 'interface'],
    [
      '/sys/class/block/([^/]+)(?:/dev|/size|/ro|/removable|/dm|/dm/name|/dm/uuid|/bcache/set)?',
      'block'
    ],
    ['/sys/class/block/([^/]+)/device(?:/scsi_generic(?:/sg\\d+)?)?', 'block'],
    ['/sys/class/block/([^/]+)/(?:slaves|holders)', 'block'],
    ['/sys/class/block/([^/]+)/(?:slaves|holders)/([^/]+)', 'block', 'block'],
    ['/sys/fs/btrfs/([0-9a-f-]{36})(?:/devices)?', 'numbers'],
    ['/sys/fs/btrfs/([0-9a-f-]{36})/devices/([^/]+)', 'numbers', 'block'],
    ['/sys/fs/bcachefs/([0-9a-f-]{36})(?:/dev-\\d+|/dev-\\d+/block)?', 'numbers'],
    ['/dev/mapper/([^/]+)', 'mapping'],
    ['/dev/(?:disk|disk/by-[a-z]+|mapper|md|zvol|block)'],
    ['(/dev/.+)', 'device'],
    ['/run/(?:booted|current)-system'],
    ['/nix/var/nix/profiles/system(?:-\\d+-link)?'],
    ['/nix/var/nix/profiles/system-profiles/([^/]+?)(?:-\\d+-link)?', 'profile'],
    ['/lib/modules/([^/]+)/modules\\.alias', 'kernel'],
    [`(${STORE})(?:/(?:kernel|initrd|kernel-modules|kernel-params|specialisation))?`, 'numbers'],
    [`(${STORE})/specialisation/([^/]+)`, 'numbers', 'entry'],
    [`(${STORE})/lib/modules/([^/]+)/modules\\.alias`, 'numbers', 'kernel'],
    [`(${STORE})/(?:bzImage|zImage|Image|vmlinux|vmlinuz|lib/modules)`, 'numbers']
  ] as [string, ...(keyof Masks)[]][]
).map(([pattern, ...masks]): Rule => [new RegExp(`^${pattern}$`, 'd'), ...masks])

/** The path as it is in a dump; undefined for one that must not be in it. */
export function maskedPath(path: string, masks: Masks): string | undefined {
  for (const [pattern, ...groups] of RULES) {
    const found = pattern.exec(path)
    if (found) return replaced(path, found, groups, masks)
  }
  return undefined
}

function replaced(
  path: string,
  found: RegExpExecArray,
  groups: readonly (keyof Masks)[],
  masks: Masks
): string {
  let text = ''
  let end = 0
  for (const [i, mask] of groups.entries()) {
    const [from, to] = found.indices?.[i + 1] ?? [end, end]
    text += path.slice(end, from) + masks[mask](path.slice(from, to))
    end = to
  }
  return text + path.slice(end)
}

/** Where the link at a path leads, as it is in a dump. */
export function maskedTarget(path: string, target: string, masks: Masks): string {
  if (path.startsWith('/sys/')) return inSysfs(target, masks)
  if (path.startsWith('/dev/')) {
    const [, before = '', name = ''] = /^((?:\.\.\/)*|\/dev\/)(.*)$/.exec(target) ?? []
    return before + masks.device(`/dev/${name}`).slice('/dev/'.length)
  }
  if (/^system-\d+-link$/.test(target)) return target
  const profile = /^([^/]+)(-\d+-link)$/.exec(target)
  if (profile) return masks.profile(profile[1] ?? '') + profile[2]
  return (
    maskedPath(target, masks) ??
    new RegExp(`^${STORE}`).exec(masks.numbers(target))?.[0] ??
    'elsewhere'
  )
}

/** Below `net` and `block` are the names that a person may give. */
function inSysfs(target: string, masks: Masks): string {
  const parts = target.split('/')
  const at = (name: string) => (parts.includes(name) ? parts.indexOf(name) : parts.length)
  return parts
    .map((it, i) => {
      if (i > at('net')) return masks.interface(it)
      return i > at('block') ? masks.block(it) : masks.numbers(it)
    })
    .join('/')
}
