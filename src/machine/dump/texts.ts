// Reduces the files in a dump to the facts that vfio-patch reads from them.

import { matchingAliasLines } from '../read/pci.ts'
import { framebuffersIn } from '../read/systems.ts'
import type { Recording } from '../source.ts'
import type { Masks, Placeholders } from './names.ts'

interface Reduction {
  masks: Masks
  /** The kernel parameters of a text, on one line. */
  parameters: (text: string) => string
  /** The modaliases of all devices. */
  modaliases: readonly string[]
  /** True if the recording has this block device. */
  hasBlock: (name: string) => boolean
}

/** The text of a file in the dump. */
export function reducedText(path: string, text: string, at: Reduction): string {
  const { masks } = at
  switch (path) {
    case '/proc/cpuinfo':
      return processor(text)
    case '/proc/meminfo':
      return linesWith(text, /^MemTotal:/)
    case '/etc/os-release':
      return release(text)
    case '/proc/cmdline':
      return at.parameters(text)
    case '/proc/self/mountinfo':
      return mounts(text, at)
    case '/proc/swaps':
      return swaps(text, masks)
    case '/proc/bus/input/devices':
      return inputs(text, masks)
    case '/proc/modules':
      return joinLines((text.match(/^[^ \n]+/gm) ?? []).filter(isKnownModule))
    case '/proc/sys/kernel/osrelease':
      return `${masks.kernel(text.trim())}\n`
    case '/proc/iomem':
      return framebufferLines(text)
    case '/dev/kmsg':
      return log(text)
    default:
      return byName(path, text, at)
  }
}

function byName(path: string, text: string, at: Reduction): string {
  const { masks } = at
  if (path.startsWith('/run/udev/data/')) return udevFacts(text, masks)
  switch (path.slice(path.lastIndexOf('/') + 1)) {
    case 'kernel-params':
      return at.parameters(text)
    case 'modules.alias':
      return matchingAliasLines(text, at.modaliases)
    case 'driver_override':
      return /^(?:|\(null\))$/.test(text.trim()) ? text : `${masks.driver(text.trim())}\n`
    case 'name':
      return /\/dm\/name$/.test(path) ? `${masks.mapping(text.trim())}\n` : text
    case 'uuid':
      return /\/dm\/uuid$/.test(path) ? `${KIND_OF_MAPPING.exec(text)?.[0] ?? ''}\n` : text
    default:
      return masks.identifiers(text)
  }
}

/** The kind of a mapping in its `dm/uuid`, which also contains names. */
const KIND_OF_MAPPING = /^(?:part\d+-)?(?:CRYPT|LVM|mpath|DMRAID)\b/

/** The lines of udev's data with the content of a block device and the pool of a ZFS member. */
function udevFacts(text: string, masks: Masks): string {
  const pool = /^E:ID_FS_LABEL=(.+)$/m.exec(text)?.[1]
  const isMember = /^E:ID_FS_TYPE=zfs_member$/m.test(text)
  const label = isMember && pool !== undefined ? [`E:ID_FS_LABEL=${masks.dataset(pool)}\n`] : []
  return [...label, linesWith(text, /^E:ID_FS_TYPE=\w*$/)].join('')
}

function joinLines(kept: readonly string[]): string {
  return kept.map(it => `${it}\n`).join('')
}

function linesWith(text: string, pattern: RegExp): string {
  return joinLines(text.split('\n').filter(it => pattern.test(it)))
}

/** The facts about the first processor, with only the flags that matter. */
function processor(text: string): string {
  const [first = ''] = text.split('\n\n')
  const kept = linesWith(first, /^(?:vendor_id|model name|flags)\s*:/)
  return kept.replace(/^(flags\s*: *)(.*)$/m, (_, name: string, all: string) => {
    const flags = all.split(' ').filter(it => /^(?:vmx|svm|pdpe1gb|hypervisor)$/.test(it))
    return name + flags.join(' ')
  })
}

/** The release of NixOS; empty for other systems, because a derivative's name may identify the user. */
function release(text: string): string {
  return linesWith(text, /^(?:ID=(?:"?nixos"?)|VERSION_ID="?\d+\.\d+"?)$/)
}

