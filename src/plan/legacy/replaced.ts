import { defined } from '../../collections.ts'
import { haveDifferentIDs, type IDPlace, idPlaces, isUnconditional } from '../../lints/bindings.ts'
import { type Fix, type LintCode, lint, planFixes } from '../../lints/index.ts'
import { qemuConfList } from '../../lints/libvirt.ts'
import { type BootEntryView, type DefinitionString, valueText, viewsOf } from '../../lints/view.ts'
import { nixError } from '../../nix/errors.ts'
import { expr, type NixDocument, type NixError, type Plan, type Range } from '../../nix/index.ts'
import { moveOffset } from '../../nix/text/edits.ts'
import { type Place, placeOf } from '../../nix/text/lines.ts'
import { LIBVIRTD, namedID, type OptionChange, VFIO } from '../../settings/options.ts'
import { parseDevice, parseDeviceNode } from '../../settings/parse.ts'
import type { Settings } from '../../settings/settings.ts'
import type { ExpectedDevice } from '../../settings/values.ts'
import {
  aclMoved,
  efifbReplaced,
  idsMoved,
  keyWrittenTwice,
  otherIDs
} from '../messages/replaced.ts'

/** A setting of an old guide that is removed or moved into one of vfio-patch's options. */
export interface ObsoleteSetting extends Place {
  code: LintCode | 'IDS_MOVED' | 'ACL_MOVED'
  /** What is wrong with it, without a final period. */
  message: string
  fix: Fix
  /** Whether it is kept because it is outside the specialisation that the run changes. */
  isOutside: boolean
  /** The items that it adds to `virtualisation.vfio.devices` and `virtualisation.libvirtd.deviceACL`. */
  devices?: readonly string[]
  deviceACL?: readonly string[]
}

/**
 * The findings that `apply` fixes by default: with vfio-patch's modules, these settings have no effect, do harm, or
 * stop the build. Settings that may be intended (`onShutdown`, the order of modules) are omitted.
 */
const REPLACED_CODES: readonly LintCode[] = [
  'AMD_IOMMU_PT',
  'EFIFB_OFF',
  'HUGEPAGES_1M',
  'OVMF_OPTION',
  'PARAMETERS_IN_ONE',
  'PCI_NOMSI',
  'RENAMED_OPTION',
  'VIRQFD'
]

/** Findings that can hide others, so they are fixed first. */
const CODES_FIXED_FIRST: readonly ObsoleteSetting['code'][] = [
  'PARAMETERS_IN_ONE',
  'RENAMED_OPTION'
]

/**
 * The obsolete settings in a configuration, in the order in which their fixes have to be planned. `prefix` is
 * the path of the specialisation that the options are written to; empty for every boot entry.
 */
export function obsoleteSettingsIn(
  doc: NixDocument,
  release: string | undefined,
  prefix: readonly string[] = []
): ObsoleteSetting[] {
  const found = placedIn(doc, release, prefix)
  // A parameter that shares a string with others can be removed only after the string is split, and an option with an
  // old name only after it is renamed.
  const first = found.filter(it => CODES_FIXED_FIRST.includes(it.code))
  const planned = planFixes(
    doc,
    first.map(it => it.fix)
  )
  const { plan, refused } = planned.ok ? planned.value : { plan: undefined, refused: [] }
  const done = plan ? first.filter((_, i) => !refused.some(it => it.index === i)) : []
  const next = plan?.changed === true ? doc.edited(plan.edits) : doc
  const rest = placedIn(next, release, prefix)
  const originalOffset = ({ start, end }: Placed) => {
    // A parameter that was split off has no place of its own in the original text, so search it in its string.
    const source = next.text.slice(start, end).replace(/^"(.*)"$/, '$1')
    const split = done.filter(it => it.code === 'PARAMETERS_IN_ONE')
    const origin = split.find(it => doc.text.slice(it.start, it.end).includes(source))
    return origin && !doc.text.includes(next.text.slice(start, end))
      ? doc.text.indexOf(source, origin.start)
      : moveOffset(plan?.inverse ?? [], start)
  }
  const inside = [...doc.getIn(prefix), ...doc.getBelow(prefix)].map(it => it.binding)
  const all = [...done, ...rest.map(it => ({ ...it, start: originalOffset(it) }))]
  return all.map(({ start, end: _, ...obsolete }) => {
    const isOutside = prefix.length > 0 && !inside.some(at => at.start <= start && start < at.end)
    return { ...obsolete, ...placeOf(doc.text, start), isOutside }
  })
}

type Placed = Omit<ObsoleteSetting, 'isOutside' | keyof Place> & Range

