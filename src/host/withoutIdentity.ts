import { linesAbout } from './readAliases.ts'
import { framebuffersIn } from './readKernel.ts'
import type { Entry, Recording } from './source.ts'

/**
 * The recording without what would tell one machine of a kind from another. Every reader finds in it
 * what it finds in the whole one.
 */
export function withoutIdentity(recording: Recording): Recording {
  const mask = masker()
  const modaliases = [...recording].flatMap(([path, it]) =>
    path.endsWith('/modalias') && typeof it === 'object' && 'text' in it ? [it.text.trim()] : []
  )
  const reduced: Recording = new Map()
  for (const [path, entry] of recording) {
    if (/^\/sys\/class\/block\/(?:loop|ram|zram)\d+$/.test(path)) continue
    reduced.set(mask(path), masked(path, entry, mask, modaliases))
  }
  return reduced
}

function masked(
  path: string,
  entry: Entry,
  mask: (text: string) => string,
  modaliases: readonly string[]
): Entry {
  if (entry === 'folder') return entry
  if ('link' in entry) return { link: mask(entry.link) }
  const isAliases = path.endsWith('/modules.alias')
  const text = isAliases ? linesAbout(entry.text, modaliases) : reduce(path, entry.text)
  return { text: mask(text) }
}

/** Replaces what is unique by numbers, the same by the same one everywhere. */
function masker(): (text: string) => string {
  const known = new Map<string, number>()
  const numberOf = (it: string) => {
    const key = it.toLowerCase()
    const number = known.get(key) ?? known.size + 1
    known.set(key, number)
    return String(number)
  }
  return text =>
    text
      .replace(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, it => {
        return `00000000-0000-0000-0000-${numberOf(it).padStart(12, '0')}`
      })
      .replace(/\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/gi, it => {
        return `00:00:00:00:00:${numberOf(it).padStart(2, '0')}`
      })
      .replace(/\b(enx|wlx)([0-9a-f]{12})\b/g, (_, kind, it) => {
        return `${kind}${numberOf(it).padStart(12, '0')}`
      })
      .replace(/\/nix\/store\/([0-9a-z]{32})-(nixos-system)?([^/\s]*)/g, (_, it, system, name) => {
        // A system is called by the name of its host.
        return `/nix/store/${numberOf(it).padStart(32, '0')}-${system ?? name}`
      })
}

function reduce(path: string, text: string): string {
  switch (path) {
    case '/proc/cpuinfo':
      return processor(text)
    case '/proc/meminfo':
      return linesWith(text, /^MemTotal:/)
    case '/etc/os-release':
      return linesWith(text, /^(?:ID|VERSION_ID)=/)
    case '/proc/cmdline':
      return parameters(text)
    case '/proc/self/mountinfo':
      return mounts(text)
    case '/proc/bus/input/devices':
      return inputs(text)
    case '/proc/modules':
      return linesWith(text, MODULES).replace(/ .*$/gm, '')
    case '/proc/iomem':
      return framebuffers(text)
    case '/dev/kmsg':
      return log(text)
    default:
      if (path.endsWith('/kernel-params')) return parameters(text)
      return path.startsWith('/run/udev/data/') ? linesWith(text, /^E:ID_FS_TYPE=/) : text
  }
}

function linesWith(text: string, pattern: RegExp): string {
  const lines = text.split('\n').filter(it => pattern.test(it))
  return lines.map(it => `${it}\n`).join('')
}

/** One processor is as good as all. */
function processor(text: string): string {
  const [first = ''] = text.split('\n\n')
  return linesWith(first, /^(?:vendor_id|model name|flags)\s*:/).replace(
    /^(flags\s*: *)(.*)$/m,
    (_, name, flags: string) =>
      name +
      flags
        .split(' ')
        .filter(it => ['vmx', 'svm', 'pdpe1gb', 'hypervisor'].includes(it))
        .join(' ')
  )
}

const TELLING =
  /iommu|^vfio|^pci|^video=|^initcall_blacklist=|^nomodeset$|^kvm|hugepages|^(?:amdgpu|nvidia|nouveau|nova|radeon|i915|xe|snd_hda_intel)|blacklist=|^acpi|^isolcpus=|^quiet$/

function parameters(text: string): string {
  return `${text
    .split(/\s+/)
    .filter(it => TELLING.test(it))
    .join(' ')}\n`
}

const MODULES =
  /^(?:vfio|kvm|irqbypass|amdgpu|nvidia|nouveau|nova|radeon|i915|xe|snd_hda_intel|vendor_reset)/

/** The devices that the kernel draws on, without where their memory is. */
function framebuffers(text: string): string {
  return [...framebuffersIn(text)].map(it => `0-0 : ${it}\n  0-0 : BOOTFB\n`).join('')
}

/** Whether it is whole, and what a patch for ACS says. */
function log(text: string): string {
  const found = text.match(/\bLinux version \d[\d.]*|PCIe ACS overrides enabled/g) ?? []
  return [...new Set(found)].map(it => `${it}\n`).join('')
}

const KNOWN_POINTS =
  /^\/(?:boot(?:\/efi)?|efi|home|nix(?:\/store|\/persist)?|persist|root|srv|tmp|usr|var(?:\/(?:lib|log|tmp))?)?$/

/** Only what lies on disks, under names that say nothing. */
function mounts(text: string): string {
  const lines = text.split('\n').flatMap((line, i) => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , number = '', , point = ''] = before.split(' ')
    const [type = '', from = ''] = after.split(' ')
    const onDisk = !number.startsWith('0:') || /^(?:btrfs|zfs|bcachefs)$/.test(type)
    if (!onDisk || number === '') return []
    const plain = KNOWN_POINTS.test(point) ? point : `/mnt/${i}`
    const origin = type === 'zfs' ? 'pool' : from
    return [`${i} 0 ${number} / ${plain} rw - ${type} ${origin} rw\n`]
  })
  return lines.join('')
}

/** Names stay, unless they are somebody's. */
function inputs(text: string): string {
  return text
    .split('\n')
    .filter(it => it === '' || /^(?:N: Name|S: Sysfs|H: Handlers|B: EV|B: KEY)=/.test(it))
    .map(it => (/^N: Name=.*['’]/.test(it) ? 'N: Name="input"' : it))
    .join('\n')
}
