// The modules that a file imports, as far as fixed paths in `imports` lead.

import { dirname, join } from 'node:path'
import {
  type AttrPath,
  type Expr,
  expr,
  formatPath,
  type ImportItem,
  type NixDocument
} from '../nix/index.ts'
import type { Files, SourceFile } from './files.ts'
import type { OversizeFile } from './repository.ts'
import { stampOf } from './stamp.ts'

// More files than any known configuration has; it ends loops made of links.
const MOST_FILES = 2000

/** A file of a configuration: the one that a run is about, or one that it imports. */
export interface ConfigurationFile extends SourceFile {
  /** The import in the first file that leads here, as it is written; undefined for the first file. */
  readonly importer: string | undefined
}

/** An import by a fixed path. */
export interface ImportLink {
  /** The file that has it. */
  importer: string
  /** The path in it. */
  spelling: string
  /** The file that it leads to, links resolved. */
  path: string
  /** Whether it is imported only under a condition. */
  isConditional: boolean
}

/** An import whose module was not read. */
export interface UnreadImport {
  /** The file that has it. */
  importer: string
  /** How it is written. */
  spelling: string
  /** Where it leads; undefined for a path that is computed. */
  path: string | undefined
  /** The file, if it was not read because it is too big. */
  oversize?: OversizeFile
}

/** All that fixed paths in `imports` lead to. */
export interface ImportWalk {
  /** The first file, then each imported one once; installed modules of this tool are not among them. */
  files: readonly ConfigurationFile[]
  /** Every import that leads to one of the files. */
  links: readonly ImportLink[]
  /** Every import that leads to an installed module of this tool; those are not followed. */
  installed: readonly ImportLink[]
  /** Imports that were not followed: nothing could be read there, or the path is computed. */
  unread: readonly UnreadImport[]
}

/** Where `walkImports` gets files from. */
export type ModuleSource = Pick<Files, 'module' | 'oversize'>

/** Follows the fixed paths in `imports` from a file on. Modules of nixpkgs are left out. */
export function walkImports(start: SourceFile, sources: ModuleSource): ImportWalk {
  const files = [inConfiguration(start, undefined)]
  const links: ImportLink[] = []
  const installed: ImportLink[] = []
  const unread: UnreadImport[] = []
  const seen = new Set([start.path])
  // Files that are found on the way are added, and followed as well.
  for (const file of files) {
    const importer = file.path
    unread.push(...computedImports(file).map(it => ({ importer, spelling: it, path: undefined })))
    for (const { path: spelling, isCertain } of file.imports) {
      if (spelling === undefined) continue
      if (!spelling.startsWith('.') && !spelling.startsWith('/')) {
        if (!isOfNixpkgs(spelling)) unread.push({ importer, spelling, path: undefined })
        continue
      }
      const path = join(spelling.startsWith('/') ? '/' : dirname(importer), spelling)
      const found = sources.module(path)
      if (!found) {
        const oversize = sources.oversize(path)
        unread.push({ importer, spelling, path, ...(oversize === undefined ? {} : { oversize }) })
        continue
      }
      const link = { importer, spelling, path: found.path, isConditional: !isCertain }
      if (stampOf(found.text) !== 'none') {
        installed.push(link)
        continue
      }
      links.push(link)
      if (!seen.has(found.path) && seen.size < MOST_FILES) {
        seen.add(found.path)
        files.push(inConfiguration(found, file.importer ?? spelling))
      }
    }
  }
  return { files, links, installed, unread }
}

/** A file with the import that leads to it; its `doc` is parsed only when it is used. */
function inConfiguration(file: SourceFile, importer: string | undefined): ConfigurationFile {
  return {
    path: file.path,
    text: file.text,
    importer,
    get doc() {
      return file.doc
    },
    get imports() {
      return file.imports
    }
  }
}

/** The declaration of an option of this tool in a file that is not its own. */
export interface Declaration {
  /** The file that declares the option. */
  path: string
  /** The import in the first file that leads there; undefined for the first file itself. */
  importer: string | undefined
  option: string
}

/** The first declaration of one of these options, or of one below it, in the files. */
export function declarationIn(
  files: readonly ConfigurationFile[],
  options: readonly AttrPath[]
): Declaration | undefined {
  for (const { path, doc, importer } of files) {
    // Two modules that declare one option are an error even if both are switched off.
    const option = options.find(it => declares(doc, it))
    if (option) return { path, importer, option: formatPath(option) }
  }
  return undefined
}

/** Whether a module declares this option, or one below it. */
export function declares(doc: NixDocument, option: AttrPath): boolean {
  const path = ['options', ...option]
  return doc.getIn(path).length > 0 || doc.getBelow(path).length > 0
}

/** The parts of `imports` that are no fixed path, as they are written. */
function computedImports(file: SourceFile): string[] {
  const items = importsIn(file).filter(it => it.path === undefined)
  const isList = (type: string) => type === 'list_expression' || type === 'with_expression'
  const others = file.doc.getIn('imports').filter(it => !isList(it.value.type))
  return [...items, ...others].map(it => it.source).filter(it => !isOfNixpkgs(it))
}

/** Whether an import is one of NixOS' own modules, as nixos-generate-config writes them. */
function isOfNixpkgs(spelling: string): boolean {
  return /^\(?\s*(?:"\$\{)?modulesPath\b/.test(spelling) || spelling.startsWith('<nixpkgs/')
}

type Imports = Pick<SourceFile, 'imports'>

/** The items of `imports` that lead to a path for which `isMeant` is true, whatever their spelling. */
export function importsTo(file: Imports, isMeant: (path: string) => boolean): Expr[] {
  return importsIn(file)
    .filter(({ path }) => path !== undefined && isMeant(path))
    .map(it => expr(it.source))
}

/** The items of `imports`, also computed ones, but no plain strings. */
export function importsIn({ imports }: Imports): ImportItem[] {
  return imports.filter(it => it.node.type !== 'string_expression' || it.source.includes('${'))
}
