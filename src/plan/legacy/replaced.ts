import { defined } from '../../collections.ts'
import { type Binding, differ, idBindings, isUnconditional } from '../../lints/bindings.ts'
import { type Fix, type LintCode, lint, planFixes } from '../../lints/index.ts'
import { listIn } from '../../lints/libvirt.ts'
import { type EntryText, spellingOf, type View, viewsOf } from '../../lints/view.ts'
import { nixError } from '../../nix/errors.ts'
import { expr, type NixDocument, type NixError, type Plan, type Range } from '../../nix/index.ts'
import { moveOffset } from '../../nix/text/edits.ts'
import { type Place, placeOf } from '../../nix/text/lines.ts'
import { LIBVIRTD, namedID, type OptionChange, VFIO } from '../../settings/options.ts'
import { parseDevice, parseDeviceNode } from '../../settings/parse.ts'
import type { Settings } from '../../settings/settings.ts'
import type { ExpectedDevice } from '../../settings/values.ts'

/** A value of old guides that gives way to an option of ours, or to nothing. */
export interface Obsolete extends Place {
  code: LintCode | 'IDS_MOVED' | 'ACL_MOVED'
  /** What is wrong with it, in one sentence without a final period. */
  message: string
  fix: Fix
  /** Whether it stands outside the specialisation that the run is about, and so stays. */
  isOutside: boolean
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
  'HUGEPAGES_1M',
  'OVMF_OPTION',
  'PARAMETERS_IN_ONE',
  'PCI_NOMSI',
  'RENAMED_OPTION',
  'VIRQFD'
]

/** Those that others can only be seen after. */
const FIRST: readonly Obsolete['code'][] = ['PARAMETERS_IN_ONE', 'RENAMED_OPTION']

/**
 * What in a configuration gives way when ours comes, in the order in which the fixes are to be planned.
 * Ours comes below `prefix`, the path of a specialisation or none.
 */
export function obsoleteIn(
  doc: NixDocument,
  release: string | undefined,
  prefix: readonly string[] = []
): Obsolete[] {
  const found = placedIn(doc, release, prefix)
  // What shares a string with others can only go once that is taken apart, and what stands under an old
  // name once that is the new one.
  const first = found.filter(it => FIRST.includes(it.code))
  const planned = planFixes(
    doc,
    first.map(it => it.fix)
  )
  const { plan, refused } = planned.ok ? planned.value : { plan: undefined, refused: [] }
  const done = plan ? first.filter((_, i) => !refused.some(it => it.index === i)) : []
  const next = plan?.changed === true ? doc.edited(plan.edits) : doc
  const rest = placedIn(next, release, prefix)
  const back = ({ start, end }: Placed) => {
    // What was taken apart stood in one of the strings.
    const source = next.text.slice(start, end).replace(/^"(.*)"$/, '$1')
    const within = done.filter(it => it.code === 'PARAMETERS_IN_ONE')
    const from = within.find(it => doc.text.slice(it.start, it.end).includes(source))
    return from && !doc.text.includes(next.text.slice(start, end))
      ? doc.text.indexOf(source, from.start)
      : moveOffset(plan?.inverse ?? [], start)
  }
  const inside = [...doc.getIn(prefix), ...doc.getBelow(prefix)].map(it => it.binding)
  const all = [...done, ...rest.map(it => ({ ...it, start: back(it) }))]
  return all.map(({ start, end: _, ...obsolete }) => {
    const isOutside = prefix.length > 0 && !inside.some(at => at.start <= start && start < at.end)
    return { ...obsolete, ...placeOf(doc.text, start), isOutside }
  })
}

type Placed = Omit<Obsolete, 'isOutside' | keyof Place> & Range

