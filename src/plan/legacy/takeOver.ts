// Our modules take the place of others that declare the same options: those are no longer imported, and
// what a person set stays.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  declares,
  followImports,
  type ImportWalk,
  importsIn,
  importsTo,
  type ModuleDocument
} from '../../configuration/imports.ts'
import { isGenerated } from '../../configuration/kind.ts'
import { declaredOptions, ownOptions } from '../../configuration/modules.ts'
import { moduleReader, nixFilesAround } from '../../configuration/read.ts'
import { stampOf } from '../../configuration/stamp.ts'
import {
  type AttrPath,
  type Expr,
  formatPath,
  type NixDocument,
  parseDocument,
  type Range,
  visit
} from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { elementsOf } from '../../nix/syntax/shape.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Wanted } from '../../settings/options.ts'
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
  wanted: readonly Wanted[]
  notes: readonly TakeOverNote[]
}

type File = Pick<ModuleDocument, 'path' | 'doc'>

/** All that is looked at; nothing else is. */
export interface TakeOverInput {
  /** The configuration and the files that it imports. */
  modules: readonly ModuleDocument[]
  walk: Pick<ImportWalk, 'links' | 'ours'>
  /** The options that only our modules declare, and all that these declare, each as a whole path. */
  own: readonly AttrPath[]
  declared: readonly AttrPath[]
  /** The modules with options of ours that a flake lists together with the configuration. */
  listed: readonly Obstacle[]
  /** Gives the files of the repository that the configuration does not import and that have such a word. */
  others: (word: string) => readonly File[]
}

/**
 * Works out how our modules take the place of others that declare options of ours; undefined where no
 * other does, or the configuration itself. The others are taken out of the imports and not touched.
 *
 * `NOT_TAKEN_OVER` with all that would be lost, or mean something else: options that ours don't have,
 * values that these don't take, what a module does besides, and imports that can't be taken out.
 */
export function planTakeOver(input: TakeOverInput): Result<TakeOver | undefined, ApplyProblem> {
  const { modules, listed, declared } = input
  const [configuration] = modules as [ModuleDocument]
  const foreign = modules.filter(it => optionOf(it.doc, input) !== undefined)
  if (foreign.includes(configuration)) return ok(undefined)
  const gone = replacedModules(foreign, input)
  const staying = modules.filter(it => !gone.has(it.path))
  const imports = staying.flatMap(it => replacedImports(it, gone, input))
  if (imports.length + listed.length === 0) return ok(undefined)

  const values = legacyValues(staying, foreign)
  const others = modules
    .filter(it => gone.has(it.path))
    .flatMap(it => otherOptions(it.doc, declared))
  const edits = staying
    .filter(it => it !== configuration)
    .map(module => planImporter(module, imports, input.others))
  const obstacles = [
    ...listed,
    ...unknownOptions(staying, input, others),
    ...values.obstacles,
    ...foreign.flatMap(it => extrasOf(it, gone, input)),
    ...edits.flatMap(it => it.obstacle ?? [])
  ]
  if (obstacles.length > 0) {
    const order = [...modules, ...listed].map(it => it.path)
    obstacles.sort(
      (a, b) => order.indexOf(a.path) - order.indexOf(b.path) || a.range.start - b.range.start
    )
    return err({ code: 'NOT_TAKEN_OVER', path: configuration.path, obstacles })
  }
  return ok({
    items: imports.filter(it => it.module === configuration).map(it => it.item),
    files: edits.flatMap(it => it.file ?? []),
    replaced: imports.map(({ module: { path, text, doc }, item, option }) => ({
      path,
      ...placeOf(text, rangeOfImport(doc, item).start),
      spelling: item.source,
      option: formatPath(option)
    })),
    modules: foreign.map(it => it.path),
    wanted: values.wanted,
    notes: values.notes
  })
}

function optionOf(doc: NixDocument, { own }: Pick<TakeOverInput, 'own'>): AttrPath | undefined {
  return own.find(it => declares(doc, it))
}

/**
 * The modules that go, and an option of ours that each declares or imports: those that declare some,
 * those that do nothing but import such, and what only they import if that does nothing by itself.
 */
