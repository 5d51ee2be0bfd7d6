// The imports that lead to modules of somebody else, and how they go.

import {
  type ImportedModule,
  type ImportWalk,
  importsIn,
  importsTo,
  type ModuleDocument,
  type OwnImport
} from '../../configuration/imports.ts'
import { isGenerated } from '../../configuration/kind.ts'
import { type AttrPath, type Expr, parseDocument, type Range } from '../../nix/index.ts'
import type { PlannedFile } from '../changes.ts'
import type { Obstacle } from '../problem.ts'
import { findOwnUses } from '../removal/uses.ts'
import { isHandedOut, type ListedModule } from './flakeModules.ts'
import { isPassingOn, judgeModule } from './module.ts'

/** The files of theirs, and those that only pass them on. */
export function withPassingOn(
  foreign: readonly ModuleDocument[],
  rest: readonly ModuleDocument[],
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
export function goingAlong(
  gone: Set<string>,
  rest: readonly ModuleDocument[],
  { walk, declared }: Pick<TakeOverInput, 'walk' | 'declared'>
): ModuleDocument[] {
  const along: ModuleDocument[] = []
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

/** A file that stays, and those of its imports that go. */
export interface Importer {
  module: ModuleDocument
  items: Expr[]
}

/** The imports that lead from what stays to what goes. */
export function importsThatGo(
  staying: readonly ModuleDocument[],
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
export function handedOutIn({ doc }: ModuleDocument): Expr[] {
  return importsIn(doc).filter(it => isHandedOut(it.source))
}

/** What a file becomes that is not the configuration, or why it can't lose the import. */
export function planImporter(
  { module, items }: Importer,
  others: TakeOverInput['others']
): { file: PlannedFile } | { obstacle: Obstacle } {
  const { path, text, doc } = module
  const range = rangeOfImport(module, items[0])
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
export function lostImports(
  { path, text, doc }: ModuleDocument,
  gone: ReadonlySet<string>,
  { links, ours }: ImportWalk
): Obstacle[] {
  const isLost = (it: OwnImport) =>
    it.importer === path &&
    !gone.has(it.path) &&
    !links.some(other => other.path === it.path && !gone.has(other.importer))
  const lost = [...links, ...ours].filter(isLost).map(it => it.spelling)
  const computed = importsIn(doc)
    .filter(it => importsTo(doc, () => true).every(at => at.source !== it.source))
    .map(it => it.source)
  return [...lost, ...computed].map(spelling => ({
    kind: 'extra',
    path,
    text,
    range: rangeOfImport({ text, doc }, { source: spelling }),
    what: `this module also imports ${spelling}`
  }))
}

/** Where an item of `imports` stands, by its spelling. */
export function rangeOfImport(
  { text, doc }: Pick<ModuleDocument, 'text' | 'doc'>,
  item: { source: string } | undefined
): Range {
  const [list] = doc.getIn('imports')
  const from = list?.value.start ?? 0
  const start = Math.max(from, text.indexOf(item?.source ?? '', from))
  return { start, end: start + (item?.source.length ?? 0) }
}

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
