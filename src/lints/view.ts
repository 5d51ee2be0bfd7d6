// A configuration as the lints see it: what its files define, by option, wherever it stands.

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
import { unparenthesised } from '../nix/syntax/nodes.ts'
import { type Item, itemsOfValue, type StringText, stringsOfValue } from './values.ts'

/** What is known besides the files. */
export interface Facts {
  /** The release of NixOS that is built next, such as `25.11`; the newest is meant if it is unknown. */
  release?: string
  /** Whether the modules of this tool are imported. */
  ours: boolean
  /**
   * Whether modules that were not read may be part of the system: those of a flake, or behind imports that
   * are computed.
   */
  isPartial?: boolean
}

export interface LintFile {
  path: string
  doc: NixDocument
  /** Whether it is a module that stands inside a file, so that `doc` is no text to be edited. */
  isPart?: boolean
}

/** One definition of an option. */
export interface Entry {
  file: LintFile
  /** The option, without the specialisation around it. */
  path: AttrPath
  /** The option as the file defines it. */
  fullPath: AttrPath
  value: SyntaxNode
  /** What has to hold for it to count, as it is spelt. */
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
  /** The specialisation; blank for the system itself. */
  name: string
  facts: Facts
  files: readonly LintFile[]
  /**
   * Whether the files are a whole machine, so that what none of them says nobody says: they have its
   * disks and its `system.stateVersion`.
   */
  isWhole: boolean
  /** Every definition of this option. */
  at(option: string): readonly Entry[]
  /** Every definition of options below this one. */
  below(option: string): readonly Entry[]
  /** The items of all lists that define an option, and the names that a set has as true. */
  items(option: string): readonly EntryItem[]
  /** The string literals that an option of text is made of. */
  texts(option: string): readonly EntryText[]
  /** The definitions that say true, or false. */
  says(option: string, value: boolean): readonly Entry[]
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
  return [...bySystem].map(([system, own]) =>
    viewOf(system, files, facts, system === '' ? base : [...base, ...own])
  )
}

/** A definition, or an item or a string of one. */
export type Written = Entry | EntryItem | EntryText

/** What has to hold for a definition to count, or for an item or a string of one. */
export function allConditions(at: Written): readonly string[] {
  return 'entry' in at ? [...at.conditions, ...at.entry.conditions] : at.conditions
}

/** Whether two definitions can count at a time. */
export function together(a: Written, b: Written): boolean {
  const [one, other] = [allConditions(a), allConditions(b)]
  if (one.length === 0 || other.length === 0) return true
  const fileOf = (it: Written) => ('entry' in it ? it.entry.file : it.file)
  const includes = (all: readonly string[], some: readonly string[]) =>
    some.every(it => all.includes(it))
  // The same words can mean different things in two files.
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
    // Asked for few of many, and it takes a look through the whole file.
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
  const says = (option: string, value: boolean) =>
    at(option).filter(it => spellingOf(it) === String(value))
  return {
    name,
    facts,
    files,
    isWhole: at('system.stateVersion').length > 0 && below('fileSystems').length > 0,
    at,
    below,
    says,
    items: option => [
      ...at(option).flatMap(entry => itemsOfValue(entry.value).map(it => ({ ...it, entry }))),
      // `boot.kernelModules.kvm = true` is what `boot.kernelModules = [ "kvm" ]` is.
      ...below(option)
        .filter(it => spellingOf(it) === 'true')
        .map(it => ({ entry: it, node: it.value, text: it.path.at(-1), conditions: [] }))
    ],
    texts: option =>
      at(option).flatMap(entry => stringsOfValue(entry.value).map(it => ({ ...it, entry })))
  }
}

/** The value as it stands there, without a priority around it. */
export function spellingOf({ value }: Entry): string {
  return value.text.replace(/^(?:lib\.)?mk(?:Force|Default)\s+/, '')
}

/** The text of a value that is a plain string, without escapes or interpolations. */
export function plainStringOf(entry: Entry): string | undefined {
  return /^"([^"\\$]*)"$/.exec(spellingOf(entry))?.[1]
}

// Which of several definitions of an option can count, by their priorities.

/** A value that an option can get. */
interface Contender {
  /** The definition that it is part of. */
  entry: Entry
  /** The text of the value, without priorities and conditions. */
  spelling: string
  /** Whether it counts under every condition. */
  isCertain: boolean
}

/**
 * The values that an option can get in a view: those that no definition with a stronger priority overrides
 * under every condition. Empty where nothing defines the option.
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
  // A computed priority is not a number, and may be any.
  return all
    .filter(it => !(it.strength > strongest))
    .map(({ entry, value, isCertain }) => {
      const spelling = unparenthesised(value).text
      return { entry, spelling, isCertain }
    })
}

/**
 * Whether an option is on in a view, or `otherwise` where nothing defines it; undefined where that depends
 * on a condition or is computed.
 */
export function isOn(view: View, option: string, otherwise: boolean): boolean | undefined {
  const contenders = contendersFor(view, option)
  const isDecided = contenders.some(it => it.isCertain)
  const spellings = new Set(contenders.map(it => it.spelling))
  if (!isDecided) spellings.add(String(otherwise))
  const [only] = spellings
  if (spellings.size > 1 || (only !== 'true' && only !== 'false')) return undefined
  return only === 'true'
}

/**
 * A file, and behind it the modules that are values in it, as files that list modules of NixOS by name
 * have them. Their offsets are those of the file.
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

/** Whether the system is of this release or a later one; yes where that is unknown. */
export function isSince({ facts }: View, release: string): boolean {
  return facts.release === undefined || !isOlder(facts.release, release)
}

/**
 * Whether the kernel is of this version or a later one, as far as the configuration or its release
 * tells; yes where that is unknown, since all releases that are kept up have Linux 6.12 or later.
 */
export function hasKernel(view: View, version: string): boolean {
  const chosen = view.at('boot.kernelPackages').map(spellingOf)
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
