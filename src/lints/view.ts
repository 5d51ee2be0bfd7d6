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
export interface SystemFacts {
  /** The release of NixOS that is built next, such as `25.11`; if absent, the newest is assumed. */
  release?: string
  /** Whether vfio-patch's modules are imported. */
  importsModules: boolean
  /** Whether the system may have modules that were not read: those of a flake, or of computed imports. */
  mayHaveUnreadModules?: boolean
}

export interface LintFile {
  path: string
  doc: NixDocument
  /** Whether it is a module that is a value inside a file, so `doc` can't be edited. */
  isInnerModule?: boolean
}

/** One definition of an option. */
export interface OptionDefinition {
  file: LintFile
  /** The option, without the specialisation around it. */
  path: AttrPath
  /** The attribute path as the file defines it. */
  fullPath: AttrPath
  value: SyntaxNode
  /** The conditions under which it applies, as written. */
  conditions: readonly string[]
}

export interface DefinitionItem extends Item {
  definition: OptionDefinition
}

export interface DefinitionString extends StringText {
  definition: OptionDefinition
}

/** The definitions of a whole system: of the default boot entry, or of one specialisation. */
export interface BootEntryView {
  /** The specialisation; empty for the system itself. */
  name: string
  facts: SystemFacts
  files: readonly LintFile[]
  /**
   * Whether the files are the whole configuration of a machine: they define its file systems and
   * `system.stateVersion`. Options that no file defines are then certainly undefined.
   */
  isComplete: boolean
  /** Every definition of this option. */
  definitionsOf(option: string): readonly OptionDefinition[]
  /** Every definition of options below this one. */
  definitionsBelow(option: string): readonly OptionDefinition[]
  /** The items of all lists that define an option, and the names that an attribute set maps to true. */
  itemsIn(option: string): readonly DefinitionItem[]
  /** The string literals in the definitions of a string option. */
  stringsIn(option: string): readonly DefinitionString[]
  /** The definitions that set an option to true, or to false. */
  definitionsWith(option: string, value: boolean): readonly OptionDefinition[]
}

/** One view for the system itself and one for each specialisation that the files define. */
export function viewsOf(files: readonly LintFile[], facts: SystemFacts): BootEntryView[] {
  const bySystem = new Map<string, OptionDefinition[]>([['', []]])
  for (const file of files) {
    for (const { path, value } of file.doc.leaves()) {
      if (path.includes(undefined)) continue
      const { system, option } = split(path as AttrPath)
      const definitions = bySystem.get(system) ?? []
      bySystem.set(system, definitions)
      definitions.push(optionDefinitionOf(file, option, path as AttrPath, value))
    }
  }
  const base = bySystem.get('') ?? []
  return [...bySystem].map(([system, definitions]) =>
    viewOf(system, files, facts, system === '' ? base : [...base, ...definitions])
  )
}

/** A definition, or an item or a string of one. */
export type DefinitionPart = OptionDefinition | DefinitionItem | DefinitionString

/** The conditions under which a definition, an item or a string applies. */
export function allConditions(at: DefinitionPart): readonly string[] {
  return 'definition' in at ? [...at.conditions, ...at.definition.conditions] : at.conditions
}

