// Writes a machine to a few text files that users can review before sending them.

import { groupBy } from '../../collections.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { DUMP_HEADER } from '../messages.ts'
import { type Recording, type RecordingEntry, recordedText } from '../source.ts'
import { type Masks, masksFor, type NameKind, placeholdersFor } from './names.ts'
import { keptParameters, namedDrivers, reducedText } from './texts.ts'

/**
 * The texts of a dump by file name, one for each top-level folder (`sys.txt`, `proc.txt`, …), and the number of
 * replaced names of each kind. Omits or replaces everything that identifies a machine: serial numbers, UUIDs, hardware
 * addresses, user-chosen names.
 *
 * A line is `PATH = TEXT` for a file, `PATH -> TARGET` for a symlink, or `PATH/` for a folder from which nothing was
 * read. A text with several lines follows `PATH =`, and each of its lines is indented with a tab.
 */
export function makeDump(recording: Recording): {
  texts: Map<string, string>
  replaced: ReadonlyMap<NameKind, number>
} {
  const reduced = withoutIdentity(recording)
  const entries = [...reduced.recording].sort(([a], [b]) => (a < b ? -1 : 1))
  const listed = entries.filter(([path, entry], i) => {
    const isAround = entry === 'folder' && entries[i + 1]?.[0].startsWith(`${path}/`)
    // In a dump, a path ends at the first space. No path that is read contains one.
    return !isAround && !/\s/.test(path)
  })
  const files = groupBy(listed, ([path]) => `${path.split('/')[1]}.txt`)
  const texts = [...files].map(([name, own]): [string, string] => {
    const lines = own.flatMap(([path, entry]) => entryLines(path, entry))
    return [name, `${[DUMP_HEADER, ...lines].join('\n')}\n`]
  })
  return { texts: new Map(texts), replaced: reduced.replaced }
}

function entryLines(path: string, entry: RecordingEntry): string[] {
  if (entry === 'folder') return [`${path}/`]
  if ('link' in entry) return [`${path} -> ${entry.link}`]
  const text = entry.text.replace(/\n$/, '')
  return text.includes('\n')
    ? [`${path} =`, ...text.split('\n').map(it => `\t${it}`)]
    : [`${path} = ${text}`]
}

/** Parses the texts of a dump. The error is the first invalid line. */
export function parseDump(texts: Iterable<string>): Result<Recording, string> {
  const recording: Recording = new Map()
  for (const text of texts) {
    let long: string | undefined
    for (const line of text.split('\n')) {
      if (line.startsWith('\t') && long !== undefined) {
        const before = recordedText(recording.get(long)) ?? ''
        recording.set(long, { text: `${before}${line.slice(1)}\n` })
        continue
      }
      long = undefined
      if (line === '' || line.startsWith('#')) continue
      const found = /^(\/\S*?)(?: = (.*)|( =)| -> (.*)|(\/))$/.exec(line)
      const [, path, content, begins, link] = found ?? []
      if (path === undefined) return err(line)
      if (begins !== undefined) long = path
      if (link !== undefined) recording.set(path, { link })
      else if (content !== undefined) recording.set(path, { text: `${content}\n` })
      else recording.set(path, begins === undefined ? 'folder' : { text: '' })
    }
  }
  return ok(recording)
}

/**
 * Removes everything that identifies a machine from a recording: user-chosen names, serial numbers, UUIDs, hardware
 * addresses. The same name gets the same placeholder everywhere. Apart from names, vfio-patch reads the same facts as
 * from the original. Idempotent. `replaced` is the number of replaced names of each kind.
 */
export function withoutIdentity(recording: Recording): {
  recording: Recording
  replaced: ReadonlyMap<NameKind, number>
} {
  const names = placeholdersFor(recording)
  const drivers = namedDrivers(recording)
  const masks = masksFor(recording, names, drivers)
  const parameters = (text: string) => keptParameters(text, drivers, names).join(' ')
  const differing = differingParameters(recording, parameters)
  const at = {
    masks,
    parameters: (text: string) => {
      const kept = parameters(text)
      const other = differing.has(text.trim()) ? [names.of('other', text.trim())] : []
      return `${[kept, ...other].filter(it => it !== '').join(' ')}\n`
    },
    modaliases: textsAt(recording, '/modalias').map(it => it.trim()),
    hasBlock: (name: string) => recording.has(`/sys/class/block/${name}`)
  }
  const reduced: Recording = new Map()
  for (const [path, entry] of recording) {
    if (/^\/sys\/class\/block\/(?:loop|ram|zram)\d+(?:\/|$)/.test(path)) continue
    const masked = maskedPath(path, masks)
    if (masked === undefined) continue
    reduced.set(
      masked,
      entry === 'folder'
        ? entry
        : 'link' in entry
          ? { link: maskedTarget(path, entry.link, masks) }
          : { text: reducedText(path, entry.text, at) }
    )
  }
  return { recording: reduced, replaced: names.counts() }
}

function textsAt(recording: Recording, end: string): string[] {
  return [...recording].flatMap(([path, it]) =>
    path.endsWith(end) ? (recordedText(it) ?? []) : []
  )
}

/**
 * The kernel parameters of systems that differ only in omitted parts. The dump must keep the difference, because it
 * decides whether a change takes effect only after a reboot.
 */
function differingParameters(
  recording: Recording,
  parameters: (text: string) => string
): Set<string> {
  const texts = [...new Set(textsAt(recording, '/kernel-params').map(it => it.trim()))]
  const isSame = (a: string, b: string) => a !== b && parameters(a) === parameters(b)
  return new Set(texts.filter(it => texts.some(other => isSame(it, other))))
}

