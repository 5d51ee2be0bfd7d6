// Replaces other modules that declare vfio-patch's options: removes their imports, and keeps the values that the user
// set.

import { dirname } from 'node:path'
import type { SourceFile } from '../../configuration/files.ts'
import {
  type ConfigurationFile,
  declarationIn,
  declares,
  importsIn,
  walkImports
} from '../../configuration/imports.ts'
import { isGenerated } from '../../configuration/kind.ts'
import type { Configuration } from '../../configuration/load.ts'
import { stampOf } from '../../configuration/stamp.ts'
import {
  type AttrPath,
  type Expr,
  expr,
  formatPath,
  type ImportItem,
  type NixDocument,
  type Range,
  visit
} from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { elementsOf } from '../../nix/syntax/nodes.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { type OptionChange, VFIO } from '../../settings/options.ts'
import type { PlannedFile } from '../changes.ts'
import {
  flakeListsFile,
  flakeListsInput,
  importerIsGenerated,
  importerIsShared,
  importNotRemovable,
  importsAnother
} from '../messages/takeOver.ts'
import type { ApplyProblem, Obstacle, ReplacedImport } from '../problem.ts'
import { findUses, resolvePath } from '../removal/uses.ts'
import { additionalOptions, firstExtra, isOnlyImports } from './module.ts'
import { legacyValues, type TakeOverNote, unknownOptions } from './values.ts'

/** The changes that replace other modules. */
export interface TakeOver {
  /** The items to remove from the imports of the target. */
  items: readonly Expr[]
  /** The changes to other files of the configuration from which an import is removed. */
  files: readonly PlannedFile[]
  /** The removed imports. */
  replaced: readonly ReplacedImport[]
  /** The paths of the replaced modules, which are not deleted. */
  modules: readonly string[]
  /** Changes that preserve the meaning of the configuration. */
  changes: readonly OptionChange[]
  notes: readonly TakeOverNote[]
}

/**
 * Plans how vfio-patch's modules replace other modules that declare the same options. Undefined if there are no such
 * modules, or if the target itself declares such an option. The imports of the replaced modules are removed; their
 * files do not change.
 *
 * `NOT_TAKEN_OVER` lists everything that would be lost or would change its meaning: unknown options, values that
 * vfio-patch's options do not accept, other effects of a module, and imports that can't be removed.
 */
export function planTakeOver(
  configuration: Configuration
): Result<TakeOver | undefined, ApplyProblem> {
  const { target, files } = configuration
  const { declared } = configuration.shipped
  const foreign = files.filter(it => optionOf(it.doc, configuration) !== undefined)
  if (foreign.includes(target)) return ok(undefined)
  const listed = listedByFlake(configuration)
  const removed = removedModules(foreign, configuration)
  const remaining = files.filter(it => !removed.has(it.path))
  const imports = remaining.flatMap(it => replacedImports(it, removed, configuration))
  if (imports.length + listed.length === 0) return ok(undefined)

  const values = legacyValues(remaining, foreign)
  const others = files
    .filter(it => removed.has(it.path))
    .flatMap(it => additionalOptions(it.doc, declared))
  const edits = remaining
    .filter(it => it !== target)
    .map(module => planImporter(module, imports, configuration))
  const obstacles = [
    ...listed,
    ...unknownOptions(remaining, configuration.shipped, others),
    ...values.obstacles,
    ...foreign.flatMap(it => extrasOf(it, removed, configuration)),
    ...edits.flatMap(it => it.obstacle ?? [])
  ]
  if (obstacles.length > 0) {
    const order = [...files, ...listed].map(it => it.path)
    obstacles.sort(
      (a, b) => order.indexOf(a.path) - order.indexOf(b.path) || a.range.start - b.range.start
    )
    return err({ code: 'NOT_TAKEN_OVER', path: target.path, obstacles })
  }
  return ok({
    items: imports.filter(it => it.module === target).map(it => expr(it.item.source)),
    files: edits.flatMap(it => it.file ?? []),
    replaced: imports.map(({ module: { path, text }, item: { node, source }, option }) => ({
      path,
      ...placeOf(text, node.start),
      spelling: source,
      option: formatPath(option)
    })),
    modules: foreign.map(it => it.path),
    changes: values.changes,
    notes: values.notes
  })
}

