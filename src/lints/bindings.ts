import { visit } from '../nix/index.ts'
import { declarationsIn } from './declarations.ts'
import { type Finding, findingAt, findingPlace, type Place, placeWithin } from './finding.ts'
import { idsInSeveralPlaces, notAnAddress, notAnID } from './messages/devices.ts'
import { isStringNode, MASK, stringLiterals } from './values.ts'
import {
  allConditions,
  type BootEntryView,
  canApplyTogether,
  type DefinitionItem,
  type DefinitionPart,
  type DefinitionString,
  type LintFile,
  possibleValuesOf
} from './view.ts'

interface IDList {
  text: string
  start: number
}

/** A place that gives IDs to vfio-pci. */
export interface IDPlace extends Place {
  at: DefinitionItem | DefinitionString
  /** The comma-separated lists of IDs. */
  lists: readonly IDList[]
  /** Whether it is an item of `virtualisation.vfio.devices`. */
  isDeviceOption: boolean
}

/** All places that give IDs to vfio-pci: kernel parameters, options for modprobe, and `virtualisation.vfio.devices`. */
export function idPlaces(view: BootEntryView): IDPlace[] {
  const params = view.itemsIn('boot.kernelParams').flatMap((at): IDPlace[] => {
    const { text } = at.definition.file.doc
    const source = at.node.text
    return [...source.matchAll(/vfio[-_]pci\.ids=/g)].map(name => {
      const from = at.node.start + name.index + name[0].length
      // The kernel removes quotation marks around a value.
      const mark = source.startsWith("''") ? '"' : '\\"'
      const start = from + (text.startsWith(mark, from) ? mark.length : 0)
      const rest = /^[^\s"'$\\]*/.exec(text.slice(start, at.node.end))?.[0] ?? ''
      const lists =
        rest === '' ? listsOfVariables(at.definition.file, source) : [{ text: rest, start }]
      return { ...findingPlace(at), at, lists, isDeviceOption: false }
    })
  })
  const options = modprobeLines(view).flatMap(({ at, line, index }): IDPlace[] => {
    const [found, ids = ''] = /^options\s+vfio[-_]pci\s(?:.*\s)?ids="?([^\s"]*)/.exec(line) ?? []
    if (found === undefined) return []
    const place = placeWithin(at, index, line.length)
    const start = place.range.start + found.length - ids.length
    const { file } = at.definition
    const lists = hasNoInterpolation(ids)
      ? [{ text: ids, start }]
      : listsOfVariables(file, file.doc.text.slice(start, place.range.end))
    return [{ ...place, at, lists, isDeviceOption: false }]
  })
  const devices = view.itemsIn('virtualisation.vfio.devices').flatMap((at): IDPlace[] => {
    if (at.text === undefined) return []
    const lists = [{ text: at.text, start: at.node.start + 1 }]
    return [{ ...findingPlace(at), at, lists, isDeviceOption: true }]
  })
  return [...params, ...options, ...devices]
}

/** The vendors of these devices, each as four lower-case hexadecimal digits. */
export function vendorsOf(bindings: readonly IDPlace[]): Set<string> {
  const ids = bindings.flatMap(it => it.lists.flatMap(({ text }) => text.split(',')))
  return new Set(ids.flatMap(it => /^[0-9a-f]{4}(?=:)/i.exec(it.trim())?.[0].toLowerCase() ?? []))
}

/**
 * Whether `virtualisation.vfio.devices` gives IDs to vfio-pci at boot, like the other places. If another
 * module declares the option, that module decides whether it does.
 */
function bindsDeviceOption(view: BootEntryView): boolean {
  const isDeclared = (it: LintFile) => declarationsIn(it).length > 0
  // A specialisation may enable what the system disables, and vice versa.
  const isOff = ['enable', 'bindAtBoot'].some(name => {
    const values = possibleValuesOf(view, `virtualisation.vfio.${name}`).map(it => it.text)
    return values.includes('false') && !values.includes('true')
  })
  return !isOff && (view.facts.importsModules || !view.files.some(isDeclared))
}

/** Malformed IDs and addresses, and IDs in several places: only one place has an effect. */
export function lintBindings(view: BootEntryView): Finding[] {
  const bindings = idPlaces(view)
  const malformed = bindings.flatMap(({ path, lists, isDeviceOption }) =>
    lists.flatMap(splitIDs).flatMap(({ id, start }) => {
      if (!hasNoInterpolation(id) || ID.test(id)) return []
      const range = { start, end: start + Math.max(1, id.length) }
      return findingAt({ path, range }, notAnID(id, isDeviceOption && view.facts.importsModules))
    })
  )
  return [
    ...malformed,
    ...badAddresses(view),
    ...severalPlaces(bindsDeviceOption(view) ? bindings : bindings.filter(it => !it.isDeviceOption))
  ]
}

