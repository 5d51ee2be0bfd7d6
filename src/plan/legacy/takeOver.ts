// Our modules take the place of others that declare the same options: those are no longer imported, and
// what a person set stays.

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
import type { ApplyProblem, Obstacle, ReplacedImport } from '../problem.ts'
import { findOwnUses, resolved } from '../removal/uses.ts'
import { extraOf, isOnlyImports, otherOptions } from './module.ts'
import { legacyValues, type TakeOverNote, unknownOptions } from './values.ts'

/** How the place of other modules is taken. */
export interface TakeOver {
  /** The items that go from the configuration's own imports. */
  items: readonly Expr[]
  /** Other files of the configuration that lose an import. */
  files: readonly PlannedFile[]
  /** Each import that goes, and the reason. */
  replaced: readonly ReplacedImport[]
  /** The other modules, which stay on the disk. */
  modules: readonly string[]
  /** What keeps the configuration saying the same. */
  wanted: readonly OptionChange[]
  notes: readonly TakeOverNote[]
}

/**
 * Works out how our modules take the place of others that declare options of ours; undefined where no
 * other does, or the configuration itself. The others are taken out of the imports and not touched.
 *
 * `NOT_TAKEN_OVER` with all that would be lost, or mean something else: options that ours don't have,
 * values that these don't take, what a module does besides, and imports that can't be taken out.
 */
export function planTakeOver(
  configuration: Configuration
): Result<TakeOver | undefined, ApplyProblem> {
  const { target, files } = configuration
  const { declared } = configuration.shipped
  const foreign = files.filter(it => optionOf(it.doc, configuration) !== undefined)
  if (foreign.includes(target)) return ok(undefined)
  const listed = listedByFlake(configuration)
  const gone = replacedModules(foreign, configuration)
  const staying = files.filter(it => !gone.has(it.path))
  const imports = staying.flatMap(it => replacedImports(it, gone, configuration))
  if (imports.length + listed.length === 0) return ok(undefined)

  const values = legacyValues(staying, foreign)
  const others = files.filter(it => gone.has(it.path)).flatMap(it => otherOptions(it.doc, declared))
  const edits = staying
    .filter(it => it !== target)
    .map(module => planImporter(module, imports, configuration))
  const obstacles = [
    ...listed,
    ...unknownOptions(staying, configuration.shipped, others),
    ...values.obstacles,
    ...foreign.flatMap(it => extrasOf(it, gone, configuration)),
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
    wanted: values.wanted,
    notes: values.notes
  })
}

function optionOf(doc: NixDocument, { shipped }: Configuration): AttrPath | undefined {
  return shipped.own.find(it => declares(doc, it))
}

/**
 * The modules that go, and an option of ours that each declares or imports: those that declare some,
 * those that do nothing but import such, and what only they import if that does nothing by itself.
 */
function replacedModules(
  foreign: readonly ConfigurationFile[],
  configuration: Configuration
): Map<string, AttrPath | undefined> {
  const { imported: rest, links, installed, shipped } = configuration
  const gone = new Map(foreign.map(it => [it.path, optionOf(it.doc, configuration)]))
  // A file comes after those that import it.
  for (const { path, doc } of [...rest].reverse()) {
    const inside = links.filter(it => it.importer === path)
    const isAll = inside.length > 0 && inside.length === doc.imports().length
    const isOurs = installed.some(it => it.importer === path)
    const goes = isAll && !isOurs && inside.every(it => gone.has(it.path)) && isOnlyImports(doc)
    if (goes && !gone.has(path)) gone.set(path, gone.get(inside[0]?.path ?? ''))
  }
  for (const { path, doc } of rest) {
    const importers = links.filter(it => it.path === path)
    const isOnlyTheirs = importers.every(it => gone.has(it.importer))
    if (!gone.has(path) && isOnlyTheirs && !extraOf(doc, shipped.declared))
      gone.set(path, undefined)
  }
  return gone
}

interface ImportOfModule {
  module: ConfigurationFile
  item: ImportItem
  option: AttrPath
}

/** The imports in a file that stays of modules that go, also of those that a flake provides. */
function replacedImports(
  module: ConfigurationFile,
  gone: ReadonlyMap<string, AttrPath | undefined>,
  { links }: Configuration
): ImportOfModule[] {
  const own = links.filter(it => it.importer === module.path && gone.has(it.path))
  return importsIn(module).flatMap(item => {
    const link = own.find(it => it.spelling === item.path)
    const option = (link && gone.get(link.path)) ?? VFIO
    return link || isOfFlake(item.source) ? [{ module, item, option }] : []
  })
}