/** The devices whose framebuffer is in use, without memory addresses. */
function framebufferLines(text: string): string {
  return [...framebuffersIn(text)].map(it => `0-0 : ${it}\n  0-0 : BOOTFB\n`).join('')
}

/** The kernel version, which shows that the log is complete, and the message of the ACS override patch. */
function log(text: string): string {
  const found = text.match(/\bLinux version \d[\d.]*|PCIe ACS overrides enabled/g) ?? []
  return joinLines([...new Set(found)])
}

/** The mounts of file systems on disks, with masked names. */
function mounts(text: string, { masks, hasBlock }: Reduction): string {
  const kept = text.split('\n').flatMap(line => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , number = '', , point = ''] = before.split(' ')
    const [type = '', from = ''] = after.split(' ')
    const isPool = /^(?:btrfs|zfs|bcachefs)$/.test(type)
    const sources = from.split(':').filter(it => it.startsWith('/dev/'))
    const isOnDisk =
      /^(?!0:)\d+:\d+$/.test(number) || isPool || sources.some(it => hasBlock(it.slice(5)))
    if (!isOnDisk) return []
    const devices = sources.map(it => masks.device(it)).join(':') || 'none'
    const origin = type === 'zfs' ? masks.dataset(from) : devices
    return [`${number} / ${masks.mount(point)} rw - ${type.replace(/\..*$/, '')} ${origin} rw`]
  })
  return joinLines(kept.map((it, i) => `${i} 0 ${it}`))
}

function swaps(text: string, masks: Masks): string {
  const [head = '', ...rest] = text.split('\n')
  const kept = rest.flatMap(line => {
    const [, path, kind, more = ''] = /^(\S+)\s+(partition|file)(\s.*)?$/.exec(line) ?? []
    if (path === undefined) return []
    const masked = masks.swap(path)
    const gap = line.slice(path.length, line.indexOf(kind ?? '', path.length))
    return [masked === path ? line : `${masked}${gap}${kind}${more}`]
  })
  return joinLines([head, ...kept])
}

/** Input devices with masked names; product names are kept. */
function inputs(text: string, masks: Masks): string {
  return text
    .split('\n')
    .filter(it => it === '' || /^(?:N: Name|S: Sysfs|H: Handlers|B: EV|B: KEY)=/.test(it))
    .map(it => {
      const name = /^N: Name="?(.*?)"?$/s.exec(it)?.[1]
      return name === undefined ? it : `N: Name="${masks.input(name)}"`
    })
    .join('\n')
}

/** The drivers and modules in the recording's symlinks, with underscores. */
export function namedDrivers(recording: Recording): Set<string> {
  const found = new Set(['vfio_pci'])
  for (const [path, entry] of recording) {
    if (typeof entry === 'object' && 'link' in entry && /\/driver(?:\/module)?$/.test(path)) {
      found.add(entry.link.slice(entry.link.lastIndexOf('/') + 1).replaceAll('-', '_'))
    }
  }
  return found
}

// Kernel parameters. A dump has only those that matter for passthrough, and masks user-chosen values.

function wordSet(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/))
}

/** Modules that vfio-patch's checks use, with underscores. */
const KNOWN_MODULES =
  wordSet(`vfio vfio_pci vfio_pci_core vfio_iommu_type1 vfio_virqfd vfio_mdev mdev kvm kvm_amd kvm_intel kvmfr kvmgt
   irqbypass pci_stub xen_pciback amdgpu radeon nouveau nova_core nova_drm nvidia nvidia_drm nvidia_modeset
   nvidia_uvm nvidia_peermem nvidia_vgpu_vfio nvidiafb i2c_nvidia_gpu i915 xe snd_hda_intel snd_hda_codec_hdmi
   vendor_reset simpledrm efifb vesafb nvme ahci xhci_pci xhci_hcd ehci_pci`)

/** True for a module name that doesn't identify a machine. */
function isKnownModule(name: string): boolean {
  return KNOWN_MODULES.has(name.replaceAll('-', '_'))
}

