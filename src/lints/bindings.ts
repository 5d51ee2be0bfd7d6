import { type Range, type SyntaxNode, visit } from '../nix/index.ts'
import { declarationsIn } from './declarations.ts'
import type { Finding } from './finding.ts'
import { isStringNode, MASK, nodeText, stringLiterals } from './values.ts'
import {
  contendersFor,
  type Entry,
  type EntryItem,
  type EntryText,
  type LintFile,
  together,
  type View
} from './view.ts'

/** One place that gives IDs to vfio-pci. */
export interface Binding {
  at: EntryItem | EntryText
  range: Range
  /** The strings that hold IDs, with commas between them. */
  lists: readonly { text: string; start: number }[]
  isOurs: boolean
}

/** Every place that gives IDs to vfio-pci, in whatever words. */
export function idBindings(view: View): Binding[] {
  const params = view.items('boot.kernelParams').flatMap((at): Binding[] => {
    const { text } = at.entry.file.doc
    const source = nodeText(text, at.node)
    return [...source.matchAll(/vfio[-_]pci\.ids=/g)].map(name => {
      const from = at.node.start + name.index + name[0].length
      // The kernel takes quotation marks around a value off.
      const mark = source.startsWith("''") ? '"' : '\\"'
      const start = from + (text.startsWith(mark, from) ? mark.length : 0)
      const rest = /^[^\s"'$\\]*/.exec(text.slice(start, at.node.end))?.[0] ?? ''
      const lists = rest === '' ? listsOfVariables(at.entry.file, source) : [{ text: rest, start }]
      return { at, range: nodeRange(at.node), lists, isOurs: false }
    })
  })
  const options = modprobeLines(view).flatMap(({ at, line, index }): Binding[] => {
    const found = /^options\s+vfio[-_]pci\s(?:.*\s)?ids="?([^\s"]*)/.exec(line)
    if (!found) return []
    const start = at.start + index + found[0].length - (found[1]?.length ?? 0)
    const source = at.entry.file.doc.text.slice(start, at.start + index + line.length)
    const isPlainList = isPlain(found[1] ?? '')
    const lists = isPlainList
      ? [{ text: found[1] ?? '', start }]
      : listsOfVariables(at.entry.file, source)
    const range = { start: at.start + index, end: at.start + index + line.length }
    return [{ at, range, lists, isOurs: false }]
  })
  const devices = view.items('virtualisation.vfio.devices').flatMap((at): Binding[] =>
    at.text === undefined
      ? []
      : [
          {
            at,
            range: nodeRange(at.node),
            lists: [{ text: at.text, start: at.node.start + 1 }],
            isOurs: true
          }
        ]
  )
  return [...params, ...options, ...devices]
}

/** The makers of the devices that a guest gets, four hexadecimal digits each, as far as they show. */
export function passedVendors(view: View): Set<string> {
  return vendorsOf(idBindings(view))
}

/** The same of these places only. */
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
  const malformed = bindings.flatMap(binding =>
    binding.lists.flatMap(list => malformedIn(list).map(it => ({ ...it, binding })))
  )
  return [
    ...malformed.map(({ id, start, binding }) => badID(binding, id, start)),
    ...badAddresses(view),
    ...severalPlaces(isPlace(view) ? bindings : bindings.filter(it => !it.isOurs))
  ]
}

const HEX = '[0-9a-fA-F]{4}'
const ANY = `(?:${HEX}|[fF]{8})`
const ID = new RegExp(`^${HEX}:${ANY}(?::${ANY}){0,2}(?::[0-9a-fA-F]{1,8}){0,2}$`)

function malformedIn(list: { text: string; start: number }): { id: string; start: number }[] {
  let { start } = list
  return list.text.split(',').flatMap(id => {
    const at = start
    start += id.length + 1
    return id.includes(MASK) || ID.test(id) ? [] : [{ id, start: at }]
  })
}

