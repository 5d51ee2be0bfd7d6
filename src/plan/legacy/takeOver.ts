// Taking the place of modules of somebody else that declare the options of ours: theirs are imported no
// more, and what a person set stays.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  declares,
  type ImportWalk,
  importsTo,
  type ModuleDocument,
  walkImports
} from '../../configuration/imports.ts'
import { declaredOptions, ownOptions } from '../../configuration/modules.ts'
import { moduleReader, nixFilesAround } from '../../configuration/read.ts'
import { stampOf } from '../../configuration/stamp.ts'
import {
  type AttrPath,
  type Expr,
  formatPath,
  type NixDocument,
  parseDocument
} from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Wanted } from '../../settings/options.ts'
import type { PlannedFile } from '../changes.ts'
import type { ApplyProblem, Obstacle, ReplacedImport } from '../problem.ts'
import { isHandedOut, listedBeside } from './flakeModules.ts'
import {
  goingAlong,
  handedOutIn,
  importsThatGo,
  lostImports,
  planImporter,
  rangeOfImport,
  type TakeOverInput,
  withPassingOn
} from './imports.ts'
import { type Extra, judgeModule } from './module.ts'
import { oldValues, type TakeOverNote, unknownOptions } from './values.ts'

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
  const [configuration, ...rest] = modules as [ModuleDocument, ...ModuleDocument[]]
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
  const edits = imports
    .filter(it => it.module !== configuration)
    .map(it => planImporter(it, input.others))
  const obstacles = [
    ...inFlake.map(inList),
    ...unknownOptions(staying, input, others),
    ...values.obstacles,
    ...judged.flatMap(it => doingMore(it, staying)),
    ...foreign.flatMap(it => lostImports(it, gone, walk)),
    ...edits.flatMap(it => ('obstacle' in it ? [it.obstacle] : []))
  ]
  if (obstacles.length > 0) {
    const order = [...walk.modules.map(it => it.path), ...input.listed.map(it => it.path)]
    obstacles.sort(
      (a, b) => order.indexOf(a.path) - order.indexOf(b.path) || a.range.start - b.range.start
    )
    return err({ code: 'NOT_TAKEN_OVER', path: configuration.path, obstacles })
  }
  const options = new Map(foreign.map(it => [it.path, optionOf(it.doc)]))
  return ok({
    items: imports.filter(it => it.module === configuration).flatMap(it => it.items),
    files: edits.flatMap(it => ('file' in it ? [it.file] : [])),
    replaced: imports.flatMap(({ module, items }) =>
      items.map(it => ({
        path: module.path,
        ...placeOf(module.text, rangeOfImport(module, it).start),
        spelling: it.source,
        option: formatPath(optionBehind(module, it, walk, options) ?? ['virtualisation', 'vfio'])
      }))
    ),
    modules: foreign.map(it => it.path),
    wanted: values.wanted,
    notes: values.notes
  })
}

/** A module that the flake lists beside the configuration. */
function inList({
  path,
  text,
  module: { source, range }
}: TakeOverInput['listed'][number]): Obstacle {
  return {
    ...{ kind: 'flake', path, text, range },
    what: `the flake lists ${source}, which declares options of vfio-patch`,
    advice: isHandedOut(source)
      ? 'take it out of this list; what you set under virtualisation can stay, and the input of the flake can go once nothing uses it'
      : 'take it out of this list, and put it into the imports of the configuration, where it can be replaced'
  }
}

/** What a module that goes does besides declaring options, but for what the files that stay say as well. */
function doingMore(
  { module, extras }: { module: ModuleDocument; extras: readonly Extra[] },
  staying: readonly ModuleDocument[]
): Obstacle[] {
  const isSaid = ({ unless }: Extra) =>
    unless !== undefined && staying.some(it => it.doc.getIn(unless).length > 0)
  return extras
    .filter(it => !isSaid(it))
    .map(({ range, what }) => ({
      ...{ kind: 'extra', path: module.path, text: module.text, range },
      what: `this module also ${what}`
    }))
}