function optionOf(doc: NixDocument, { shipped }: Configuration): AttrPath | undefined {
  return shipped.exclusive.find(it => declares(doc, it))
}

/**
 * The modules to remove, each with one of vfio-patch's options that it declares or imports. These are:
 * - modules that declare such options (`foreign`),
 * - modules that only import removed modules,
 * - modules without an effect of their own that only removed modules import.
 */
function removedModules(
  foreign: readonly ConfigurationFile[],
  configuration: Configuration
): Map<string, AttrPath | undefined> {
  const { imported: rest, links, installed, shipped } = configuration
  const removed = new Map(foreign.map(it => [it.path, optionOf(it.doc, configuration)]))
  // In reverse, so that imported files are visited before their importers.
  for (const { path, doc } of [...rest].reverse()) {
    const inside = links.filter(it => it.importer === path)
    const isAll = inside.length > 0 && inside.length === doc.imports().length
    const importsInstalled = installed.some(it => it.importer === path)
    const isRemoved =
      isAll && !importsInstalled && inside.every(it => removed.has(it.path)) && isOnlyImports(doc)
    if (isRemoved && !removed.has(path)) removed.set(path, removed.get(inside[0]?.path ?? ''))
  }
  for (const { path, doc } of rest) {
    const importers = links.filter(it => it.path === path)
    const isUnused = importers.every(it => removed.has(it.importer))
    if (!removed.has(path) && isUnused && !firstExtra(doc, shipped.declared))
      removed.set(path, undefined)
  }
  return removed
}

interface ImportOfModule {
  module: ConfigurationFile
  item: ImportItem
  option: AttrPath
}

/** The items of `imports` in a remaining file that are removed modules, or flake modules with the same options. */
function replacedImports(
  module: ConfigurationFile,
  removed: ReadonlyMap<string, AttrPath | undefined>,
  { links }: Configuration
): ImportOfModule[] {
  const own = links.filter(it => it.importer === module.path && removed.has(it.path))
  return importsIn(module).flatMap(item => {
    const link = own.find(it => it.spelling === item.path)
    const option = (link && removed.get(link.path)) ?? VFIO
    return link || isOfFlake(item.source) ? [{ module, item, option }] : []
  })
}

/** The removal of the imports from a file other than the target, or the reason why it is not possible. */
function planImporter(
  { path, text, doc }: ConfigurationFile,
  imports: readonly ImportOfModule[],
  configuration: Configuration
): { file?: PlannedFile; obstacle?: Obstacle } {
  const items = imports.filter(it => it.module.path === path).map(it => it.item)
  const [first] = items
  if (!first) return {}
  const [word = ''] = path.split('/').slice(path.endsWith('/default.nix') ? -2 : -1)
  const files = new Set([path, path.replace(/\/default\.nix$/, '')])
  const pattern = new RegExp(word.replace(/[^\w]/g, '\\$&'))
  const user = unknownFiles(configuration, pattern).find(
    it => findUses(it.doc, it.path, { options: [], files }).length > 0
  )
  const sources = items.map(it => it.source)
  const refuse = (words: Pick<Obstacle, 'what' | 'advice'>): { obstacle: Obstacle } => ({
    obstacle: { kind: 'import', path, text, range: rangeOf(first), ...words }
  })
  if (user) return refuse(importerIsShared(sources, user.path))
  if (isGenerated(text)) return refuse(importerIsGenerated(sources))
  const plan = doc.edit().removeIn('imports', sources.map(expr)).plan()
  return plan.ok
    ? { file: { path, before: text, after: plan.value.text } }
    : refuse(importNotRemovable(sources))
}

/** What a removed module does besides declaring options: the first such effect, and imports that would be lost. */
function extrasOf(
  file: ConfigurationFile,
  removed: ReadonlyMap<string, unknown>,
  { shipped, links }: Configuration
): Obstacle[] {
  const { path, text, doc } = file
  const extra = firstExtra(doc, shipped.declared)
  const isKept = (target: string) =>
    removed.has(target) || links.some(it => it.path === target && !removed.has(it.importer))
  const kept = links.filter(it => it.importer === path && isKept(it.path)).map(it => it.spelling)
  const lost = importsIn(file).filter(it => it.path === undefined || !kept.includes(it.path))
  const imports = lost.map(it => ({ range: rangeOf(it), ...importsAnother(it.source) }))
  return [...(extra ? [extra] : []), ...imports].map(it => ({ kind: 'extra', path, text, ...it }))
}

