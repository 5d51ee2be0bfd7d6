// The files that a run reads, each only once, so that the whole plan is based on the same texts.

import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type ImportItem, type NixDocument, parseDocument } from '../nix/index.ts'
import type { Result } from '../nix/result.ts'
import { isTransientName } from '../storage/commit.ts'
import type { FileProblem } from '../storage/problem.ts'
import { attempt, reading } from '../storage/system.ts'
import { trace } from '../trace.ts'
import {
  inRoot,
  nearestFlake,
  nixFilesAround,
  type OversizeFile,
  oversizeFile,
  readText
} from './repository.ts'

/** A Nix file that was read. */
export interface SourceFile {
  /** With symlinks resolved. */
  readonly path: string
  readonly text: string
  /** Parsed at first use. */
  readonly doc: NixDocument
  /** The items of its `imports`. */
  readonly imports: readonly ImportItem[]
}

/**
 * The entries of a folder by name; files in `_lib` by their path from the folder. The value is null for a
 * subfolder and for a file over the size limit. A string if there is no folder at the path.
 */
export type FolderListing = ReadonlyMap<string, SourceFile | null> | 'absent' | 'not-a-folder'

/** Reads files for one run, each once: later changes on disk are not seen. */
export interface Files {
  /** `/`, or the root folder of the system that the run is about. */
  readonly root: string
  /**
   * The file at a path, or the default.nix of the folder there. Absolute paths are relative to the root.
   * Undefined if the file does not exist, can't be read or has more than `MAX_BYTES`.
   */
  module(path: string): SourceFile | undefined
  /** The file that `module` does not return because it has more than `MAX_BYTES`. */
  oversize(path: string): OversizeFile | undefined
  /** Adds a file that was read elsewhere, so that it is not read again. `path` has symlinks resolved. */
  adopt(path: string, text: string): SourceFile
  /**
   * The folder at a path, with symlinks resolved, and its entries without vfio-patch's temporary files.
   * The error says why it can't be read.
   */
  folder(path: string): Result<{ path: string; listing: FolderListing }, FileProblem>
  /** The Nix files in a file's repository whose text matches a pattern; see `nixFilesAround`. */
  around(path: string, pattern: RegExp): SourceFile[]
  /** The flake.nix in the nearest parent folder of a file; undefined if there is none or it can't be read. */
  flakeOf(path: string): SourceFile | undefined
  /** The paths that were read or searched and have another result now. */
  changed(): string[]
}

/** Reads files below a root, each at first use. */
export function openFiles(root: string): Files {
  const modules = new Map<string, SourceFile | undefined>()
  const byPath = new Map<string, SourceFile>()
  const folders = new Map<string, ReturnType<Files['folder']>>()
  /** The result of each search as JSON, and a function that repeats it. */
  const searches: { path: string; found: string; repeat: () => string }[] = []
  const search = <T>(path: string, found: T, repeat: () => T) => {
    searches.push({ path, found: JSON.stringify(found), repeat: () => JSON.stringify(repeat()) })
    return found
  }
  const module = (path: string) => {
    const outer = inRoot(path, root)
    if (modules.has(outer)) return modules.get(outer)
    const found = readModule(outer, byPath)
    modules.set(outer, found)
    trace(found ? `files: read ${describe(outer, found)}` : `files: can't read ${outer}`)
    if (found) byPath.set(found.path, found)
    return found
  }
  return {
    root,
    module,
    oversize: path => oversizeFile(inRoot(path, root)),
    adopt(path, text) {
      const file = sourceFile(path, text)
      modules.set(path, file)
      byPath.set(path, file)
      return file
    },
    folder(path) {
      const known = folders.get(path)
      if (known) return known
      const found = readFolder(path)
      folders.set(path, found)
      trace(`files: folder ${path}: ${describeFolder(found)}`)
      return found
    },
    around(path, pattern) {
      const found = nixFilesAround(path, pattern, module)
      const pathsOf = (files: readonly SourceFile[]) => files.map(it => it.path)
      const again = () => nixFilesAround(path, pattern, it => readModule(it))
      search(path, pathsOf(found), () => pathsOf(again()))
      trace(`files: search around ${path}: ${found.length} files match`)
      return found
    },
    flakeOf(path) {
      const flake = search(path, nearestFlake(path) ?? null, () => nearestFlake(path) ?? null)
      return flake === null ? undefined : module(flake)
    },
    changed: () =>
      [
        ...[...modules].filter(([path, was]) => !isSameFile(was, readModule(path))),
        ...[...folders].filter(([path, was]) => !isSameFolder(was, readFolder(path))),
        ...searches.filter(it => it.found !== it.repeat()).map(it => [it.path] as const)
      ].map(([path]) => path)
  }
}