/** In the order of the text. */
function placedIn(
  doc: NixDocument,
  release: string | undefined,
  [, specialisation = '']: readonly string[]
): Placed[] {
  const files = [{ path: '', doc }]
  const facts = { ours: true, ...defined({ release }) }
  const found = lint(files, facts).flatMap(({ code, message, fix, range }): Placed[] => {
    if (fix === undefined || !REPLACED.includes(code)) return []
    const instead = '; where it is needed, virtualisation.vfio.disableEFIfb has an effect'
    return [{ code, message: code === 'EFIFB_OFF' ? message + instead : message, fix, ...range }]
  })
  // A specialisation sees what the system has, too.
  const views = viewsOf(files, facts)
  const view = views.find(it => it.name === specialisation) ?? views[0]
  const moved = view ? [...movedIDs(view), ...movedLists(view)] : []
  return [...found, ...moved].sort((a, b) => a.start - b.start)
}

/** IDs in kernel parameters and in options of the module: ours come as a parameter, and one would win. */
function movedIDs(view: View): Placed[] {
  return idBindings(view).flatMap(({ at, range, lists, isOurs }): Placed[] => {
    const ids = lists.flatMap(it => it.text.split(',')).map(parseDevice)
    const devices = ids.flatMap(it => (it.ok ? [it.value] : []))
    const line = at.entry.file.doc.text.slice(range.start, range.end)
    const isRead = devices.length > 0 && devices.length === ids.length && WHOLE_IDS.test(line)
    if (isOurs || !isRead || !isUnconditional(at)) return []
    const path = at.entry.fullPath
    return [
      {
        code: 'IDS_MOVED',
        ...range,
        message: `IDs for vfio-pci stand in ${path.join('.')}, and only those of one place count`,
        fix: [{ op: 'remove', path, items: [line.replace(/^"(.*)"$/, '$1')] }],
        devices
      }
    ]
  })
}

// Whole items and whole lines only: what else they say has to stay.
const WHOLE_IDS = /^(?:"vfio[-_]pci\.ids=[^\s"$]*"|options\s+vfio[-_]pci\s+ids=[^\s$]*)$/

// libvirt's own, which our module writes, too; of the last two no libvirt of today knows.
const OF_LIBVIRT =
  /^\/dev\/(?:null|full|zero|random|urandom|ptmx|kvm|userfaultfd|kqemu|rtc|hpet|vfio\/(?:vfio|\d+))$/

/** A `cgroup_device_acl` that was made by hand: with ours the key would stand there twice. */
function movedLists(view: View): Placed[] {
  return view.texts('virtualisation.libvirtd.qemu.verbatimConfig').flatMap((at): Placed[] => {
    const list = listIn(at.text, 'cgroup_device_acl')
    if (!list?.isPlain || !list.isClosed || !isUnconditional(at)) return []
    // With escapes, the lines of the string are not those of its spelling.
    const spelling = at.node.text
    if (at.node.type === 'string_expression' && spelling.includes('\\')) return []
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
        message: 'cgroup_device_acl is written by virtualisation.libvirtd.deviceACL',
        fix,
        deviceACL: devices.filter(it => !OF_LIBVIRT.test(it))
      }
    ]
  })
}

/**
 * The fix that takes the lines between two offsets out of a string. To remove a line by what it says
 * removes each line that says so, so lines that are repeated elsewhere, such as the brackets of another
 * list, need a new value for the option; undefined where the value is more than the string.
 */
function withoutLines(view: View, at: EntryText, from: number, to: number): Fix | undefined {
  const { entry, node, text, start } = at
  const path = entry.fullPath
  const gone = text.slice(from, to).split('\n')
  const others = view.texts(entry.path.join('.')).filter(it => it.node.start !== node.start)
  const left = [text.slice(0, from), text.slice(to), ...others.map(it => it.text)].join('\n')
  const stays = new Set(left.split('\n').map(it => it.trim()))
  if (!gone.some(it => stays.has(it.trim()))) {
    const indent = indentOf(text)
    return [{ op: 'remove', path, items: gone.map(it => it.slice(indent)) }]
  }
  const spelling = node.text
  const isWhole = spellingOf(entry) === spelling && entry.file.doc.getIn(path).length === 1
  if (!isWhole) return undefined
  const cut = (offset: number) => start - node.start + offset
  const end = text.indexOf('\n', to)
  const value = spelling.slice(0, cut(from)) + spelling.slice(cut(end === -1 ? to : end + 1))
  return [{ op: 'set', path, value: expr(value) }]
}