function rangeOf({ node: { start, end } }: ImportItem): Range {
  return { start, end }
}

/**
 * The problem if a run for one specialisation would replace modules: modules are imported for every boot entry, so
 * replacing a module would change every boot entry. Undefined if there is no such problem.
 */
export function takeOverProblem(
  takeOver: TakeOver | undefined,
  path: string,
  specialisation: string | undefined
): ApplyProblem | undefined {
  const [first] = takeOver?.replaced ?? []
  if (specialisation === undefined || !first) return undefined
  return { code: 'TAKE_OVER_FIRST', path, name: specialisation, import: first }
}

/** Whether a replaced module is directly in this folder. */
export function hasReplacedModules(folder: string, { modules }: TakeOver): boolean {
  return modules.some(it => dirname(it) === folder)
}

// Flakes, which are not edited.

/** Whether the source text refers to a module of nixos-vfio, a flake that declares vfio-patch's options. */
function isOfFlake(source: string): boolean {
  return /\bnixos-vfio\b|\bcrtified\b/i.test(source) && /\b(?:nixosModules?|modules)\b/.test(source)
}

/** The modules with vfio-patch's options that a flake has in the same list as the target's path. */
function listedByFlake({ target: file, shipped, sources }: Configuration): Obstacle[] {
  const flake = sources.flakeOf(file.path)
  if (!flake) return []
  const { path, text, doc } = flake
  const isForeign = (at: string) => {
    const found = sources.module(at)
    if (!found || stampOf(found.text) !== 'none') return false
    return declarationIn(walkImports(found, sources).files, shipped.exclusive) !== undefined
  }
  const obstacles: Obstacle[] = []
  const own = resolvePath('/', file.path)
  visit(doc, list => {
    if (list.type !== 'list_expression') return undefined
    const items = elementsOf(list).map(({ type, start, end }) => {
      const source = text.slice(start, end)
      const target = type === 'path_expression' ? resolvePath(path, source) : undefined
      return { source, range: { start, end }, target }
    })
    if (!items.some(it => it.target === own)) return undefined
    for (const { source, range, target } of items) {
      const isOther = target !== undefined && target !== own && isForeign(target)
      if (!isOther && !isOfFlake(source)) continue
      const words = isOfFlake(source) ? flakeListsInput(source) : flakeListsFile(source)
      obstacles.push({ kind: 'flake', path, text, range, ...words })
    }
    return undefined
  })
  return obstacles
}

/** The files of the repository that match a pattern and that the configuration does not import. */
function unknownFiles({ target, files, sources }: Configuration, pattern: RegExp): SourceFile[] {
  return sources
    .around(target.path, pattern)
    .filter(it => !files.some(known => known.path === it.path))
}

/** A place that may declare vfio-patch's options in the same system, which only an evaluation could show. */
export interface PossibleDeclaration {
  path: string
  line: number
  /** The module in a flake, or the option that a file declares. */
  name: string
}

/**
 * Places in the repository where vfio-patch's options would be declared a second time if the system used them: a flake
 * that mentions such a module outside the lists with the configuration, and files that the configuration does not
 * import by a literal path.
 */
export function possibleDeclarations(configuration: Configuration): PossibleDeclaration[] {
  const { target, shipped, sources } = configuration
  const flake = sources.flakeOf(target.path)
  const lines = flake?.text.split('\n').map(it => it.replace(/(?:^|\s)#.*$/, '')) ?? []
  const index = lines.findIndex(isOfFlake)
  const names = [...new Set(shipped.exclusive.map(it => it.at(-1) ?? ''))]
  const pattern = new RegExp(`\\boptions\\b[^]*\\b(?:${names.join('|')})\\b`)
  const declaring = unknownFiles(configuration, pattern).flatMap(file => {
    const option = stampOf(file.text) === 'none' ? optionOf(file.doc, configuration) : undefined
    if (!option) return []
    const at = ['options', ...option]
    const [first] = [...file.doc.getIn(at), ...file.doc.getBelow(at)]
    return [{ path: file.path, line: first?.at.line ?? 1, name: formatPath(option) }]
  })
  const named = { path: flake?.path ?? '', line: index + 1, name: lines[index]?.trim() ?? '' }
  return index === -1 ? declaring : [named, ...declaring]
}
