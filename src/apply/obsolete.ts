import { bindingsOf } from '../lints/bindings.ts'
import type { EntryItem, EntryText, View } from '../lints/configuration.ts'
import { viewsOf } from '../lints/configuration.ts'
import { type Fix, type LintCode, lint } from '../lints/index.ts'
import type { NixDocument } from '../nix/index.ts'
import { placeOf } from '../nix/text/lines.ts'
import { parseDevice, parseDeviceNode } from '../vfio/parseSettings.ts'
import type { Settings } from '../vfio/settings.ts'
import type { Wanted } from '../vfio/wanted.ts'

/** A value of old guides that gives way to an option of ours, or to nothing. */
export interface Obsolete {
  code: LintCode | 'IDS_MOVED' | 'ACL_MOVED'
  /** The line that it stands in. */
  line: number
  /** What is wrong with it, in one sentence without a final period. */
  message: string
  fix: Fix
  /** What `virtualisation.vfio.devices` and `virtualisation.libvirtd.deviceACL` get for it. */
  devices?: readonly string[]
  deviceACL?: readonly string[]
}

/**
 * The findings that are replaced without being asked for: with our modules they do nothing, do harm, or
 * stop the build. What could be meant (`onShutdown`, the order of modules) is not among them.
 */
const REPLACED: readonly LintCode[] = [
  'AMD_IOMMU_PT',
  'EFIFB_OFF',
  'OVMF_OPTION',
  'PARAMETERS_IN_ONE',
  'PCI_NOMSI',
  'RENAMED_OPTION',
  'VIRQFD'
]

/** What in a configuration gives way when ours comes, in the order of the text. */
export function obsoleteIn(doc: NixDocument, release: string | undefined): Obsolete[] {
  const files = [{ path: '', doc }]
  const facts = { ours: true, ...(release === undefined ? {} : { release }) }
  const found = lint(files, facts).flatMap((it): (Obsolete & { start: number })[] => {
    if (it.fix === undefined || !REPLACED.includes(it.code)) return []
    const { code, message, fix, range } = it
    return [{ code, message, fix, line: placeOf(doc.text, range.start).line, start: range.start }]
  })
  const [system] = viewsOf(files, facts)
  const moved = system ? [...movedIDs(doc, system), ...movedLists(doc, system)] : []
  return [...found, ...moved]
    .sort((a, b) => a.start - b.start)
    .map(({ start: _, ...obsolete }) => obsolete)
}

type Placed = Obsolete & { start: number }

/** IDs in kernel parameters and in options of the module: ours come as a parameter, and one would win. */
function movedIDs(doc: NixDocument, view: View): Placed[] {
  return bindingsOf(view).flatMap((binding): Placed[] => {
    const { at, range, lists, isOurs } = binding
    const ids = lists.flatMap(it => it.text.split(',')).map(parseDevice)
    const devices = ids.flatMap(it => (it.ok ? [it.value] : []))
    if (isOurs || !isCertain(at) || devices.length === 0 || devices.length < ids.length) return []
    const line = doc.text.slice(range.start, range.end)
    // Whole items and whole lines only: what else they say has to stay.
    const whole = /^(?:"vfio[-_]pci\.ids=[^\s"$]*"|options\s+vfio[-_]pci\s+ids=[^\s$]*)$/.test(line)
    if (!whole) return []
    const path = at.entry.fullPath
    return [
      {
        code: 'IDS_MOVED',
        line: placeOf(doc.text, range.start).line,
        start: range.start,
        message: `IDs for vfio-pci stand in ${path.join('.')}, and only those of one place count`,
        fix: [{ op: 'remove', path, items: [line.replace(/^"(.*)"$/, '$1')] }],
        devices
      }
    ]
  })
}

// libvirt's own, which our module writes, too; of the last two no libvirt of today knows.
const OF_LIBVIRT =
  /^\/dev\/(?:null|full|zero|random|urandom|ptmx|kvm|userfaultfd|kqemu|rtc|hpet|vfio\/(?:vfio|\d+))$/

/** A `cgroup_device_acl` that was made by hand: with ours the key would stand there twice. */
function movedLists(doc: NixDocument, view: View): Placed[] {
  return view.texts('virtualisation.libvirtd.qemu.verbatimConfig').flatMap((at): Placed[] => {
    const found = /^[ \t]*cgroup_device_acl[ \t]*=[ \t]*\[([^\]]*)\][ \t]*$/m.exec(at.text)
    const devices = [...(found?.[1] ?? '').matchAll(/"([^"]*)"/g)].map(it => it[1] ?? '')
    if (!found || !isCertain(at) || !devices.every(it => parseDeviceNode(it).ok)) return []
    const start = at.start + found.index + found[0].search(/\S/)
    const indent = indentOf(at.text)
    const items = found[0].split('\n').map(it => it.slice(indent))
    return [
      {
        code: 'ACL_MOVED',
        line: placeOf(doc.text, start).line,
        start,
        message: 'cgroup_device_acl is written by virtualisation.libvirtd.deviceACL',
        fix: [{ op: 'remove', path: at.entry.fullPath, items }],
        deviceACL: devices.filter(it => !OF_LIBVIRT.test(it))
      }
    ]
  })
}

/** The blanks that Nix takes off every line of an indented string. */
function indentOf(text: string): number {
  const lines = text.split('\n').filter(it => it.trim() !== '')
  return Math.min(...lines.map(it => it.search(/\S/)))
}

/** Whether it counts in any case. */
function isCertain(at: EntryItem | EntryText): boolean {
  return at.conditions.length === 0 && at.entry.conditions.length === 0
}

/**
 * The options that get what moves. Devices that a person names take the place of those that stood
 * elsewhere.
 */
export function wantedFor(moved: readonly Obsolete[], settings: Settings): Wanted[] {
  const devices = moved.flatMap(it => it.devices ?? [])
  const deviceACL = moved.flatMap(it => it.deviceACL ?? [])
  const isChosen = settings.devices !== undefined || settings.addresses !== undefined
  const option = (names: readonly string[], items: readonly string[]): Wanted[] =>
    items.length === 0
      ? []
      : [{ kind: 'items', path: ['virtualisation', ...names], items: [...new Set(items)] }]
  return [
    ...option(['vfio', 'devices'], isChosen ? [] : devices),
    ...option(['libvirtd', 'deviceACL'], deviceACL)
  ]
}
