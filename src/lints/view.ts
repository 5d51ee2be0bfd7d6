// A configuration as the lints see it: the definitions in all its files, by option.

import { groupBy } from '../collections.ts'
import {
  type AttrPath,
  type Definition,
  formatPath,
  type NixDocument,
  parseDocument,
  type SyntaxNode
} from '../nix/index.ts'
import { candidatesOf, PLAIN } from '../nix/module/combinators.ts'
import { unparenthesized } from '../nix/syntax/nodes.ts'
import { type Item, itemsOfValue, type StringText, stringsOfValue } from './values.ts'

/** What is known about the system from outside of its linted files. */
export interface Facts {
  /** The release of NixOS that is built next, such as `25.11`; if absent, the newest is assumed. */
  release?: string
  /** Whether vfio-patch's modules are imported. */
  importsModules: boolean
  /** Whether the system may have modules that were not read: those of a flake, or of computed imports. */
  isPartial?: boolean
}

export interface LintFile {
  path: string
  doc: NixDocument
  /** Whether it is a module that is a value inside a file, so `doc` can't be edited. */
  isPart?: boolean
}

/** One definition of an option. */
export interface Entry {
  file: LintFile
  /** The option, without the specialisation around it. */
  path: AttrPath
  /** The attribute path as the file defines it. */
  fullPath: AttrPath
  value: SyntaxNode
  /** The conditions under which it applies, as written. */
  conditions: readonly string[]
}

export interface EntryItem extends Item {
  entry: Entry
}

export interface EntryText extends StringText {
  entry: Entry
}

/** The definitions of a whole system: of the default boot entry, or of one specialisation. */
export interface View {
  /** The specialisation; empty for the system itself. */
  name: string
  facts: Facts
  files: readonly LintFile[]
  /**
   * Whether the files are the whole configuration of a machine: they define its file systems and
   * `system.stateVersion`. Options that no file defines are then certainly undefined.
   */
  isWhole: boolean
  /** Every definition of this option. */
  at(option: string): readonly Entry[]
  /** Every definition of options below this one. */
  below(option: string): readonly Entry[]
  /** The items of all lists that define an option, and the names that an attribute set maps to true. */
  items(option: string): readonly EntryItem[]
  /** The string literals in the definitions of a string option. */
  texts(option: string): readonly EntryText[]
  /** The definitions that set an option to true, or to false. */
  definitionsWith(option: string, value: boolean): readonly Entry[]
}

/** One view for the system itself and one for each specialisation that the files define. */
export function viewsOf(files: readonly LintFile[], facts: Facts): View[] {
  const bySystem = new Map<string, Entry[]>([['', []]])
  for (const file of files) {
    for (const { path, value } of file.doc.leaves()) {
      if (path.includes(undefined)) continue
      const { system, option } = split(path as AttrPath)
      const entries = bySystem.get(system) ?? []
      bySystem.set(system, entries)
      entries.push(entryOf(file, option, path as AttrPath, value))
    }
  }
  const base = bySystem.get('') ?? []
  return [...bySystem].map(([system, entries]) =>
    viewOf(system, files, facts, system === '' ? base : [...base, ...entries])
  )
}

/** A definition, or an item or a string of one. */
export type EntryPart = Entry | EntryItem | EntryText

/** The conditions under which a definition, an item or a string applies. */
export function allConditions(at: EntryPart): readonly string[] {
  return 'entry' in at ? [...at.conditions, ...at.entry.conditions] : at.conditions
}

/** Whether two definitions, items or strings can apply at the same time. */
export function canApplyTogether(a: EntryPart, b: EntryPart): boolean {
  const [one, other] = [allConditions(a), allConditions(b)]
  if (one.length === 0 || other.length === 0) return true
  const fileOf = (it: EntryPart) => ('entry' in it ? it.entry.file : it.file)
  const includes = (all: readonly string[], some: readonly string[]) =>
    some.every(it => all.includes(it))
  // The same condition may have different meanings in two files.
  return fileOf(a) === fileOf(b) && (includes(one, other) || includes(other, one))
}

function split(names: AttrPath): { system: string; option: AttrPath } {
  const [first, name, third, ...option] = names
  const isInside = first === 'specialisation' && third === 'configuration' && option.length > 0
  return isInside ? { system: name ?? '', option } : { system: '', option: names }
}

function entryOf(file: LintFile, path: AttrPath, fullPath: AttrPath, value: SyntaxNode): Entry {
  return {
    file,
    path,
    fullPath,
    value,
    // Computed lazily: few are needed, and each searches the whole file.
    get conditions() {
      return definitionOf(this)?.conditions ?? ['?']
    }
  }
}

function definitionOf({ file, fullPath, value }: Entry): Definition | undefined {
  return file.doc.getIn(fullPath).find(it => it.value.start === value.start)
}

