import { visit } from '../nix/index.ts'
import { declarationsIn } from './declarations.ts'
import { type Finding, findingAt, findingPlace, type Place, placeWithin } from './finding.ts'
import { isStringNode, MASK, stringLiterals } from './values.ts'
import {
  allConditions,
  contendersFor,
  type EntryItem,
  type EntryText,
  type LintFile,
  together,
  type View,
  type Written
} from './view.ts'

interface IDList {
  text: string
  start: number
}

/** One place that gives IDs to vfio-pci. */
export interface Binding extends Place {
  at: EntryItem | EntryText
  /** The strings that hold IDs, with commas between them. */
  lists: readonly IDList[]
  isOurs: boolean
}

/** Every place that gives IDs to vfio-pci, in whatever words. */
export function idBindings(view: View): Binding[] {
  const params = view.items('boot.kernelParams').flatMap((at): Binding[] => {
    const { text } = at.entry.file.doc
    const source = at.node.text
    return [...source.matchAll(/vfio[-_]pci\.ids=/g)].map(name => {
      const from = at.node.start + name.index + name[0].length
      // The kernel takes quotation marks around a value off.
      const mark = source.startsWith("''") ? '"' : '\\"'
      const start = from + (text.startsWith(mark, from) ? mark.length : 0)
      const rest = /^[^\s"'$\\]*/.exec(text.slice(start, at.node.end))?.[0] ?? ''
      const lists = rest === '' ? listsOfVariables(at.entry.file, source) : [{ text: rest, start }]
      return { ...findingPlace(at), at, lists, isOurs: false }
    })
  })
  const options = modprobeLines(view).flatMap(({ at, line, index }): Binding[] => {
    const [found, ids = ''] = /^options\s+vfio[-_]pci\s(?:.*\s)?ids="?([^\s"]*)/.exec(line) ?? []
    if (found === undefined) return []
    const place = placeWithin(at, index, line.length)
    const start = place.range.start + found.length - ids.length
    const { file } = at.entry
    const lists = isPlain(ids)
      ? [{ text: ids, start }]
      : listsOfVariables(file, file.doc.text.slice(start, place.range.end))
    return [{ ...place, at, lists, isOurs: false }]
  })
  const devices = view.items('virtualisation.vfio.devices').flatMap((at): Binding[] => {
    if (at.text === undefined) return []
    const lists = [{ text: at.text, start: at.node.start + 1 }]
    return [{ ...findingPlace(at), at, lists, isOurs: true }]
  })
  return [...params, ...options, ...devices]
}

/** The makers of the devices that these places give away, four hexadecimal digits each, as far as they show. */
export function vendorsOf(bindings: readonly Binding[]): Set<string> {
  const ids = bindings.flatMap(it => it.lists.flatMap(({ text }) => text.split(',')))
  return new Set(ids.flatMap(it => /^[0-9a-f]{4}(?=:)/i.exec(it.trim())?.[0].toLowerCase() ?? []))
}

/**
 * Whether our options give IDs to vfio-pci at boot, beside those that stand elsewhere. Where another module
 * than ours declares them, what it makes of them is no second place.
 */
function isPlace(view: View): boolean {
  const isDeclared = (it: LintFile) => declarationsIn(it).length > 0
  // A specialisation may switch on what the rest has off, and the other way round.
  const isOff = ['enable', 'bindAtBoot'].some(name => {
    const said = contendersFor(view, `virtualisation.vfio.${name}`).map(it => it.spelling)
    return said.includes('false') && !said.includes('true')
  })
  return !isOff && (view.facts.ours || !view.files.some(isDeclared))
}

/** IDs that are none, and IDs in several places, of which only one counts. */
export function lintBindings(view: View): Finding[] {
  const bindings = idBindings(view)
  const malformed = bindings.flatMap(({ path, lists }) =>
    lists.flatMap(splitIDs).flatMap(({ id, start }) => {
      if (!isPlain(id) || ID.test(id)) return []
      const range = { start, end: start + Math.max(1, id.length) }
      return findingAt(
        { path, range },
        {
          code: 'BAD_ID',
          level: 'problem',
          message: id === '' ? 'an ID is missing here' : `"${id}" is not a PCI ID`,
          why: 'vfio-pci passes over what it can not read, so the device stays with its usual driver.',
          remedy: 'an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets'
        }
      )
    })
  )
  return [
    ...malformed,
    ...badAddresses(view),
    ...severalPlaces(isPlace(view) ? bindings : bindings.filter(it => !it.isOurs))
  ]
}

const HEX = '[0-9a-fA-F]{4}'
const ANY = `(?:${HEX}|[fF]{8})`
const ID = new RegExp(`^${HEX}:${ANY}(?::${ANY}){0,2}(?::[0-9a-fA-F]{1,8}){0,2}$`)

/** What stands between the commas of a list, and where each begins. */
export function splitIDs({ text, start }: IDList): { id: string; start: number }[] {
  let next = start
  return text.split(',').map(id => {
    const at = next
    next += id.length + 1
    return { id, start: at }
  })
}

