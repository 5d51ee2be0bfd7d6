// The modules that a file imports by literal paths in `imports`.

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

// More files than any known configuration has. The limit ends loops made of symlinks.
const MAX_FILES = 2000

/** A file of a configuration: the target of the run, or a file that the target imports. */
export interface ConfigurationFile extends SourceFile {
  /** The target's import that leads to this file, as written; undefined for the target. */
  readonly importedAs: string | undefined
}

/** An import by a literal path. */
export interface ImportLink {
  /** The file with the import. */
  importer: string
  /** The path as written. */
  spelling: string
  /** The imported file, with symlinks resolved. */
  path: string
  /** Whether the import is conditional. */
  isConditional: boolean
}

/** An import whose module was not read. */
export interface UnreadImport {
  /** The file with the import. */
  importer: string
  /** The import as written. */
  spelling: string
  /** The path of the module; undefined if it is computed. */
  path: string | undefined
  /** The file, if it was not read because of its size. */
  oversize?: OversizeFile
}

/** All modules that literal paths in `imports` lead to. */
export interface ImportWalk {
  /** The first file, then each imported file once, without installed modules of vfio-patch. */
  files: readonly ConfigurationFile[]
  /** Every import of one of `files`. */
  links: readonly ImportLink[]
  /** Every import of an installed module of vfio-patch. These are not followed. */
  installed: readonly ImportLink[]
  /** Imports that were not followed because the module can't be read or the path is computed. */
  unread: readonly UnreadImport[]
}

/** Where `walkImports` gets files from. */
export type ModuleSource = Pick<Files, 'module' | 'oversize'>

/** Follows the literal paths in `imports`, starting at a file. Modules of nixpkgs are left out. */
export function walkImports(start: SourceFile, sources: ModuleSource): ImportWalk {
  const files = [inConfiguration(start, undefined)]
  const links: ImportLink[] = []
  const installed: ImportLink[] = []
  const unread: UnreadImport[] = []
  const seen = new Set([start.path])
  // The loop adds the files that it finds, and visits them too.
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
      if (!seen.has(found.path) && seen.size < MAX_FILES) {
        seen.add(found.path)
        files.push(inConfiguration(found, file.importedAs ?? spelling))
      }
    }
  }
  return { files, links, installed, unread }
}

/** Adds `importedAs` to a file. `doc` is still parsed at first use. */
function inConfiguration(file: SourceFile, importedAs: string | undefined): ConfigurationFile {
  return {
    path: file.path,
    text: file.text,
    importedAs,
    get doc() {
      return file.doc
    },
    get imports() {
      return file.imports
    }
  }
}

/** A declaration of one of vfio-patch's options in another module. */
export interface Declaration {
  /** The file that declares the option. */
  path: string
  /** The target's import that leads to the file, as written; undefined for the target. */
  importedAs: string | undefined
  option: string
}

/** The first declaration in the files of one of these options or of an option below one. */
export function declarationIn(
  files: readonly ConfigurationFile[],
  options: readonly AttrPath[]
): Declaration | undefined {
  for (const { path, doc, importedAs } of files) {
    // Two declarations of one option are an error even if both modules are disabled.
    const option = options.find(it => declares(doc, it))
    if (option) return { path, importedAs, option: formatPath(option) }
  }
  return undefined
}

/** Whether a module declares this option or one below it. */
export function declares(doc: NixDocument, option: AttrPath): boolean {
  const path = ['options', ...option]
  return doc.getIn(path).length > 0 || doc.getBelow(path).length > 0
}

/** The parts of `imports` that are not literal paths, as written. */
function computedImports(file: SourceFile): string[] {
  const items = importsIn(file).filter(it => it.path === undefined)
  const isList = (type: string) => type === 'list_expression' || type === 'with_expression'
  const others = file.doc.getIn('imports').filter(it => !isList(it.value.type))
  return [...items, ...others].map(it => it.source).filter(it => !isOfNixpkgs(it))
}

/** Whether an import is a module of NixOS itself, as nixos-generate-config writes it. */
function isOfNixpkgs(spelling: string): boolean {
  return /^\(?\s*(?:"\$\{)?modulesPath\b/.test(spelling) || spelling.startsWith('<nixpkgs/')
}

type Imports = Pick<SourceFile, 'imports'>

/** The items of `imports` whose path, as written, satisfies `isMeant`. */
export function importsTo(file: Imports, isMeant: (path: string) => boolean): Expr[] {
  return importsIn(file)
    .filter(({ path }) => path !== undefined && isMeant(path))
    .map(it => expr(it.source))
}

/** The items of `imports`, including computed ones but not plain strings. */
export function importsIn({ imports }: Imports): ImportItem[] {
  return imports.filter(it => it.node.type !== 'string_expression' || it.source.includes('${'))
}