/** What a file becomes that is not the configuration, or why it can't lose its imports. */
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
    it => findOwnUses(it.doc, it.path, { options: [], files }).length > 0
  )
  const sources = items.map(it => it.source)
  const refuse = (why: string, where: string): { obstacle: Obstacle } => ({
    obstacle: {
      ...{ kind: 'import', path, text, range: rangeOf(first) },
      what: `${sources.join(' and ')} ${why}`,
      advice: `take it out of imports ${where}`
    }
  })
  if (user) {
    const why = `is imported here, and ${user.path} needs this file, too`
    return refuse(why, 'here if no other machine needs it')
  }
  if (isGenerated(text)) return refuse('is imported by a generated file', 'there by hand')
  const plan = doc.edit().removeIn('imports', sources.map(expr)).plan()
  return plan.ok
    ? { file: { path, before: text, after: plan.value.text } }
    : refuse("can't be taken out of imports here", 'there by hand')
}

/** What a module that goes does besides: the first such thing, and imports that no file that stays has. */
function extrasOf(
  file: ConfigurationFile,
  gone: ReadonlyMap<string, unknown>,
  { shipped, links }: Configuration
): Obstacle[] {
  const { path, text, doc } = file
  const extra = extraOf(doc, shipped.declared)
  const isKept = (target: string) =>
    gone.has(target) || links.some(it => it.path === target && !gone.has(it.importer))
  const kept = links.filter(it => it.importer === path && isKept(it.path)).map(it => it.spelling)
  const lost = importsIn(file).filter(it => it.path === undefined || !kept.includes(it.path))
  const imports = lost.map(it => ({ range: rangeOf(it), what: `imports ${it.source}` }))
  return [...(extra ? [extra] : []), ...imports].map(({ range, what }) => {
    return { kind: 'extra', path, text, range, what: `this module also ${what}` }
  })
}

function rangeOf({ node: { start, end } }: ImportItem): Range {
  return { start, end }
}

/**
 * Other modules are for every boot entry, and so is what becomes different without them: that is no part
 * of a run that a specialisation was named for.
 */
export function notForOneEntry(
  takeOver: TakeOver | undefined,
  path: string,
  specialisation: string | undefined
): ApplyProblem | undefined {
  const [first] = takeOver?.replaced ?? []
  if (specialisation === undefined || !first) return undefined
  return { code: 'TAKE_OVER_FIRST', path, name: specialisation, import: first }
}

/** Whether other modules that are replaced lie in this folder. */
export function holdsTheirs(folder: string, { modules }: TakeOver): boolean {
  return modules.some(it => dirname(it) === folder)
}

// Flakes, which are not edited.

/** Whether an expression, as it is written, is a module of a flake that declares options of ours. */
function isOfFlake(source: string): boolean {
  return /\bnixos-vfio\b|\bcrtified\b/i.test(source) && /\b(?:nixosModules?|modules)\b/.test(source)
}

/** The modules with options of ours in those lists of a flake that have the configuration, by its path. */
function listedByFlake({ target: file, shipped, sources }: Configuration): Obstacle[] {
  const flake = sources.flakeOf(file.path)
  if (!flake) return []
  const { path, text, doc } = flake
  const isForeign = (at: string) => {
    const found = sources.module(at)
    if (!found || stampOf(found.text) !== 'none') return false
    return declarationIn(walkImports(found, sources).files, shipped.own) !== undefined
  }
  const found: Obstacle[] = []
  const own = resolved('/', file.path)
  visit(doc, list => {
    if (list.type !== 'list_expression') return undefined
    const items = elementsOf(list).map(({ type, start, end }) => {
      const source = text.slice(start, end)
      const target = type === 'path_expression' ? resolved(path, source) : undefined
      return { source, range: { start, end }, target }
    })
    if (!items.some(it => it.target === own)) return undefined
    for (const { source, range, target } of items) {
      const isOther = target !== undefined && target !== own && isForeign(target)
      if (!isOther && !isOfFlake(source)) continue
      found.push({
        ...{ kind: 'flake', path, text, range },
        what: `the flake lists ${source}, which declares options of vfio-patch`,
        advice: `take it out of this list${isOfFlake(source) ? '; what you set under virtualisation can stay, and the input of the flake can go once nothing uses it' : ', and put it into the imports of the configuration, where it can be replaced'}`
      })
    }
    return undefined
  })
  return found
}

/** The files of the repository that fit a pattern and that the configuration does not import. */
function unknownFiles({ target, files, sources }: Configuration, pattern: RegExp): SourceFile[] {
  return sources
    .around(target.path, pattern)
    .filter(it => !files.some(known => known.path === it.path))
}

/** A place that may bring options of ours into the same system; whether it does, nobody can tell. */
export interface Doubt {
  path: string
  line: number
  /** What is there: the module that a flake names, or the option that a file declares. */
  name: string
}

/**
 * Places around a configuration that name or declare what would be declared twice, if its system has it
 * as well: a flake that names such a module elsewhere than together with the configuration, and files that
 * no fixed path in its imports leads to.
 */
export function doubtsAround(configuration: Configuration): Doubt[] {
  const { target, shipped, sources } = configuration
  const flake = sources.flakeOf(target.path)
  const lines = flake?.text.split('\n').map(it => it.replace(/(?:^|\s)#.*$/, '')) ?? []
  const index = lines.findIndex(isOfFlake)
  const names = [...new Set(shipped.own.map(it => it.at(-1) ?? ''))]
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
