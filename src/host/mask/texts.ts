// What of each file goes into a dump: as much as its reader takes, and no more.

import { linesAbout } from '../readAliases.ts'
import { framebuffersIn } from '../readKernel.ts'
import type { Recording } from '../source.ts'
import type { Masks } from './names.ts'
import { isKnownModule } from './parameters.ts'

/** What texts are reduced by. */
export interface Circumstances {
  masks: Masks
  /** The kernel parameters of a text, on one line. */
  parameters: (text: string) => string
  /** The modaliases of all devices. */
  modaliases: readonly string[]
  /** Whether the recording has this block device. */
  hasBlock: (name: string) => boolean
}

/** The text of the file at this path as it goes into the dump. */
export function reducedText(path: string, text: string, at: Circumstances): string {
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
      return linesOf(
        lines(text)
          .map(it => it.split(' ')[0] ?? '')
          .filter(isKnownModule)
      )
    case '/proc/sys/kernel/osrelease':
      return `${masks.kernel(text.trim())}\n`
    case '/proc/iomem':
      return framebuffers(text)
    case '/dev/kmsg':
      return log(text)
    default:
      return byName(path, text, at)
  }
}

function byName(path: string, text: string, at: Circumstances): string {
  const { masks } = at
  if (path.startsWith('/run/udev/data/')) return udevFacts(text, masks)
  switch (path.slice(path.lastIndexOf('/') + 1)) {
    case 'kernel-params':
      return at.parameters(text)
    case 'modules.alias':
      return linesAbout(text, at.modaliases)
    case 'driver_override':
      return /^(?:|\(null\))$/.test(text.trim()) ? text : `${masks.driver(text.trim())}\n`
    case 'name':
      return /\/dm\/name$/.test(path) ? `${masks.mapping(text.trim())}\n` : text
    case 'uuid':
      return /\/dm\/uuid$/.test(path) ? `${KIND_OF_MAPPING.exec(text)?.[0] ?? ''}\n` : text
    default:
      return masks.numbers(text)
  }
}

/** What a mapping is for; its name and that of its volume follow. */
const KIND_OF_MAPPING = /^(?:part\d+-)?(?:CRYPT|LVM|mpath|DMRAID)\b/

/** What is on a block device, and of a member of ZFS its pool. */
function udevFacts(text: string, masks: Masks): string {
  const pool = /^E:ID_FS_LABEL=(.+)$/m.exec(text)?.[1]
  const isMember = /^E:ID_FS_TYPE=zfs_member$/m.test(text)
  const label = isMember && pool !== undefined ? [`E:ID_FS_LABEL=${masks.dataset(pool)}\n`] : []
  return [...label, linesWith(text, /^E:ID_FS_TYPE=\w*$/)].join('')
}

function lines(text: string): string[] {
  return text.split('\n')
}

function linesOf(kept: readonly string[]): string {
  return kept.map(it => `${it}\n`).join('')
}

function linesWith(text: string, pattern: RegExp): string {
  return linesOf(lines(text).filter(it => pattern.test(it)))
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

/** A system that is made of NixOS may have a name of its own. */
function release(text: string): string {
  return linesWith(text, /^(?:ID=(?:"?nixos"?)|VERSION_ID="?\d+\.\d+"?)$/)
}

/** The devices that the kernel draws on, without where their memory is. */
function framebuffers(text: string): string {
  return [...framebuffersIn(text)].map(it => `0-0 : ${it}\n  0-0 : BOOTFB\n`).join('')
}

/** Whether it is whole, and what a patch for ACS says. */
function log(text: string): string {
  const found = text.match(/\bLinux version \d[\d.]*|PCIe ACS overrides enabled/g) ?? []
  return linesOf([...new Set(found)])
}

/** Only what lies on disks, under names that say nothing. */
function mounts(text: string, { masks, hasBlock }: Circumstances): string {
  const kept = lines(text)
    .filter(it => it !== '')
    .flatMap(line => {
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
  return linesOf(kept.map((it, i) => `${i} 0 ${it}`))
}

function swaps(text: string, masks: Masks): string {
  const [head = '', ...rest] = lines(text)
  const kept = rest.flatMap(line => {
    const [, path, kind, more = ''] = /^(\S+)\s+(partition|file)(\s.*)?$/.exec(line) ?? []
    if (path === undefined) return []
    const masked = masks.swap(path)
    const gap = line.slice(path.length, line.indexOf(kind ?? '', path.length))
    return [masked === path ? line : `${masked}${gap}${kind}${more}`]
  })
  return linesOf([head, ...kept])
}

/** Names stay that makers give; those of people do not. */
function inputs(text: string, masks: Masks): string {
  return lines(text)
    .filter(it => it === '' || /^(?:N: Name|S: Sysfs|H: Handlers|B: EV|B: KEY)=/.test(it))
    .map(it => {
      const name = /^N: Name="?(.*?)"?$/s.exec(it)?.[1]
      return name === undefined ? it : `N: Name="${masks.input(name)}"`
    })
    .join('\n')
}

/** The names of drivers and modules that a recording cannot do without, with underscores. */
export function driversIn(recording: Recording): Set<string> {
  const found = new Set(['vfio_pci'])
  for (const [path, entry] of recording) {
    if (typeof entry === 'object' && 'link' in entry && /\/driver(?:\/module)?$/.test(path)) {
      found.add(entry.link.slice(entry.link.lastIndexOf('/') + 1).replaceAll('-', '_'))
    }
  }
  return found
}