/** The obsolete settings in source order. */
function placedIn(
  doc: NixDocument,
  release: string | undefined,
  [, specialisation = '']: readonly string[]
): Placed[] {
  const files = [{ path: '', doc }]
  const facts = { importsModules: true, ...defined({ release }) }
  const found = lint(files, facts).flatMap(({ code, message, fix, range }): Placed[] => {
    if (fix === undefined || !REPLACED_CODES.includes(code)) return []
    const isEfifb = code === 'EFIFB_OFF'
    const source = doc.text.slice(range.start, range.end)
    return [{ code, message: isEfifb ? efifbReplaced(source) : message, fix, ...range }]
  })
  // The view of a specialisation includes the settings that it inherits.
  const views = viewsOf(files, facts)
  const view = views.find(it => it.name === specialisation) ?? views[0]
  const moved = view ? [...movedIDs(view), ...movedLists(view)] : []
  return [...found, ...moved].sort((a, b) => a.start - b.start)
}

/** IDs in kernel parameters and module options: vfio-patch's modules write IDs too, but only one list takes effect. */
function movedIDs(view: BootEntryView): Placed[] {
  return idPlaces(view).flatMap(({ at, range, lists, isDeviceOption }): Placed[] => {
    const ids = lists.flatMap(it => it.text.split(',')).map(parseDevice)
    const devices = ids.flatMap(it => (it.ok ? [it.value] : []))
    const line = at.definition.file.doc.text.slice(range.start, range.end)
    const isRead = devices.length > 0 && devices.length === ids.length && WHOLE_IDS.test(line)
    if (isDeviceOption || !isRead || !isUnconditional(at)) return []
    const path = at.definition.fullPath
    return [
      {
        code: 'IDS_MOVED',
        ...range,
        message: idsMoved(path.join('.')),
        fix: [{ op: 'remove', path, items: [line.replace(/^"(.*)"$/, '$1')] }],
        devices
      }
    ]
  })
}

// Matches only whole items and whole lines, because other contents must be kept.
const WHOLE_IDS = /^(?:"vfio[-_]pci\.ids=[^\s"$]*"|options\s+vfio[-_]pci\s+ids=[^\s$]*)$/

// libvirt's default list, which vfio-patch's module includes. Current versions no longer have rtc and hpet.
const LIBVIRT_DEFAULT_DEVICE =
  /^\/dev\/(?:null|full|zero|random|urandom|ptmx|kvm|userfaultfd|kqemu|rtc|hpet|vfio\/(?:vfio|\d+))$/

/** Each `cgroup_device_acl` in the user's text: vfio-patch's modules would write the key a second time. */
function movedLists(view: BootEntryView): Placed[] {
  return view.stringsIn('virtualisation.libvirtd.qemu.verbatimConfig').flatMap((at): Placed[] => {
    const list = qemuConfList(at.text, 'cgroup_device_acl')
    if (!list?.isPlain || !list.isClosed || !isUnconditional(at)) return []
    // With escapes, the lines of the string differ from the lines of its source text.
    if (at.node.type === 'string_expression' && at.node.text.includes('\\')) return []
    const { items: devices } = list
    const isAlone = /^[ \t]*$/m.exec(at.text.slice(list.end))?.index === 0
    if (!isAlone || !devices.every(it => parseDeviceNode(it).ok)) return []
    const start = at.start + list.key
    const fix = withoutLines(view, at, at.text.lastIndexOf('\n', list.key) + 1, list.end)
    if (!fix) return []
    return [
      {
        code: 'ACL_MOVED',
        start,
        end: at.start + list.end,
        message: aclMoved(),
        fix,
        deviceACL: devices.filter(it => !LIBVIRT_DEFAULT_DEVICE.test(it))
      }
    ]
  })
}

/**
 * The fix that removes the lines between two offsets of a string. Removing a line by its text removes every equal line.
 * So if one of the lines is repeated elsewhere, such as the bracket of another list, the fix sets the whole option
 * instead; undefined if that is impossible because the option's value is more than the string.
 */
function withoutLines(
  view: BootEntryView,
  at: DefinitionString,
  from: number,
  to: number
): Fix | undefined {
  const { definition, node, text, start } = at
  const path = definition.fullPath
  const removed = text.slice(from, to).split('\n')
  const others = view
    .stringsIn(definition.path.join('.'))
    .filter(it => it.node.start !== node.start)
  const rest = [text.slice(0, from), text.slice(to), ...others.map(it => it.text)].join('\n')
  const kept = new Set(rest.split('\n').map(it => it.trim()))
  if (!removed.some(it => kept.has(it.trim()))) {
    const indent = indentOf(text)
    return [{ op: 'remove', path, items: removed.map(it => it.slice(indent)) }]
  }
  const source = node.text
  const isWhole = valueText(definition) === source && definition.file.doc.getIn(path).length === 1
  if (!isWhole) return undefined
  const cut = (offset: number) => start - node.start + offset
  const end = text.indexOf('\n', to)
  const value = source.slice(0, cut(from)) + source.slice(cut(end === -1 ? to : end + 1))
  return [{ op: 'set', path, value: expr(value) }]
}