// The paths and symlinks that a dump may contain. A dump omits all other paths, so that new code can't reveal a name by
// accident. If new code reads other paths, add them to PATH_RULES.

/** A pattern for paths, and the mask for each of its groups. */
type Rule = [pattern: RegExp, ...groups: (keyof Masks)[]]

const STORE_PATH = '/nix/store/[0-9a-z]{32}-[^/]+'

const PCI_DEVICE_FOLDER = '/sys/bus/pci/devices/[0-9a-f:.]+'

/** The patterns match whole paths. */
const PATH_RULES: readonly Rule[] = (
  [
    ['/(?:etc|proc|proc/(?:bus|self|sys|bus/input|sys/kernel))'],
    ['/proc/(?:cpuinfo|meminfo|cmdline|modules|iomem|swaps|self/mountinfo)'],
    ['/(?:proc/bus/input/devices|proc/sys/kernel/osrelease|etc/os-release|dev/kmsg)'],
    ['/proc/spl/kstat/zfs/([^/]+)/state', 'dataset'],
    // Names given by the kernel and the firmware.
    [`${PCI_DEVICE_FOLDER}(?:/(?:driver|driver/module|iommu_group|physfn|virtfn\\d+))?`],
    [
      `${PCI_DEVICE_FOLDER}/(?:vendor|device|class|subsystem_vendor|subsystem_device|revision|modalias|resource)`
    ],
    [
      `${PCI_DEVICE_FOLDER}/(?:boot_vga|reset_method|driver_override|numa_node|sriov_\\w+|power_state|rom)`
    ],
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
    // Names given by users.
    ['/sys/class/net/([^/]+)(?:/operstate|/bridge|/bridge/stp_state)?', 'interface'],
    [
      '/sys/class/block/([^/]+)(?:/dev|/size|/ro|/removable|/dm|/dm/name|/dm/uuid|/bcache/set)?',
      'block'
    ],
    ['/sys/class/block/([^/]+)/device(?:/scsi_generic(?:/sg\\d+)?)?', 'block'],
    ['/sys/class/block/([^/]+)/(?:slaves|holders)', 'block'],
    ['/sys/class/block/([^/]+)/(?:slaves|holders)/([^/]+)', 'block', 'block'],
    ['/sys/fs/btrfs/([0-9a-f-]{36})(?:/devices)?', 'identifiers'],
    ['/sys/fs/btrfs/([0-9a-f-]{36})/devices/([^/]+)', 'identifiers', 'block'],
    ['/sys/fs/bcachefs/([0-9a-f-]{36})(?:/dev-\\d+|/dev-\\d+/block)?', 'identifiers'],
    ['/dev/mapper/([^/]+)', 'mapping'],
    ['/dev/(?:disk|disk/by-[a-z]+|mapper|md|zvol|block)'],
    ['(/dev/.+)', 'device'],
    ['/run/(?:booted|current)-system'],
    ['/nix/var/nix/profiles/system(?:-\\d+-link)?'],
    ['/nix/var/nix/profiles/system-profiles/([^/]+?)(?:-\\d+-link)?', 'profile'],
    ['/lib/modules/([^/]+)/modules\\.alias', 'kernel'],
    [
      `(${STORE_PATH})(?:/(?:kernel|initrd|kernel-modules|kernel-params|specialisation))?`,
      'identifiers'
    ],
    [`(${STORE_PATH})/specialisation/([^/]+)`, 'identifiers', 'entry'],
    [`(${STORE_PATH})/lib/modules/([^/]+)/modules\\.alias`, 'identifiers', 'kernel'],
    [`(${STORE_PATH})/(?:bzImage|zImage|Image|vmlinux|vmlinuz|lib/modules)`, 'identifiers']
  ] as [string, ...(keyof Masks)[]][]
).map(([pattern, ...masks]): Rule => [new RegExp(`^${pattern}$`, 'd'), ...masks])

/** The path as a dump has it; undefined if the dump must not contain it. */
function maskedPath(path: string, masks: Masks): string | undefined {
  for (const [pattern, ...groups] of PATH_RULES) {
    const found = pattern.exec(path)
    if (found) return withMaskedGroups(path, found, groups, masks)
  }
  return undefined
}

function withMaskedGroups(
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

/** The target of the symlink at `path`, as a dump has it. */
function maskedTarget(path: string, target: string, masks: Masks): string {
  if (path.startsWith('/sys/')) return maskedSysfsTarget(target, masks)
  if (path.startsWith('/dev/')) {
    const [, before = '', name = ''] = /^((?:\.\.\/)*|\/dev\/)(.*)$/.exec(target) ?? []
    return before + masks.device(`/dev/${name}`).slice('/dev/'.length)
  }
  if (/^system-\d+-link$/.test(target)) return target
  const profile = /^([^/]+)(-\d+-link)$/.exec(target)
  if (profile) return masks.profile(profile[1] ?? '') + profile[2]
  return (
    maskedPath(target, masks) ??
    new RegExp(`^${STORE_PATH}`).exec(masks.identifiers(target))?.[0] ??
    'elsewhere'
  )
}

/** Masks a symlink target in sysfs, where users can choose the names below `net` and `block`. */
function maskedSysfsTarget(target: string, masks: Masks): string {
  const parts = target.split('/')
  const at = (name: string) => (parts.includes(name) ? parts.indexOf(name) : parts.length)
  return parts
    .map((it, i) => {
      if (i > at('net')) return masks.interface(it)
      return i > at('block') ? masks.block(it) : masks.identifiers(it)
    })
    .join('/')
}