/** The blanks that Nix takes off every line of an indented string. */
function indentOf(text: string): number {
  const lines = text.split('\n').filter(it => it.trim() !== '')
  return Math.min(...lines.map(it => it.search(/\S/)))
}

/**
 * The options that get what moves. Devices that a person names take the place of those that stood
 * elsewhere; `byAddress` has those IDs that the host needs as well, and what is meant by them; `names`
 * says what an ID stands for.
 */
export function wantedFor(
  moved: readonly Obsolete[],
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

// What stays beside our options and does not go together with them, so that our modules stop the build.

interface Clash {
  range: Range
  message: string
  hint: string
}

/**
 * The first that was there before, and gets options of ours beside it by these edits, in any boot entry. What
 * clashed before stays a person's own matter, and what counts under a condition may be meant for another
 * time.
 */
export function clashAfter(before: NixDocument, { edits, inverse }: Plan): NixError | undefined {
  const after = before.edited(edits)
  const sourceOf = (doc: NixDocument, { start, end }: Range) => doc.text.slice(start, end)
  const earlier = clashesIn(before).map(it => sourceOf(before, it.range))
  const clash = clashesIn(after).find(it => !earlier.includes(sourceOf(after, it.range)))
  if (!clash) return undefined
  const back = (offset: number) => moveOffset(inverse, offset)
  const range = { start: back(clash.range.start), end: back(clash.range.end) }
  return nixError(before.text, { ...clash, code: 'CONFLICT', range })
}

function clashesIn(doc: NixDocument): Clash[] {
  const views = viewsOf([{ path: '', doc }], { ours: true })
  return views.flatMap(view => [...idsIn(view), ...keysIn(view)])
}

/** The places beside our options that give other IDs than these. */
function idsIn(view: View): Clash[] {
  const bindings = idBindings(view)
  const ours = bindings.find(it => it.isOurs)
  const isBound =
    view.says('virtualisation.vfio.enable', true).length > 0 &&
    view.says('virtualisation.vfio.bindAtBoot', false).length === 0
  if (!ours || !isBound) return []
  const isOther = (it: Binding) =>
    !it.isOurs && isUnconditional(it.at) && differ(it, ours, bindings)
  return bindings.filter(isOther).map(({ range }) => ({
    range,
    message:
      'IDs for vfio-pci stand here already, and with those of virtualisation.vfio.devices only one of the two lists would count',
    hint: 'take them out here, then run this again; what else a guest is to have goes into virtualisation.vfio.devices'
  }))
}

/** The keys of qemu.conf that our modules write, and what has them do that. */
const KEYS = [
  {
    key: 'cgroup_device_acl',
    isOurs: (view: View) =>
      view.items('virtualisation.libvirtd.deviceACL').length > 0 ||
      view.says('virtualisation.kvmfr.enable', true).length > 0,
    instead: 'its devices as virtualisation.libvirtd.deviceACL = [ … ];'
  },
  {
    key: 'clear_emulation_capabilities',
    isOurs: (view: View) =>
      view.says('virtualisation.libvirtd.clearEmulationCapabilities', false).length > 0,
    instead: 'virtualisation.libvirtd.clearEmulationCapabilities = false;'
  }
]

/** Keys of qemu.conf that a person wrote and our modules write, too: libvirt reads the first of two. */
function keysIn(view: View): Clash[] {
  const texts = ['qemu.verbatimConfig', 'qemuVerbatimConfig'].flatMap(it =>
    view.texts(`virtualisation.libvirtd.${it}`)
  )
  return KEYS.filter(it => it.isOurs(view)).flatMap(({ key, instead }) =>
    texts.filter(isUnconditional).flatMap((at): Clash[] => {
      const found = new RegExp(`^[ \\t]*(${key}[ \\t]*=.*)$`, 'm').exec(at.text)
      const line = found?.[1]
      if (!found || line === undefined) return []
      const start = at.start + found.index + found[0].indexOf(line)
      return [
        {
          range: { start, end: start + line.length },
          message: `${key} stands here already, and libvirt would read only one of the two`,
          hint: `write ${instead} here instead of it, then run this again`
        }
      ]
    })
  )
}