function viewOf(
  name: string,
  files: readonly LintFile[],
  facts: Facts,
  entries: readonly Entry[]
): View {
  const byOption = groupBy(entries, it => formatPath(it.path))
  const at = (option: string) => byOption.get(option) ?? []
  const below = (option: string) =>
    [...byOption].filter(([key]) => key.startsWith(`${option}.`)).flatMap(([, found]) => found)
  const definitionsWith = (option: string, value: boolean) =>
    at(option).filter(it => valueText(it) === String(value))
  return {
    name,
    facts,
    files,
    isWhole: at('system.stateVersion').length > 0 && below('fileSystems').length > 0,
    at,
    below,
    definitionsWith,
    items: option => [
      ...at(option).flatMap(entry => itemsOfValue(entry.value).map(it => ({ ...it, entry }))),
      // `boot.kernelModules.kvm = true` means the same as `boot.kernelModules = [ "kvm" ]`.
      ...below(option)
        .filter(it => valueText(it) === 'true')
        .map(it => ({ entry: it, node: it.value, text: it.path.at(-1), conditions: [] }))
    ],
    texts: option =>
      at(option).flatMap(entry => stringsOfValue(entry.value).map(it => ({ ...it, entry })))
  }
}

/** The source text of the value, without mkForce or mkDefault. */
export function valueText({ value }: Entry): string {
  return value.text.replace(/^(?:lib\.)?mk(?:Force|Default)\s+/, '')
}

/** The content of a string without escapes and interpolations; undefined for other values. */
export function plainStringOf(entry: Entry): string | undefined {
  return /^"([^"\\$]*)"$/.exec(valueText(entry))?.[1]
}

// Which of several definitions of an option can apply, by their priorities.

/** A value that an option can get. */
interface Contender {
  /** The definition that it is part of. */
  entry: Entry
  /** The source text of the value, without priorities and conditions. */
  text: string
  /** Whether it applies under all conditions. */
  isCertain: boolean
}

/**
 * The values that an option can have in a view: those that no definition with a stronger priority overrides
 * under all conditions. Empty if nothing defines the option.
 */
export function contendersFor(view: View, option: string): Contender[] {
  const all = view.at(option).flatMap(entry => {
    const definition = definitionOf(entry)
    const candidates = definition
      ? candidatesOf([definition])
      : [{ value: entry.value, strength: PLAIN, isCertain: false }]
    return candidates.map(it => ({ ...it, entry }))
  })
  const strongest = Math.min(...all.filter(it => it.isCertain).map(it => it.strength))
  // A computed priority has the strength NaN, so its value is never filtered out.
  return all
    .filter(it => !(it.strength > strongest))
    .map(({ entry, value, isCertain }) => {
      const { text } = unparenthesized(value)
      return { entry, text, isCertain }
    })
}

/**
 * Whether an option is true in a view, or `otherwise` if nothing defines it; undefined if that depends on a
 * condition or is computed.
 */
export function isOn(view: View, option: string, otherwise: boolean): boolean | undefined {
  const contenders = contendersFor(view, option)
  const isDecided = contenders.some(it => it.isCertain)
  const values = new Set(contenders.map(it => it.text))
  if (!isDecided) values.add(String(otherwise))
  const [only] = values
  if (values.size > 1 || (only !== 'true' && only !== 'false')) return undefined
  return only === 'true'
}

/**
 * A file, followed by the modules that are values in it, as in files that list NixOS modules by name. Their
 * offsets are those of the file.
 */
export function withParts(file: LintFile): LintFile[] {
  const { doc, path } = file
  const modules = doc.leaves().filter(it => it.value.type === 'function_expression')
  const parts = modules.flatMap(({ value }) => {
    const before = doc.text.slice(0, value.start).replace(/[^\n]/g, ' ')
    const part = parseDocument(before + value.text)
    return part.module().ok ? [{ path, doc: part, isPart: true }] : []
  })
  return [file, ...parts]
}

/** The default kernels of the releases of NixOS. */
const KERNELS: readonly (readonly [release: string, kernel: string])[] = [
  ['23.05', '6.1'],
  ['23.11', '6.1'],
  ['24.05', '6.6'],
  ['24.11', '6.6'],
  ['25.05', '6.12'],
  ['25.11', '6.12'],
  ['26.05', '6.18']
]

/** Whether the system has this release of NixOS or a later one; true if its release is unknown. */
export function isSince({ facts }: View, release: string): boolean {
  return facts.release === undefined || !isOlder(facts.release, release)
}

/**
 * Whether the kernel has this version or a later one, as far as the configuration or its release shows; true if
 * that is unknown, because all supported releases have Linux 6.12 or later.
 */
export function hasKernel(view: View, version: string): boolean {
  const chosen = view.at('boot.kernelPackages').map(valueText)
  const numbers = chosen.flatMap(it => {
    const found = /linux(?:Packages|_xanmod|_zen|kernel|_hardened)*_(\d+)_(\d+)/.exec(it)
    return found ? [`${found[1]}.${found[2]}`] : []
  })
  if (numbers.length > 0) return numbers.some(it => !isOlder(it, version))
  if (chosen.length > 0) return true
  const known = KERNELS.find(([release]) => release === view.facts.release)
  return known === undefined || !isOlder(known[1], version)
}

function isOlder(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA < majorB || (majorA === majorB && minorA < minorB)
}