function describe(path: string, file: SourceFile): string {
  const target = file.path === path ? '' : ` (${file.path})`
  return `${path}${target}, ${file.text.length} characters`
}

function describeFolder(found: ReturnType<Files['folder']>): string {
  if (!found.ok) return found.error.code
  const { listing } = found.value
  return typeof listing === 'string' ? listing : `${listing.size} entries`
}

/** A file with this text, parsed when its `doc` is first used. */
export function sourceFile(path: string, text: string): SourceFile {
  const doc = once(() => parseDocument(text))
  const imports = once(() => doc().importItems())
  return {
    path,
    text,
    get doc() {
      return doc()
    },
    get imports() {
      return imports()
    }
  }
}

/** A function that computes its value at the first call and returns the same value from then on. */
export function once<T>(compute: () => T): () => T {
  let result: { value: T } | undefined
  return () => {
    result ??= { value: compute() }
    return result.value
  }
}

/** The file at a path. Not read again if `known` has it under its path without symlinks. */
function readModule(path: string, known?: ReadonlyMap<string, SourceFile>): SourceFile | undefined {
  try {
    const file = statSync(path).isDirectory() ? join(path, 'default.nix') : path
    const realpath = realpathSync(file)
    const found = known?.get(realpath)
    if (found) return found
    const text = readText(file)
    return text === undefined ? undefined : sourceFile(realpath, text)
  } catch {
    // Unreadable files are treated as absent.
    return undefined
  }
}

function readFolder(path: string): ReturnType<Files['folder']> {
  return attempt(() => {
    const link = lstatSync(path, { throwIfNoEntry: false })
    const stat = statSync(path, { throwIfNoEntry: false })
    if (!link) return { path, listing: 'absent' }
    if (!stat?.isDirectory()) return { path, listing: 'not-a-folder' }
    const folder = realpathSync(path)
    const names = namesIn(folder).flatMap(name => {
      const isLibrary = name === '_lib' && lstatSync(join(folder, name)).isDirectory()
      return isLibrary ? namesIn(join(folder, name)).map(it => join(name, it)) : [name]
    })
    const listing = new Map(names.map(name => [name, entryAt(join(folder, name))]))
    return { path: folder, listing }
  }, reading(path))
}

function entryAt(path: string): SourceFile | null {
  const text = readText(path)
  return text === undefined ? null : sourceFile(path, text)
}

function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter(name => !isTransientName(name))
    .sort()
}

function isSameFile(a: SourceFile | undefined, b: SourceFile | undefined): boolean {
  return a?.path === b?.path && a?.text === b?.text
}

function isSameFolder(a: ReturnType<Files['folder']>, b: ReturnType<Files['folder']>): boolean {
  if (!a.ok || !b.ok) return a.ok === b.ok
  const [one, other] = [a.value.listing, b.value.listing]
  if (typeof one === 'string' || typeof other === 'string') return one === other
  // Only Nix files are compared: this run may save a patch in the folder.
  const names = [...new Set([...one.keys(), ...other.keys()])].filter(it => it.endsWith('.nix'))
  return names.every(it => one.get(it)?.text === other.get(it)?.text)
}