/** Whether two definitions, items or strings can apply at the same time. */
export function canApplyTogether(a: DefinitionPart, b: DefinitionPart): boolean {
  const [one, other] = [allConditions(a), allConditions(b)]
  if (one.length === 0 || other.length === 0) return true
  const fileOf = (it: DefinitionPart) => ('definition' in it ? it.definition.file : it.file)
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

function optionDefinitionOf(
  file: LintFile,
  path: AttrPath,
  fullPath: AttrPath,
  value: SyntaxNode
): OptionDefinition {
  return {
    file,
    path,
    fullPath,
    value,
    // Computed lazily: few are needed, and each searches the whole file.
    get conditions() {
      return parsedDefinition(this)?.conditions ?? ['?']
    }
  }
}

function parsedDefinition({ file, fullPath, value }: OptionDefinition): Definition | undefined {
  return file.doc.getIn(fullPath).find(it => it.value.start === value.start)
}

function viewOf(
  name: string,
  files: readonly LintFile[],
  facts: SystemFacts,
  definitions: readonly OptionDefinition[]
): BootEntryView {
  const byOption = groupBy(definitions, it => formatPath(it.path))
  const definitionsOf = (option: string) => byOption.get(option) ?? []
  const definitionsBelow = (option: string) =>
    [...byOption].filter(([key]) => key.startsWith(`${option}.`)).flatMap(([, found]) => found)
  const definitionsWith = (option: string, value: boolean) =>
    definitionsOf(option).filter(it => valueText(it) === String(value))
  return {
    name,
    facts,
    files,
    isComplete:
      definitionsOf('system.stateVersion').length > 0 && definitionsBelow('fileSystems').length > 0,
    definitionsOf,
    definitionsBelow,
    definitionsWith,
    itemsIn: option => [
      ...definitionsOf(option).flatMap(definition =>
        itemsOfValue(definition.value).map(it => ({ ...it, definition }))
      ),
      // `boot.kernelModules.kvm = true` means the same as `boot.kernelModules = [ "kvm" ]`.
      ...definitionsBelow(option)
        .filter(it => valueText(it) === 'true')
        .map(it => ({ definition: it, node: it.value, text: it.path.at(-1), conditions: [] }))
    ],
    stringsIn: option =>
      definitionsOf(option).flatMap(definition =>
        stringsOfValue(definition.value).map(it => ({ ...it, definition }))
      )
  }
}

/** The source text of the value, without mkForce or mkDefault. */
export function valueText({ value }: OptionDefinition): string {
  return value.text.replace(/^(?:lib\.)?mk(?:Force|Default)\s+/, '')
}

/** The content of a string without escapes and interpolations; undefined for other values. */
export function plainStringOf(definition: OptionDefinition): string | undefined {
  return /^"([^"\\$]*)"$/.exec(valueText(definition))?.[1]
}

// Which of several definitions of an option can apply, by their priorities.

/** A value that an option can get. */
interface PossibleValue {
  /** The definition that it is part of. */
  definition: OptionDefinition
  /** The source text of the value, without priorities and conditions. */
  text: string
  /** Whether it applies under all conditions. */
  isCertain: boolean
}

/**
 * The values that an option can have in a view: those that no definition with a stronger priority overrides
 * under all conditions. Empty if nothing defines the option.
 */
export function possibleValuesOf(view: BootEntryView, option: string): PossibleValue[] {
  const all = view.definitionsOf(option).flatMap(definition => {
    const found = parsedDefinition(definition)
    const candidates = found
      ? candidatesOf([found])
      : [{ value: definition.value, strength: PLAIN, isCertain: false }]
    return candidates.map(it => ({ ...it, definition }))
  })
  const strongest = Math.min(...all.filter(it => it.isCertain).map(it => it.strength))
  // A computed priority has the strength NaN, so its value is never filtered out.
  return all
    .filter(it => !(it.strength > strongest))
    .map(({ definition, value, isCertain }) => {
      const { text } = unparenthesized(value)
      return { definition, text, isCertain }
    })
}

/**
 * Whether an option is true in a view, or `otherwise` if nothing defines it; undefined if that depends on a
 * condition or is computed.
 */
export function isOptionOn(
  view: BootEntryView,
  option: string,
  otherwise: boolean
): boolean | undefined {
  const contenders = possibleValuesOf(view, option)
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
export function withInnerModules(file: LintFile): LintFile[] {
  const { doc, path } = file
  const modules = doc.leaves().filter(it => it.value.type === 'function_expression')
  const parts = modules.flatMap(({ value }) => {
    const before = doc.text.slice(0, value.start).replace(/[^\n]/g, ' ')
    const part = parseDocument(before + value.text)
    return part.module().ok ? [{ path, doc: part, isInnerModule: true }] : []
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
export function hasRelease({ facts }: BootEntryView, release: string): boolean {
  return facts.release === undefined || !isOlder(facts.release, release)
}

/**
 * Whether the kernel has this version or a later one, as far as the configuration or its release shows; true if
 * that is unknown, because all supported releases have Linux 6.12 or later.
 */
export function hasKernel(view: BootEntryView, version: string): boolean {
  const chosen = view.definitionsOf('boot.kernelPackages').map(valueText)
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
