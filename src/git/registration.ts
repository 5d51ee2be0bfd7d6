// What git has to be told of files that come and go: Nix sees only those files of a flake that git
// knows.

import { join, relative } from 'node:path'
import { ok, type Result } from '../nix/result.ts'
import { type GitProblem, runGit } from './runGit.ts'
import { findWorkTree, type WorkTree } from './workTree.ts'

/** What is to be done in one work tree once the files are written. Paths are absolute. */
export interface Registration {
  tree: WorkTree
  /** New files to register with intent-to-add: known by name, nothing staged. */
  add: readonly string[]
  /** Files that go, and whose intent-to-add entries would make git call them deleted. */
  forget: readonly string[]
  /** New files that git is told to ignore. */
  ignored: readonly string[]
  /** Why git can't be asked, so that `add` can't be done. */
  problem?: GitProblem
}

/**
 * Works out what git has to be told when files come (`created`) and go (`deleted`), by absolute
 * paths without links. One entry for each work tree that has something to do or to report; none
 * outside of work trees. Nothing is written.
 */
export function planRegistration(
  created: readonly string[],
  deleted: readonly string[]
): Registration[] {
  const trees = new Map<string, { tree: WorkTree; created: string[]; deleted: string[] }>()
  const note = (path: string, kind: 'created' | 'deleted') => {
    const tree = findWorkTree(path)
    if (!tree) return
    const known = trees.get(tree.top) ?? { tree, created: [], deleted: [] }
    known[kind].push(path)
    trees.set(tree.top, known)
  }
  for (const path of created) note(path, 'created')
  for (const path of deleted) note(path, 'deleted')
  return [...trees.values()]
    .map(it => planTree(it.tree, it.created, it.deleted))
    .filter(it => it.problem || it.add.length + it.forget.length + it.ignored.length > 0)
}

/** Does it. The index is written by git, as the repository's owner. */
export function register({ tree, add, forget }: Registration): Result<unknown, GitProblem> {
  const added =
    add.length > 0
      ? runGit(tree, [LITERAL, 'add', '--intent-to-add', '--', ...namesIn(tree, add)])
      : ok('')
  if (!added.ok || forget.length === 0) return added
  return runGit(
    tree,
    ['update-index', '--force-remove', '-z', '--stdin'],
    joined(forget.map(it => relative(tree.top, it)))
  )
}

function planTree(
  tree: WorkTree,
  created: readonly string[],
  deleted: readonly string[]
): Registration {
  const nothing = { tree, add: [], forget: [], ignored: [] }
  const unknown = (problem: GitProblem, add: readonly string[]) =>
    // A folder may be called .git and be none; without git nothing is left to mend where files go.
    NO_WORK_TREE.test(problem.reason) || add.length === 0 ? nothing : { ...nothing, add, problem }
  const index = entriesOf(tree, [...created, ...deleted])
  if (!index.ok) return unknown(index.error, created)
  const fresh = created.filter(it => !index.value.has(it))
  const ignored = ignoredOf(tree, fresh)
  if (!ignored.ok) return unknown(ignored.error, fresh)
  const empty = deleted.filter(it => EMPTY.has(index.value.get(it) ?? ''))
  const committed = empty.length === 0 ? new Set() : committedOf(tree, empty)
  return {
    tree,
    add: fresh.filter(it => !ignored.value.has(it)),
    forget: empty.filter(it => !committed.has(it)),
    ignored: [...ignored.value]
  }
}

const NO_WORK_TREE = /^not a git repository|must be run in a work tree/

/** What git notes for a file without content, by SHA-1 and by SHA-256: also for one that is only intended. */
const EMPTY = new Set([
  'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391',
  '473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813'
])

/** Which of these files are in the index, with the hash of what is staged. */
function entriesOf(
  tree: WorkTree,
  paths: readonly string[]
): Result<Map<string, string>, GitProblem> {
  const listed = runGit(tree, [LITERAL, 'ls-files', '--stage', '-z', '--', ...namesIn(tree, paths)])
  if (!listed.ok) return listed
  const entries = listed.value.split('\0').flatMap((entry): [string, string][] => {
    const [, hash, name] = /^\d+ ([0-9a-f]+) \d\t(.*)$/s.exec(entry) ?? []
    return hash === undefined || name === undefined ? [] : [[join(tree.top, name), hash]]
  })
  return ok(new Map(entries))
}

function ignoredOf(tree: WorkTree, paths: readonly string[]): Result<Set<string>, GitProblem> {
  if (paths.length === 0) return ok(new Set())
  const asked = runGit(tree, ['check-ignore', '-z', '--stdin'], joined(namesIn(tree, paths)))
  if (asked.ok) return ok(new Set(split(asked.value).map(it => join(tree.top, it))))
  // 1 says that none is.
  return asked.error.status === 1 ? ok(new Set()) : asked
}

/** Which of these files are in the last commit; none where there is no commit. */
function committedOf(tree: WorkTree, paths: readonly string[]): Set<string> {
  const listed = runGit(tree, [
    LITERAL,
    'ls-tree',
    '-z',
    '--name-only',
    'HEAD',
    '--',
    ...namesIn(tree, paths)
  ])
  return new Set(listed.ok ? split(listed.value).map(it => join(tree.top, it)) : [])
}

// Without it, a name with a star or a bracket is a pattern.
const LITERAL = '--literal-pathspecs'

/** As git takes them for paths, whatever they begin with. */
function namesIn(tree: WorkTree, paths: readonly string[]): string[] {
  return paths.map(it => `./${relative(tree.top, it)}`)
}

function joined(names: readonly string[]): string {
  return names.map(it => `${it}\0`).join('')
}

function split(text: string): string[] {
  return text.split('\0').filter(it => it !== '')
}
