// Taking the place of modules of somebody else that declare the options of ours: theirs are imported no
// more, and what a person set stays.

import { dirname } from 'node:path'
import type { Expr, NixDocument, Range } from '../../nix/index.ts'
import { type AttrPath, formatPath, parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Wanted } from '../../vfio/wanted.ts'
import { isGenerated } from '../kind.ts'
import { findOwnUses } from '../own/ownUses.ts'
import type { PlannedFile } from '../planApply.ts'
import type { ApplyProblem, Obstacle } from '../problem.ts'
import {
  declares,
  type ImportedModule,
  type ImportWalk,
  importsTo,
  type OwnImport
} from '../read/importClosure.ts'
import { isHandedOut, type ListedModule } from './flakeModules.ts'
import { isPassingOn, judgeModule } from './oldModule.ts'
import { oldValues, type TakeOverNote, unknownOptions } from './oldSettings.ts'

/** All that is looked at; nothing else is. */
export interface TakeOverInput {
  /** The configuration and what it imports. */
  walk: ImportWalk
  /** The options that only our modules declare, and all that these declare, each as a whole path. */
  own: readonly AttrPath[]
  declared: readonly AttrPath[]
  /** What the flake of the configuration lists beside it, with the files that this leads to. */
  listed: readonly { path: string; text: string; module: ListedModule; files: ImportedModule[] }[]
  /** Gives the files of the repository that the configuration does not import and that have such a word. */
  others: (word: string) => readonly { path: string; text: string }[]
}

/** How the place of other modules is taken. */
export interface TakeOver {
  /** The items that go from the configuration's own imports. */
  items: readonly Expr[]
  /** Other files of the configuration that lose an import. */
  files: readonly PlannedFile[]
  /** Each import that goes, and the reason. */
  replaced: readonly ReplacedImport[]
  /** The files of theirs, which stay on the disk. */
  modules: readonly string[]
  /** What keeps the configuration saying the same. */
  wanted: readonly Wanted[]
  notes: readonly TakeOverNote[]
}

export interface ReplacedImport {
  path: string
  line: number
  column: number
  /** The import as it is spelt. */
  spelling: string
  /** An option that it declares. */
  option: string
}

/**
 * Works out how our modules take the place of others that declare options of ours; undefined where no
 * other does, or the configuration itself. Theirs are taken out of the imports and not touched.
 *
 * `NOT_TAKEN_OVER` with all that would be lost, or mean something else: options that ours don't have,
 * values that these don't take, what else the modules do, and imports that can't be taken out.
 */