function replacedModules(
  foreign: readonly ModuleDocument[],
  input: TakeOverInput
): Map<string, AttrPath | undefined> {
  const [, ...rest] = input.modules
  const { links, ours } = input.walk
  const gone = new Map(foreign.map(it => [it.path, optionOf(it.doc, input)]))
  // A file comes after those that import it.
  for (const { path, doc } of [...rest].reverse()) {
    const inside = links.filter(it => it.importer === path)
    const isAll = inside.length > 0 && inside.length === doc.imports().length
    const isOurs = ours.some(it => it.importer === path)
    const goes = isAll && !isOurs && inside.every(it => gone.has(it.path)) && isOnlyImports(doc)
    if (goes && !gone.has(path)) gone.set(path, gone.get(inside[0]?.path ?? ''))
  }
  for (const { path, doc } of rest) {
    const importers = links.filter(it => it.path === path)
    const isOnlyTheirs = importers.every(it => gone.has(it.importer))
    if (!gone.has(path) && isOnlyTheirs && !extraOf(doc, input.declared)) gone.set(path, undefined)
  }
  return gone
}

interface ImportOfModule {
  module: ModuleDocument
  item: Expr
  option: AttrPath
}

/** The imports in a file that stays of modules that go, also of those that a flake provides. */
function replacedImports(
  module: ModuleDocument,
  gone: ReadonlyMap<string, AttrPath | undefined>,
  { walk: { links } }: TakeOverInput
): ImportOfModule[] {
  const own = links.filter(it => it.importer === module.path && gone.has(it.path))
  return importsIn(module.doc).flatMap(item => {
    const link = own.find(link =>
      importsTo(module.doc, it => it === link.spelling).some(it => it.source === item.source)
    )
    const option = (link && gone.get(link.path)) ?? ['virtualisation', 'vfio']
    return link || isOfFlake(item.source) ? [{ module, item, option }] : []
  })
}

/** What a file becomes that is not the configuration, or why it can't lose its imports. */
function planImporter(
  { path, text, doc }: ModuleDocument,
  imports: readonly ImportOfModule[],
  others: TakeOverInput['others']
): { file?: PlannedFile; obstacle?: Obstacle } {
  const items = imports.filter(it => it.module.path === path).map(it => it.item)
  const [first] = items
  if (!first) return {}
  const [word = ''] = path.split('/').slice(path.endsWith('/default.nix') ? -2 : -1)
  const files = new Set([path, path.replace(/\/default\.nix$/, '')])
  const user = others(word).find(
    it => findOwnUses(it.doc, it.path, { options: [], files }).length > 0
  )
  const plan = doc.edit().removeIn('imports', items).plan()
  if (!user && !isGenerated(text) && plan.ok)
    return { file: { path, before: text, after: plan.value.text } }
  const sources = items.map(it => it.source).join(' and ')
  const [why, where] = user
    ? [
        `is imported here, and ${user.path} needs this file, too`,
        'here if no other machine needs it'
      ]
    : [
        isGenerated(text)
          ? 'is imported by a generated file'
          : "can't be taken out of imports here",
        'there by hand'
      ]
  return {
    obstacle: {
      ...{ kind: 'import', path, text, range: rangeOfImport(doc, first) },
      what: `${sources} ${why}`,
      advice: `take it out of imports ${where}`
    }
  }
}

/** What a module that goes does besides: the first such thing, and imports that no file that stays has. */
function extrasOf(
  { path, text, doc }: ModuleDocument,
  gone: ReadonlyMap<string, unknown>,
  { declared, walk: { links } }: TakeOverInput
): Obstacle[] {
  const extra = extraOf(doc, declared)
  const isKept = (target: string) =>
    gone.has(target) || links.some(it => it.path === target && !gone.has(it.importer))
  const kept = links.filter(it => it.importer === path && isKept(it.path)).map(it => it.spelling)
  const sources = importsTo(doc, it => kept.includes(it)).map(it => it.source)
  const lost = importsIn(doc).filter(it => !sources.includes(it.source))
  const imports = lost.map(it => ({
    range: rangeOfImport(doc, it),
    what: `imports ${it.source}`
  }))
  return [...(extra ? [extra] : []), ...imports].map(({ range, what }) => {
    return { kind: 'extra', path, text, range, what: `this module also ${what}` }
  })
}