const ADDRESS = /^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$/

function badAddresses(view: View): Finding[] {
  return view
    .items('virtualisation.vfio.addresses')
    .filter(({ text }) => text !== undefined && isPlain(text) && !ADDRESS.test(text))
    .map(it =>
      findingAt(it, {
        code: 'BAD_ID',
        level: 'problem',
        message: `"${it.text}" is not a PCI address`,
        why: 'no device has such an address, so none is given to the guest.',
        remedy: 'an address looks like 0000:01:00.0; "lspci -D" prints it at the start of a line'
      })
    )
}

function severalPlaces(bindings: readonly Binding[]): Finding[] {
  // All of ours make one parameter.
  const places = bindings.filter((it, i) => !it.isOurs || bindings.findIndex(b => b.isOurs) === i)
  const repeated = places.filter((it, i) =>
    places.slice(0, i).some(other => together(other.at, it.at) && differ(other, it, bindings))
  )
  return repeated.map(it =>
    findingAt(it, {
      code: 'IDS_TWICE',
      level: 'problem',
      message: 'the IDs for vfio-pci are given in more than one place',
      why: 'they do not add up: only the last that the kernel meets count, and the other devices stay with their usual drivers.',
      remedy: 'put all IDs in one place'
    })
  )
}

/**
 * Whether two of `all` places give other IDs; all of ours are one place. Two that say the same do no harm,
 * whatever the case and the order, and our module (nixos/checks.nix) takes them, too.
 */
export function differ(one: Binding, other: Binding, all: readonly Binding[]): boolean {
  return idKey(one, all) !== idKey(other, all)
}

function idKey(place: Binding, all: readonly Binding[]): string {
  const lists = (place.isOurs ? all.filter(it => it.isOurs) : [place]).flatMap(it => it.lists)
  const ids = lists.flatMap(it => it.text.toLowerCase().split(',')).filter(it => it !== '')
  return lists.length === 0 ? String(place.range.start) : [...new Set(ids)].sort().join(',')
}

/** The lists behind `concatStringsSep "," NAME`, where NAME is a variable of the file. */
function listsOfVariables({ doc }: LintFile, source: string): IDList[] {
  const name = /concatStringsSep\s+","\s+\(?([A-Za-z_][\w'-]*)\b(?!\.)/.exec(source)?.[1]
  const strings: IDList[] = []
  if (name === undefined) return strings
  visit(doc, (it, ancestors) => {
    if (it.type !== 'binding' || ancestors.at(-2)?.type !== 'let_expression') return undefined
    const value = it.field('expression')
    const attrpath = it.field('attrpath')
    if (attrpath && value?.type === 'list_expression' && attrpath.text === name) {
      for (const item of value.children.filter(isStringNode)) {
        strings.push(...stringLiterals(item))
      }
    }
    return undefined
  })
  return strings
}

/** The parameters of the kernel, each by itself; several may stand in one string. */
export function kernelParams(view: View): { item: EntryItem; param: string }[] {
  return view.items('boot.kernelParams').flatMap(item => {
    const params = (item.text ?? '').split(/\s+/).filter(Boolean)
    return params.map(param => ({ item, param }))
  })
}

/** The lines of `boot.extraModprobeConfig`, blanks at both ends taken off, and where they begin. */
export function modprobeLines(view: View): { at: EntryText; line: string; index: number }[] {
  return view.texts('boot.extraModprobeConfig').flatMap(at =>
    [...at.text.matchAll(/^[ \t]*(\S.*?)[ \t]*$/gm)].map(found => ({
      at,
      line: found[1] ?? '',
      index: found.index + found[0].indexOf(found[1] ?? '')
    }))
  )
}

/** The lists that name modules which are loaded, whatever happens. */
export const LOADED = ['boot.initrd.kernelModules', 'boot.kernelModules'] as const

/** Whether this system gives a device to a guest, as far as it can be seen. */
export function passesDevices(view: View): boolean {
  return (
    kernelParams(view).some(it => /^vfio[-_]pci\.ids=/.test(it.param)) ||
    modprobeLines(view).some(it => /^options\s+vfio[-_]pci\s.*\bids=/.test(it.line)) ||
    LOADED.some(list => view.items(list).some(it => /^vfio[-_]pci$/.test(it.text ?? ''))) ||
    contendersFor(view, 'virtualisation.vfio.enable').some(it => it.spelling === 'true')
  )
}

/** Whether nothing of it is computed. */
export function isPlain(text: string): boolean {
  return !text.includes(MASK)
}

/** Whether it counts in any case. */
export function isUnconditional(at: Written): boolean {
  return allConditions(at).length === 0
}

/** Whether it is there for some versions of the kernel only. */
export function asksVersion(item: EntryItem): boolean {
  return allConditions(item).some(it => /version(?:Older|AtLeast)|compareVersions/.test(it))
}