export function planTakeOver(input: TakeOverInput): Result<TakeOver | undefined, ApplyProblem> {
  const { walk, own } = input
  const modules = walk.modules.map(it => ({ ...it, doc: parseDocument(it.text) }))
  const [configuration, ...rest] = modules as [Module, ...Module[]]
  const optionOf = (doc: NixDocument) => own.find(it => declares(doc, it))
  const foreign = rest.filter(it => optionOf(it.doc) !== undefined)
  if (optionOf(configuration.doc)) return ok(undefined)
  const inFlake = input.listed.filter(
    it => isHandedOut(it.module.source) || it.files.some(file => optionOf(parseDocument(file.text)))
  )
  const gone = withPassingOn(foreign, rest, walk)
  const along = goingAlong(gone, rest, input)
  const staying = modules.filter(it => !gone.has(it.path))
  const handedOut = staying.flatMap(module => handedOutIn(module))
  if (foreign.length + inFlake.length + handedOut.length === 0) return ok(undefined)

  const judged = [...foreign, ...along].map(module => ({
    module,
    ...judgeModule(module.doc, input.declared)
  }))
  const others = judged.flatMap(it => it.others)
  const values = oldValues(staying, configuration, foreign)
  const imports = importsThatGo(staying, gone, walk)
  const edits = imports.filter(it => it.module !== configuration).map(it => planImporter(it, input))
  const obstacles: Obstacle[] = [
    ...inFlake.map(({ path, text, module: { source, range } }) => ({
      ...{ kind: 'flake' as const, path, text, range },
      what: `the flake lists ${source}, which declares options of vfio-patch`,
      advice: isHandedOut(source)
        ? 'take it out of this list; what you set under virtualisation can stay, and the input of the flake can go once nothing uses it'
        : 'take it out of this list, and put it into the imports of the configuration, where it can be replaced'
    })),
    ...unknownOptions(staying, input, others),
    ...values.obstacles,
    ...judged.flatMap(({ module, extras }) =>
      extras
        .filter(({ unless }) => !unless || !staying.some(it => it.doc.getIn(unless).length > 0))
        .map(({ range, what }) => ({
          ...{ kind: 'extra' as const, path: module.path, text: module.text, range },
          what: `this module also ${what}`
        }))
    ),
    ...foreign.flatMap(it => lostImports(it, gone, walk)),
    ...edits.flatMap(it => ('obstacle' in it ? [it.obstacle] : []))
  ]
  const [{ path }] = modules as [Module]
  if (obstacles.length > 0) {
    const order = [...walk.modules.map(it => it.path), ...input.listed.map(it => it.path)]
    obstacles.sort(
      (a, b) => order.indexOf(a.path) - order.indexOf(b.path) || a.range.start - b.range.start
    )
    return err({ code: 'NOT_TAKEN_OVER', path, obstacles })
  }
  return ok({
    items: imports.filter(it => it.module === configuration).flatMap(it => it.items),
    files: edits.flatMap(it => ('file' in it ? [it.file] : [])),
    replaced: imports.flatMap(({ module, items }) =>
      items.map(it => ({
        path: module.path,
        ...placeOf(module.text, rangeOf(module, it).start),
        spelling: it.source,
        option: optionBehind(module, it) ?? 'virtualisation.vfio'
      }))
    ),
    modules: foreign.map(it => it.path),
    wanted: values.wanted,
    notes: values.notes
  })

  /** The option that the files declare which an import leads to. */
  function optionBehind(module: Module, item: Expr): string | undefined {
    const start = walk.links.find(
      it =>
        it.importer === module.path &&
        importsTo(module.doc, at => at === it.spelling).some(at => at.source === item.source)
    )
    const waiting = start ? [start.path] : []
    for (const at of waiting) {
      const found = foreign.find(it => it.path === at)
      const option = found && optionOf(found.doc)
      if (option) return formatPath(option)
      waiting.push(
        ...walk.links
          .filter(it => it.importer === at && !waiting.includes(it.path))
          .map(it => it.path)
      )
    }
    return undefined
  }
}

export interface Module extends ImportedModule {
  doc: NixDocument
}

/** The files of theirs, and those that only pass them on. */
function withPassingOn(
  foreign: readonly Module[],
  rest: readonly Module[],
  { links, ours }: ImportWalk
): Set<string> {
  const gone = new Set(foreign.map(it => it.path))
  for (let size = 0; size < gone.size; ) {
    size = gone.size
    for (const { path, doc } of rest) {
      const inside = links.filter(it => it.importer === path)
      const isAll = inside.length > 0 && inside.every(it => gone.has(it.path))
      const isOurs = ours.some(it => it.importer === path)
      if (isAll && !isOurs && inside.length === doc.imports().length && isPassingOn(doc))
        gone.add(path)
    }
  }
  return gone
}

/**
 * Adds modules that only those that go import and that do nothing by themselves: they declare options,
 * which nobody may have set then.
 */
function goingAlong(
  gone: Set<string>,
  rest: readonly Module[],
  { walk, declared }: TakeOverInput
): Module[] {
  const along: Module[] = []
  // A file stands behind those that import it.
  for (const module of rest.filter(it => !gone.has(it.path))) {
    const importers = walk.links.filter(it => it.path === module.path)
    const isOnlyThere = importers.every(it => gone.has(it.importer))
    if (!isOnlyThere || judgeModule(module.doc, declared).extras.length > 0) continue
    gone.add(module.path)
    along.push(module)
  }
  return along
}

