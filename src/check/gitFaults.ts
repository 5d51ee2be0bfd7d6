import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { ModuleSource } from '../configuration/imports.ts'
import { findingAt } from '../lints/finding.ts'
import type { Finding, LintFile } from '../lints/index.ts'
import { type NixDocument, type Range, visit } from '../nix/index.ts'
import { findWorkTree, listFiles, type WorkTree } from '../storage/git.ts'
import { untrackedFiles } from './messages/git.ts'

/**
 * Paths in the files of a flake to files that git does not track, so Nix does not see them. Files that are not
 * below a `flake.nix` in a git work tree are ignored.
 */
export function findGitFaults(files: readonly LintFile[], sources: ModuleSource): Finding[] {
  const trackedIn = trackedFiles()
  const paths = new Set(files.map(it => it.path))
  return files.flatMap(({ path, doc }) => {
    const tree = findWorkTree(path)
    const names = tree && isFlake(path, tree) ? trackedIn(tree) : undefined
    if (!tree || !names) return []
    return pathsIn(doc).flatMap(({ text, range }): Finding[] => {
      const search = { tree, names, sources, seen: paths }
      const missing = untrackedAt(join(dirname(path), text), search)
      if (missing.length === 0) return []
      const files = missing.map(it => relative(tree.top, it))
      return [findingAt({ path, range }, untrackedFiles(files, tree.top))]
    })
  })
}

/** Returns a function that lists the tracked files of a work tree, once per work tree; undefined if git fails. */
function trackedFiles(): (tree: WorkTree) => ReadonlySet<string> | undefined {
  const lists = new Map<string, ReadonlySet<string> | undefined>()
  return tree => {
    if (!lists.has(tree.top)) {
      const listed = listFiles(tree, 'known')
      lists.set(tree.top, listed.ok ? new Set(listed.value) : undefined)
    }
    return lists.get(tree.top)
  }
}

function isFlake(path: string, { top }: WorkTree): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'flake.nix'))) return true
    if (folder === top || folder === dirname(folder)) return false
  }
}

/** All relative path literals, including imports. */
function pathsIn(doc: NixDocument): { text: string; range: Range }[] {
  const found: { text: string; range: Range }[] = []
  visit(doc, node => {
    if (node.type !== 'path_expression') return undefined
    const { text } = node
    if (/^\.\.?\//.test(text) && !text.includes('${')) {
      found.push({ text, range: { start: node.start, end: node.end } })
    }
    return undefined
  })
  return found
}

/** The state of the search for all paths in one work tree. */
interface Search {
  tree: WorkTree
  /** The tracked files, relative to the work tree. */
  names: ReadonlySet<string>
  sources: ModuleSource
  /** The files whose paths were searched. */
  seen: Set<string>
}

/** The untracked files at a path: the file, or the modules of a folder with a default.nix, and what they import. */
function untrackedAt(path: string, search: Search): string[] {
  const { tree, names, sources, seen } = search
  const name = relative(tree.top, path)
  if (name.startsWith('..') || name === '' || !existsSync(path)) return []
  const isFolder = statSync(path).isDirectory()
  const file = isFolder ? join(path, 'default.nix') : path
  // Another work tree, such as a submodule, has its own files.
  if (names.has(name) ? isFolder : findWorkTree(file)?.top !== tree.top) return []
  if (isFolder && !existsSync(file)) return []
  if (!names.has(relative(tree.top, file))) return [file]
  // The paths of a file in `seen` are reported at that file.
  const module = isFolder || file.endsWith('.nix') ? sources.module(file) : undefined
  if (!module || seen.has(module.path)) return []
  seen.add(module.path)
  const below = pathsIn(module.doc).map(it => join(dirname(file), it.text))
  return below.flatMap(it => untrackedAt(it, search))
}