const RELEVANT_PARAMETERS =
  wordSet(`intel_iommu amd_iommu amd_iommu_intr iommu iommu.passthrough iommu.strict iommu.forcedac pci pcie_aspm
   pcie_acs_override pcie_ports pcie_port_pm pci_pt_e820_access video initcall_blacklist nomodeset hugepages
   hugepagesz default_hugepagesz hugetlb_free_vmemmap module_blacklist modprobe.blacklist rd.driver.blacklist
   acpi acpi_osi acpi_enforce_resources acpi_backlight acpi_rev_override acpi_sleep isolcpus quiet`)

/** Common module options. */
const KNOWN_MODULE_OPTIONS =
  wordSet(`ids disable_idle_d3 disable_vga disable_denylist enable_sriov nointxmask ignore_msrs report_ignored_msrs nested
   avic npt ept mmu halt_poll_ns allow_unsafe_interrupts dma_entry_limit static_size_mb modeset fbdev hdmi_deepcolor
   atomic config runpm dc dpm aspm gpu_recovery ppfeaturemask si_support cik_support sg_display dcdebugmask bapm
   audio enable_guc enable_gvt enable_psr enable_fbc enable_dc fastboot force_probe max_vfs probe_vf
   guc_firmware_path power_save power_save_controller enable index model probe_mask dmic_detect default_ps_max_latency_us`)

function isRelevantName(name: string): boolean {
  const [module = ''] = name.split('.')
  return RELEVANT_PARAMETERS.has(name) || (name.includes('.') && isKnownModule(module))
}

/** Words that are kept in values, in addition to numbers and module names. */
const KNOWN_VALUE_WORDS =
  wordSet(`on off yes no y n pt nopt soft force strict lax auto ask none default native vendor video verbose igfx_off sm_on sm_off
   sp_off forcedac fullflush nofullflush nobypass merge nomerge pgtbl_v1 pgtbl_v2 noats nomsi noaer nocrs use_crs
   realloc assign-busses hpp big_root_window downstream multifunction id compat performance powersave
   powersupersave sysfb_init simpledrm_platform_driver_init efifb_init vesafb_init domain managed_irq nohz
   vesa efi uefi simplefb inteldrmfb amdgpudrmfb nouveaufb map ywrap Linux Windows s3_bios s3_mode deep`)

/** `16G`, `1920x1080`, `0-3`, `0xffff`, and connector names. */
const NUMERIC_VALUE =
  /^(?:-?\d[\d.x/-]*[kKMGT]?[mMRieDd]*|0x[0-9a-f]+|(?:e?DP|HDMI(?:-[AB])?|DVI-[ADI]|VGA|LVDS|DSI|Virtual)-\d+)$/i

/** A part of a device ID, as in `vfio-pci.ids=`. */
const ID_PART = /^(?:[0-9a-f]{4}|[0-9a-f]{6,8})$/i

/** The kernel parameters to keep, with placeholders for unknown words in values. `drivers` is from `namedDrivers`. */
export function keptParameters(
  text: string,
  drivers: ReadonlySet<string>,
  names: Placeholders
): string[] {
  const isKnown = (word: string) =>
    KNOWN_VALUE_WORDS.has(word) || isKnownModule(word) || drivers.has(word.replaceAll('-', '_'))
  const word = (it: string, areIDs: boolean) => {
    const isKept =
      it === '' || NUMERIC_VALUE.test(it) || isKnown(it) || (areIDs && ID_PART.test(it))
    return isKept ? it : names.of('value', it)
  }
  return text
    .split(/\s+/)
    .map(it => /^("?)([^=]*)(=?)(.*)$/s.exec(it) ?? [])
    .filter(([, , name = '']) => isRelevantName(name))
    .map(([, quote = '', name = '', equals = '', value = '']) => {
      const parts = value.split(/([,;:=@!"]+)/)
      const values = parts
        .map((part, i) => (i % 2 === 1 ? part : word(part, name.endsWith('.ids'))))
        .join('')
      return quote + withKnownOption(name, names) + equals + values
    })
}

function withKnownOption(name: string, names: Placeholders): string {
  const [module = '', ...rest] = name.split('.')
  const option = rest.join('.')
  const isKnown =
    RELEVANT_PARAMETERS.has(name) ||
    KNOWN_MODULE_OPTIONS.has(option) ||
    /^NVreg_[A-Z]\w{2,40}$/.test(option)
  return isKnown || rest.length === 0 ? name : `${module}.${names.of('value', option)}`
}