function badID({ at }: Binding, id: string, start: number): Finding {
  return {
    code: 'BAD_ID',
    level: 'problem',
    path: at.entry.file.path,
    range: { start, end: start + Math.max(1, id.length) },
    message: id === '' ? 'an ID is missing here' : `"${id}" is not a PCI ID`,
    why: 'vfio-pci passes over what it can not read, so the device stays with its usual driver.',
    remedy: 'an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets'
  }
}

const ADDRESS = /^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$/

function badAddresses(view: View): Finding[] {
  return view.items('virtualisation.vfio.addresses').flatMap(at =>
    at.text === undefined || !isPlain(at.text) || ADDRESS.test(at.text)
      ? []
      : [
          findingAt(at, {
            code: 'BAD_ID',
            level: 'problem',
            message: `"${at.text}" is not a PCI address`,
            why: 'no device has such an address, so none is given to the guest.',
            remedy:
              'an address looks like 0000:01:00.0; "lspci -D" prints it at the start of a line'
          })
        ]
  )
}

function severalPlaces(bindings: readonly Binding[]): Finding[] {
  // All of ours make one parameter.
  const places = bindings.filter((it, i) => !it.isOurs || bindings.findIndex(b => b.isOurs) === i)
  return places.flatMap((binding, i) => {
    const earlier = places
      .slice(0, i)
      .find(it => together(it.at, binding.at) && differ(it, binding, bindings))
    if (!earlier) return []
    return [
      {
        code: 'IDS_TWICE',
        level: 'problem',
        path: binding.at.entry.file.path,
        range: binding.range,
        message: 'the IDs for vfio-pci are given in more than one place',
        why: 'they do not add up: only the last that the kernel meets count, and the other devices stay with their usual drivers.',
        remedy: 'put all IDs in one place'
      }
    ]
  })
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
function listsOfVariables({ doc }: LintFile, source: string): { text: string; start: number }[] {
  const name = /concatStringsSep\s+","\s+\(?([A-Za-z_][\w'-]*)\b(?!\.)/.exec(source)?.[1]
  const strings: { text: string; start: number }[] = []
  if (name === undefined) return strings
  visit(doc, (it, ancestors) => {
    if (it.type !== 'binding' || ancestors.at(-2)?.type !== 'let_expression') return undefined
    const value = it.field('expression')
    const attrpath = it.field('attrpath')
    if (attrpath && value?.type === 'list_expression' && nodeText(doc.text, attrpath) === name) {
      for (const item of value.children.filter((child: SyntaxNode) => isStringNode(child))) {
        strings.push(...stringLiterals(doc.text, item))
      }
    }
    return undefined
  })
  return strings
}

function nodeRange({ start, end }: SyntaxNode): Range {
  return { start, end }
}

type FindingInit = Omit<Finding, 'path' | 'range'>

/** A finding at the name or the item that it is about. */
export function findingAt(at: Entry | EntryItem, said: FindingInit): Finding {
  if ('entry' in at) {
    const { start, end } = at.node
    return { ...said, path: at.entry.file.path, range: { start, end } }
  }
  const { start, end } = at.value
  return { ...said, path: at.file.path, range: { start, end } }
}

/** A finding in the middle of a string. */
export function findingIn(
  at: EntryText,
  index: number,
  length: number,
  said: FindingInit
): Finding {
  const start = at.start + index
  return { ...said, path: at.entry.file.path, range: { start, end: start + length } }
}

/** The parameters of the kernel, each by itself; several may stand in one string. */
export function kernelParams(view: View): { item: EntryItem; param: string }[] {
  return view.items('boot.kernelParams').flatMap(item =>
    (item.text ?? '')
      .split(/\s+/)
      .filter(it => it !== '')
      .map(param => ({ item, param }))
  )
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

/** Whether it is there for some versions of the kernel only. */
export function asksVersion(item: EntryItem): boolean {
  const conditions = [...item.conditions, ...item.entry.conditions]
  return conditions.some(it => /version(?:Older|AtLeast)|compareVersions/.test(it))
}