interface Importer {
  module: Module
  items: Expr[]
}

/** The imports that lead from what stays to what goes. */
function importsThatGo(
  staying: readonly Module[],
  gone: ReadonlySet<string>,
  { links }: ImportWalk
): Importer[] {
  return staying.flatMap(module => {
    const spellings = links
      .filter(it => it.importer === module.path && gone.has(it.path))
      .map(it => it.spelling)
    const items = [...importsTo(module.doc, it => spellings.includes(it)), ...handedOutIn(module)]
    return items.length > 0 ? [{ module, items }] : []
  })
}

/** Imports of modules that a flake hands out. */
function handedOutIn({ doc }: Module): Expr[] {
  return doc
    .itemsIn('imports')
    .filter((it): it is Expr => typeof it === 'object' && it !== null && 'source' in it)
    .filter(it => isHandedOut(it.source))
}

/** What a file becomes that is not the configuration, or why it can't lose the import. */
function planImporter(
  { module, items }: Importer,
  { others }: TakeOverInput
): { file: PlannedFile } | { obstacle: Obstacle } {
  const { path, text, doc } = module
  const range = rangeOf(module, items[0])
  const refuse = (what: string, advice: string) => ({
    obstacle: { kind: 'import' as const, path, text, range, what, advice }
  })
  const [word = ''] = path.split('/').slice(path.endsWith('/default.nix') ? -2 : -1)
  const files = new Set([path, path.replace(/\/default\.nix$/, '')])
  const user = others(word).find(
    it => findOwnUses(parseDocument(it.text), it.path, { options: [], files }).length > 0
  )
  const spelt = items.map(it => it.source).join(' and ')
  if (user) {
    return refuse(
      `${spelt} is imported here, and ${user.path} needs this file, too`,
      `take it out of imports here if no other machine needs it`
    )
  }
  if (isGenerated(text)) {
    return refuse(
      `${spelt} is imported by a generated file`,
      'take it out of imports there by hand'
    )
  }
  const plan = doc.edit().removeIn('imports', items).plan()
  return plan.ok
    ? { file: { path, before: text, after: plan.value.text } }
    : refuse(`${spelt} can't be taken out of imports here`, 'take it out of imports there by hand')
}

/** Imports of a module that goes, which nothing else has. */
function lostImports(
  { path, text, doc }: Module,
  gone: ReadonlySet<string>,
  { links, ours }: ImportWalk
): Obstacle[] {
  const isLost = (it: OwnImport) =>
    it.importer === path &&
    !gone.has(it.path) &&
    !links.some(other => other.path === it.path && !gone.has(other.importer))
  const lost = [...links, ...ours].filter(isLost).map(it => it.spelling)
  const computed = doc
    .itemsIn('imports')
    .filter((it): it is Expr => typeof it === 'object' && it !== null && 'source' in it)
    .filter(it => importsTo(doc, () => true).every(at => at.source !== it.source))
    .map(it => it.source)
  return [...lost, ...computed].map(spelling => ({
    kind: 'extra',
    path,
    text,
    range: rangeOf({ text, doc }, { source: spelling }),
    what: `this module also imports ${spelling}`
  }))
}

/** Where an item stands, by its spelling. */
function rangeOf(
  { text, doc }: Pick<Module, 'text' | 'doc'>,
  item: { source: string } | undefined
): Range {
  const [list] = doc.getIn('imports')
  const from = list?.value.start ?? 0
  const start = Math.max(from, text.indexOf(item?.source ?? '', from))
  return { start, end: start + (item?.source.length ?? 0) }
}

/**
 * Theirs are for every boot entry, and so is what becomes different without them: that is no part of a run
 * that a specialisation was named for.
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

/** Whether modules of theirs stand in this folder. */
export function holdsTheirs(folder: string, { modules }: TakeOver): boolean {
  return modules.some(it => dirname(it) === folder)
}
