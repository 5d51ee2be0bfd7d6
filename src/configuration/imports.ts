import { dirname, join } from 'node:path'
import {
  type AttrPath,
  type Expr,
  formatPath,
  type NixDocument,
  type NixValue,
  parseDocument
} from '../nix/index.ts'
import { stampOf } from './stamp.ts'

/** Gives a file's text, or that of a folder's default.nix; undefined if there is none to read. */
export type ReadModule = (path: string) => { path: string; text: string } | undefined

/** What the files say that a configuration imports, as far as fixed paths lead. */
export interface ImportClosure {
  /** The folders of ours that are imported, and by whom. */
  ours: OwnFolder[]
  /** The first declaration of one of our options in a file that is not ours, the configuration included. */
  foreign: Declaration | undefined
}

export interface OwnFolder {
  /** The folder, links resolved. */
  path: string
  /** The file that imports it. */
  importer: string
}

export interface Declaration {
  /** The file that declares the option. */
  path: string
  /** The import in the configuration that leads there; undefined for the configuration itself. */
  importer: string | undefined
  option: string
}

// More files than any configuration at hand has; the bound is there for loops made of links.
const MOST_FILES = 2000

/** A module that a configuration imports, or the configuration itself. */
export interface ImportedModule {
  path: string
  text: string
  /** The import in the configuration that leads there; undefined for the configuration. */
  importer: string | undefined
}

/** The same, parsed. */
export interface ModuleDocument extends ImportedModule {
  doc: NixDocument
}

/** An import by a fixed path. */
export interface ImportLink {
  /** The file that has it. */
  importer: string
  /** The path in it. */
  spelling: string
  /** The file that it leads to, links resolved. */
  path: string
}

/** An import that leads to a module of ours. */
export type OwnImport = ImportLink

/** All that fixed paths in `imports` lead to. */
export interface ImportWalk {
  /** The configuration first; each file once, and none of ours. */
  modules: ImportedModule[]
  ours: OwnImport[]
  /** Every import that leads to one of the modules. */
  links: ImportLink[]
  /** Imports that were not followed: nothing could be read there, or the path is computed. */
  unread: UnreadImport[]
}

/** An import whose module was not read. */
export interface UnreadImport {
  /** The file that has it. */
  importer: string
  /** How it is written. */
  spelling: string
  /** Where it leads; undefined for one that is no fixed path. */
  path: string | undefined
}

/**
 * Follows the fixed paths in `imports` from a configuration on. Files that can't be read are passed
 * over, and those of ours are not entered.
 */
export function walkImports(
  configuration: { path: string; text: string },
  read: ReadModule
): ImportWalk {
  const walk: ImportWalk = {
    modules: [{ ...configuration, importer: undefined }],
    ours: [],
    links: [],
    unread: []
  }
  const seen = new Set<string>([configuration.path])
  // What is found on the way is followed as well.
  for (const module of walk.modules) {
    const doc = parseDocument(module.text)
    const unread = (spelling: string, path?: string) =>
      walk.unread.push({ importer: module.path, spelling, path })
    for (const spelling of computedImports(doc)) unread(spelling)
    for (const spelling of doc.imports()) {
      if (!spelling.startsWith('.') && !spelling.startsWith('/')) {
        if (!isOfNixpkgs(spelling)) unread(spelling)
        continue
      }
      const path = join(spelling.startsWith('/') ? '/' : dirname(module.path), spelling)
      const target = read(path)
      if (!target) {
        unread(spelling, path)
        continue
      }
      if (stampOf(target.text) !== 'none') {
        walk.ours.push({ importer: module.path, spelling, path: target.path })
        continue
      }
      walk.links.push({ importer: module.path, spelling, path: target.path })
      if (!seen.has(target.path) && seen.size < MOST_FILES) {
        seen.add(target.path)
        walk.modules.push({ ...target, importer: module.importer ?? spelling })
      }
    }
  }
  return walk
}

/** What the files say that a configuration imports, of options of ours (`own`) and their modules. */
export function followImports(
  configuration: { path: string; text: string },
  read: ReadModule,
  own: readonly AttrPath[]
): ImportClosure {
  const { modules, ours } = walkImports(configuration, read)
  const closure: ImportClosure = {
    ours: ours.map(({ path, importer }) => ({ path: dirname(path), importer })),
    foreign: undefined
  }
  for (const { path, text, importer } of modules) {
    const doc = parseDocument(text)
    // Two modules that declare one option are an error even if both are switched off.
    const option = own.find(it => declares(doc, it))
    if (option === undefined) continue
    closure.foreign = { path, importer, option: formatPath(option) }
    break
  }
  return closure
}

/** Whether a module declares this option, or one below it. */
export function declares(doc: NixDocument, option: AttrPath): boolean {
  const path = ['options', ...option]
  return doc.getIn(path).length > 0 || doc.getBelow(path).length > 0
}

/** What `imports` has besides fixed paths, as it is written. */
function computedImports(doc: NixDocument): string[] {
  const items = importsIn(doc).map(it => it.source)
  const isList = (type: string) => type === 'list_expression' || type === 'with_expression'
  const others = doc.getIn('imports').filter(it => !isList(it.value.type))
  const isPath = (source: string) =>
    parseDocument(`{ imports = [ (${source}\n) ]; }`).imports().length > 0
  return [...items.filter(it => !isPath(it)), ...others.map(it => it.source)].filter(
    it => !isOfNixpkgs(it)
  )
}

/** Whether an import is one of NixOS' own modules, as nixos-generate-config writes them. */
function isOfNixpkgs(spelling: string): boolean {
  return /^\(?\s*(?:"\$\{)?modulesPath\b/.test(spelling) || spelling.startsWith('<nixpkgs/')
}

/** The items of `imports` that lead to such a path, in whatever spelling. */
export function importsTo(doc: NixDocument, isMeant: (spelling: string) => boolean): Expr[] {
  return importsIn(doc).filter(({ source }) => {
    const [spelling] = parseDocument(`{ imports = [ (${source}\n) ]; }`).imports()
    return spelling !== undefined && isMeant(spelling)
  })
}

/** The items of `imports` as they are spelt, also those that no path can be told of. */
export function importsIn(doc: NixDocument): Expr[] {
  return doc.itemsIn('imports').filter(it => isExpr(it))
}

function isExpr(value: NixValue): value is Expr {
  return typeof value === 'object' && value !== null && 'source' in value
}

// The first line of a file that we install: which version wrote it, and what the rest was then.