const HEX = '[0-9a-fA-F]{4}'
const ANY = `(?:${HEX}|[fF]{8})`
const ID = new RegExp(`^${HEX}:${ANY}(?::${ANY}){0,2}(?::[0-9a-fA-F]{1,8}){0,2}$`)

/** The items of a comma-separated list, with their offsets. */
export function splitIDs({ text, start }: IDList): { id: string; start: number }[] {
  let next = start
  return text.split(',').map(id => {
    const at = next
    next += id.length + 1
    return { id, start: at }
  })
}

const ADDRESS = /^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$/

function badAddresses(view: BootEntryView): Finding[] {
  return view
    .itemsIn('virtualisation.vfio.addresses')
    .filter(({ text }) => text !== undefined && hasNoInterpolation(text) && !ADDRESS.test(text))
    .map(it => findingAt(it, notAnAddress(it.text ?? '', view.facts.importsModules)))
}

function severalPlaces(bindings: readonly IDPlace[]): Finding[] {
  // All items of virtualisation.vfio.devices become one parameter.
  const places = bindings.filter(
    (it, i) => !it.isDeviceOption || bindings.findIndex(b => b.isDeviceOption) === i
  )
  return places
    .filter((it, i) =>
      places
        .slice(0, i)
        .some(other => canApplyTogether(other.at, it.at) && haveDifferentIDs(other, it, bindings))
    )
    .map(it => findingAt(it, idsInSeveralPlaces()))
}

/**
 * Whether two of `all` places have different IDs; all items of virtualisation.vfio.devices are one place. The
 * same IDs are harmless, in any letter case and order, and nixos/checks.nix accepts them as well.
 */
export function haveDifferentIDs(one: IDPlace, other: IDPlace, all: readonly IDPlace[]): boolean {
  return idKey(one, all) !== idKey(other, all)
}

function idKey(place: IDPlace, all: readonly IDPlace[]): string {
  const lists = (place.isDeviceOption ? all.filter(it => it.isDeviceOption) : [place]).flatMap(
    it => it.lists
  )
  const ids = lists.flatMap(it => it.text.toLowerCase().split(',')).filter(it => it !== '')
  return lists.length === 0 ? String(place.range.start) : [...new Set(ids)].sort().join(',')
}

/** The items of NAME in `concatStringsSep "," NAME`, if NAME is a list in a `let` of the file. */
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

/** All kernel parameters; one string may hold several. */
export function kernelParams(view: BootEntryView): { item: DefinitionItem; param: string }[] {
  return view.itemsIn('boot.kernelParams').flatMap(item => {
    const params = (item.text ?? '').split(/\s+/).filter(Boolean)
    return params.map(param => ({ item, param }))
  })
}

/** The trimmed lines of `boot.extraModprobeConfig`; `index` is their offset in the text of the string. */
export function modprobeLines(
  view: BootEntryView
): { at: DefinitionString; line: string; index: number }[] {
  return view.stringsIn('boot.extraModprobeConfig').flatMap(at =>
    [...at.text.matchAll(/^[ \t]*(\S.*?)[ \t]*$/gm)].map(found => ({
      at,
      line: found[1] ?? '',
      index: found.index + found[0].indexOf(found[1] ?? '')
    }))
  )
}

/** The lists of modules that are always loaded. */
export const LOADED_MODULE_LISTS = ['boot.initrd.kernelModules', 'boot.kernelModules'] as const

/** Whether a system passes devices through, as far as its text shows. */
export function passesDevices(view: BootEntryView): boolean {
  return (
    kernelParams(view).some(it => /^vfio[-_]pci\.ids=/.test(it.param)) ||
    modprobeLines(view).some(it => /^options\s+vfio[-_]pci\s.*\bids=/.test(it.line)) ||
    LOADED_MODULE_LISTS.some(list =>
      view.itemsIn(list).some(it => /^vfio[-_]pci$/.test(it.text ?? ''))
    ) ||
    possibleValuesOf(view, 'virtualisation.vfio.enable').some(it => it.text === 'true')
  )
}

/** Whether a text has no interpolation. */
export function hasNoInterpolation(text: string): boolean {
  return !text.includes(MASK)
}

/** Whether a definition, an item or a string has no condition. */
export function isUnconditional(at: DefinitionPart): boolean {
  return allConditions(at).length === 0
}

/** Whether an item depends on the version of the kernel. */
export function dependsOnKernelVersion(item: DefinitionItem): boolean {
  return allConditions(item).some(it => /version(?:Older|AtLeast)|compareVersions/.test(it))
}