function rangeOfImport(doc: NixDocument, { source }: Expr): Range {
  const [list] = doc.getIn('imports')
  const from = list?.value.start ?? 0
  const start = Math.max(from, doc.text.indexOf(source, from))
  return { start, end: start + source.length }
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

/**
 * The modules with options of ours in those lists of a flake that have the configuration, by its path.
 * `isForeign` says it of the file at a path.
 */
export function listedByFlake(
  { path, doc }: File,
  configuration: string,
  isForeign: (path: string) => boolean
): Obstacle[] {
  const { text } = doc
  const found: Obstacle[] = []
  const own = resolved('/', configuration)
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

function nearestFlake(path: string): File | undefined {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const flake = join(folder, 'flake.nix')
    if (!existsSync(flake)) continue
    try {
      return { path: flake, doc: parseDocument(readFileSync(flake).toString()) }
    } catch {
      // What can't be read is no obstacle: Nix will tell of options that are declared twice.
      return undefined
    }
  }
  return undefined
}

// What is read for it.

/**
 * Looks for other modules that declare options of ours, in what the configuration imports and in what a
 * flake lists together with it, and plans to take their place: see `planTakeOver`. `shipped` are our
 * modules.
 */
export function readTakeOver(
  modules: readonly ModuleDocument[],
  walk: ImportWalk,
  root: string,
  shipped: readonly string[]
): Result<TakeOver | undefined, ApplyProblem> {
  const [{ path }] = modules as [ModuleDocument]
  const own = ownOptions(shipped)
  const read = moduleReader(root)
  const flake = nearestFlake(path)
  const isForeign = (target: string) => {
    const found = read(target)
    const isOurs = found !== undefined && stampOf(found.text) !== 'none'
    return found !== undefined && !isOurs && followImports(found, read, own).foreign !== undefined
  }
  return planTakeOver({
    modules,
    walk,
    own,
    declared: declaredOptions(shipped),
    listed: flake ? listedByFlake(flake, path, isForeign) : [],
    others: word => unknownFiles(modules, new RegExp(word.replace(/[^\w]/g, '\\$&')))
  })
}

/** The files of the repository that fit a pattern and are none of these. */
function unknownFiles(modules: readonly ModuleDocument[], pattern: RegExp): File[] {
  const [{ path }] = modules as [ModuleDocument]
  return nixFilesAround(path, pattern)
    .filter(it => !modules.some(known => known.path === it.path))
    .map(it => ({ path: it.path, doc: parseDocument(it.text) }))
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
 * no fixed path in its imports leads to. `modules` are the configuration and what it imports.
 */
export function doubtsAround(
  modules: readonly ModuleDocument[],
  shipped: readonly string[]
): Doubt[] {
  const [{ path }] = modules as [ModuleDocument]
  const flake = nearestFlake(path)
  const lines = flake?.doc.text.split('\n').map(it => it.replace(/(?:^|\s)#.*$/, '')) ?? []
  const index = lines.findIndex(isOfFlake)
  const own = ownOptions(shipped)
  const names = [...new Set(own.map(it => it.at(-1) ?? ''))]
  const pattern = new RegExp(`\\boptions\\b[^]*\\b(?:${names.join('|')})\\b`)
  const declaring = unknownFiles(modules, pattern).flatMap(file => {
    const option = stampOf(file.doc.text) === 'none' ? optionOf(file.doc, { own }) : undefined
    if (!option) return []
    const at = ['options', ...option]
    const [first] = [...file.doc.getIn(at), ...file.doc.getBelow(at)]
    return [{ path: file.path, line: first?.at.line ?? 1, name: formatPath(option) }]
  })
  const named = { path: flake?.path ?? '', line: index + 1, name: lines[index]?.trim() ?? '' }
  return index === -1 ? declaring : [named, ...declaring]
}
