import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { ModuleSource } from '../configuration/imports.ts'
import type { Finding, LintFile } from '../lints/index.ts'
import { type NixDocument, type Range, visit } from '../nix/index.ts'
import { findWorkTree, listFiles, type WorkTree } from '../storage/git.ts'

/**
 * Paths in the files of a flake that lead to something which git does not know, and Nix therefore does
 * not see. Files that are not in a git work tree below a `flake.nix` are passed over.
 */
export function gitFaults(files: readonly LintFile[], sources: ModuleSource): Finding[] {
  const known = knownFiles()
  const own = new Set(files.map(it => it.path))
  return files.flatMap(({ path, doc }) => {
    const tree = findWorkTree(path)
    const names = tree && isFlake(path, tree) ? known(tree) : undefined
    if (!tree || !names) return []
    return pathsIn(doc).flatMap(({ spelling, range }): Finding[] => {
      const missing = unknownAt(join(dirname(path), spelling), { tree, names, sources, seen: own })
      if (missing.length === 0) return []
      const words = missing.map(it => quoted(relative(tree.top, it))).join(' ')
      return [
        {
          code: 'UNTRACKED_FILE',
          level: 'problem',
          path,
          range,
          message: `git does not know ${missing.map(it => relative(tree.top, it)).join(', ')}`,
          why: 'of a flake Nix sees only those files that git knows, so the build says that there is no such file.',
          remedy: `git -C ${quoted(tree.top)} add -N ${words}`
        }
      ]
    })
  })
}

/** The files that git knows of a work tree, asked once for each; undefined where it can't be asked. */
function knownFiles(): (tree: WorkTree) => ReadonlySet<string> | undefined {
  const asked = new Map<string, ReadonlySet<string> | undefined>()
  return tree => {
    if (!asked.has(tree.top)) {
      const listed = listFiles(tree, 'known')
      asked.set(tree.top, listed.ok ? new Set(listed.value) : undefined)
    }
    return asked.get(tree.top)
  }
}

function isFlake(path: string, { top }: WorkTree): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'flake.nix'))) return true
    if (folder === top || folder === dirname(folder)) return false
  }
}

/** The relative paths that are written out, imports among them. */
function pathsIn(doc: NixDocument): { spelling: string; range: Range }[] {
  const found: { spelling: string; range: Range }[] = []
  visit(doc, node => {
    if (node.type !== 'path_expression') return undefined
    const spelling = node.text
    if (/^\.\.?\//.test(spelling) && !spelling.includes('${')) {
      found.push({ spelling, range: { start: node.start, end: node.end } })
    }
    return undefined
  })
  return found
}

/** What is the same for all paths in the files of one work tree. */
interface Search {
  tree: WorkTree
  /** The files that git knows, relative to the work tree. */
  names: ReadonlySet<string>
  sources: ModuleSource
  /** The files that were looked at. */
  seen: Set<string>
}

/** What git does not know of what is at a path: the file, or the modules of a folder with a default.nix. */
function unknownAt(path: string, search: Search): string[] {
  const { tree, names, sources, seen } = search
  const name = relative(tree.top, path)
  if (name.startsWith('..') || name === '' || !existsSync(path)) return []
  const isFolder = statSync(path).isDirectory()
  const file = isFolder ? join(path, 'default.nix') : path
  // What lies in another work tree, such as a submodule, is none of this one's.
  if (names.has(name) ? isFolder : findWorkTree(file)?.top !== tree.top) return []
  if (isFolder && !existsSync(file)) return []
  if (!names.has(relative(tree.top, file))) return [file]
  // Files that are looked at themselves tell for themselves what they lead to.
  const module = isFolder || file.endsWith('.nix') ? sources.module(file) : undefined
  if (!module || seen.has(module.path)) return []
  seen.add(module.path)
  const below = pathsIn(module.doc).map(it => join(dirname(file), it.spelling))
  return below.flatMap(it => unknownAt(it, search))
}

function quoted(word: string): string {
  return /^[\w./+@=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