/** The number of spaces that Nix strips from every line of an indented string. */
function indentOf(text: string): number {
  const lines = text.split('\n').filter(it => it.trim() !== '')
  return Math.min(...lines.map(it => it.search(/\S/)))
}

/**
 * The changes that add moved values to options. Devices in the settings replace the moved devices. `byAddress` has the
 * IDs that devices of the host have too, each with the devices to pass through; `names` has device names by ID.
 */
export function changesFor(
  moved: readonly ObsoleteSetting[],
  { devices, addresses, addsDevices }: Settings,
  names: ReadonlyMap<string, string>,
  byAddress: ReadonlyMap<string, readonly ExpectedDevice[]> = new Map()
): OptionChange[] {
  const isChosen = (devices ?? addresses) !== undefined && addsDevices !== true
  const ids = isChosen ? [] : [...new Set(moved.flatMap(it => it.devices ?? []))]
  const byID = ids.filter(it => !byAddress.has(it)).map(it => namedID(it, names))
  const places = ids.flatMap(it => byAddress.get(it) ?? [])
  const deviceACL = new Set(moved.flatMap(it => it.deviceACL ?? []))
  return [
    { kind: 'items', path: [...VFIO, 'devices'], items: byID },
    { kind: 'items', path: [...VFIO, 'addresses'], items: places.map(it => ({ ...it })) },
    { kind: 'items', path: [...LIBVIRTD, 'deviceACL'], items: [...deviceACL] }
  ]
}

// Settings that conflict with vfio-patch's options: with them, vfio-patch's modules stop the build.

interface Conflict {
  code: 'CONFLICT'
  range: Range
  message: string
  hint: string
}

/**
 * The first setting, in any boot entry, that conflicts with an option only after these edits. Ignores conflicts that
 * the text already had, and conditional settings.
 */
export function conflictAfter(before: NixDocument, { edits, inverse }: Plan): NixError | undefined {
  const after = before.edited(edits)
  const sourceOf = (doc: NixDocument, { start, end }: Range) => doc.text.slice(start, end)
  const earlier = conflictsIn(before).map(it => sourceOf(before, it.range))
  const conflict = conflictsIn(after).find(it => !earlier.includes(sourceOf(after, it.range)))
  if (!conflict) return undefined
  const original = (offset: number) => moveOffset(inverse, offset)
  const range = { start: original(conflict.range.start), end: original(conflict.range.end) }
  return nixError(before.text, { ...conflict, range })
}

function conflictsIn(doc: NixDocument): Conflict[] {
  const views = viewsOf([{ path: '', doc }], { importsModules: true })
  return views.flatMap(view => [...idsIn(view), ...keysIn(view)])
}

/** The settings whose IDs differ from those in vfio-patch's options. */
function idsIn(view: BootEntryView): Conflict[] {
  const bindings = idPlaces(view)
  const vfio = bindings.find(it => it.isDeviceOption)
  const isBound =
    view.definitionsWith('virtualisation.vfio.enable', true).length > 0 &&
    view.definitionsWith('virtualisation.vfio.bindAtBoot', false).length === 0
  if (!vfio || !isBound) return []
  const isOther = (it: IDPlace) =>
    !it.isDeviceOption && isUnconditional(it.at) && haveDifferentIDs(it, vfio, bindings)
  return bindings.filter(isOther).map(({ range }) => ({ ...otherIDs(), range }))
}

/** The keys of qemu.conf that vfio-patch's modules write, each with a test for whether the options cause it. */
const QEMU_CONF_KEYS = [
  {
    key: 'cgroup_device_acl',
    isWritten: (view: BootEntryView) =>
      view.itemsIn('virtualisation.libvirtd.deviceACL').length > 0 ||
      view.definitionsWith('virtualisation.kvmfr.enable', true).length > 0
  },
  {
    key: 'clear_emulation_capabilities',
    isWritten: (view: BootEntryView) =>
      view.definitionsWith('virtualisation.libvirtd.clearEmulationCapabilities', false).length > 0
  }
] as const

/** Keys of qemu.conf that both the user and vfio-patch's modules write: libvirt reads only the first. */
function keysIn(view: BootEntryView): Conflict[] {
  const texts = ['qemu.verbatimConfig', 'qemuVerbatimConfig'].flatMap(it =>
    view.stringsIn(`virtualisation.libvirtd.${it}`)
  )
  return QEMU_CONF_KEYS.filter(it => it.isWritten(view)).flatMap(({ key }) =>
    texts.filter(isUnconditional).flatMap((at): Conflict[] => {
      const found = new RegExp(`^[ \\t]*(${key}[ \\t]*=.*)$`, 'm').exec(at.text)
      const line = found?.[1]
      if (!found || line === undefined) return []
      const start = at.start + found.index + found[0].indexOf(line)
      return [{ ...keyWrittenTwice(key), range: { start, end: start + line.length } }]
    })
  )
}