/** The option that the files declare which an import leads to; `options` has theirs by file. */
function optionBehind(
  module: ModuleDocument,
  item: Expr,
  { links }: ImportWalk,
  options: ReadonlyMap<string, AttrPath | undefined>
): AttrPath | undefined {
  const start = links.find(
    it =>
      it.importer === module.path &&
      importsTo(module.doc, at => at === it.spelling).some(at => at.source === item.source)
  )
  const waiting = start ? [start.path] : []
  for (const at of waiting) {
    const option = options.get(at)
    if (option) return option
    const next = links.filter(it => it.importer === at && !waiting.includes(it.path))
    waiting.push(...next.map(it => it.path))
  }
  return undefined
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

/**
 * Looks for other modules that declare options of ours, in what the configuration imports and in what a
 * flake lists beside it, and plans to take their place: see `planTakeOver`. `shipped` are our modules.
 */
export function readTakeOver(
  configuration: { path: string; text: string },
  root: string,
  shipped: readonly string[]
): Result<TakeOver | undefined, ApplyProblem> {
  const read = moduleReader(root)
  const walk = walkImports(configuration, read)
  const known = new Set(walk.modules.map(it => it.path))
  return planTakeOver({
    walk,
    own: ownOptions(shipped),
    declared: declaredOptions(shipped),
    listed: listedIn(configuration.path, read),
    others: word => {
      const pattern = new RegExp(word.replace(/[^\w]/g, '\\$&'))
      return nixFilesAround(configuration.path, pattern).filter(it => !known.has(it.path))
    }
  })
}

function listedIn(path: string, read: ReturnType<typeof moduleReader>): TakeOverInput['listed'] {
  const flake = nearestFlake(path)
  if (!flake) return []
  return listedBeside(flake, path).map(module => {
    const found = module.path === undefined ? undefined : read(module.path)
    const isOurs = found !== undefined && stampOf(found.text) !== 'none'
    const files = found && !isOurs ? walkImports(found, read).modules : []
    return { ...flake, module, files }
  })
}

function nearestFlake(path: string): { path: string; text: string } | undefined {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const flake = join(folder, 'flake.nix')
    if (!existsSync(flake)) continue
    try {
      return { path: flake, text: readFileSync(flake).toString() }
    } catch {
      // What can't be read is no obstacle: Nix will tell of options that are declared twice.
      return undefined
    }
  }
  return undefined
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
 * as well: a flake that names such a module elsewhere than beside the configuration, and files that no
 * fixed path in its imports leads to. `shipped` are our modules.
 */
export function doubtsAround(
  configuration: { path: string; text: string },
  root: string,
  shipped: readonly string[]
): Doubt[] {
  const { path } = configuration
  const flake = nearestFlake(path)
  const lines = flake?.text.split('\n').map(it => it.replace(/(?:^|\s)#.*$/, '')) ?? []
  const line = lines.findIndex(isHandedOut)
  const known = new Set(walkImports(configuration, moduleReader(root)).modules.map(it => it.path))
  const own = ownOptions(shipped)
  const names = [...new Set(own.map(it => it.at(-1) ?? ''))]
  const pattern = new RegExp(`\\boptions\\b[^]*\\b(?:${names.join('|')})\\b`)
  const files = nixFilesAround(path, pattern).filter(
    it => !known.has(it.path) && stampOf(it.text) === 'none'
  )
  return [
    ...(flake && line !== -1
      ? [{ path: flake.path, line: line + 1, name: lines[line]?.trim() ?? '' }]
      : []),
    ...files.flatMap(file => {
      const doc = parseDocument(file.text)
      const option = own.find(it => declares(doc, it))
      const at =
        option && [...doc.getIn(['options', ...option]), ...doc.getBelow(['options', ...option])][0]
      return option ? [{ path: file.path, line: at?.at.line ?? 1, name: formatPath(option) }] : []
    })
  ]
}
