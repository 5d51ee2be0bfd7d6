import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, lstatSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { defined, uniqueBy } from '../collections.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { accountOf, findProgram } from './access.ts'
import { openFolder, pathOf } from './folders.ts'
import { textAt } from './system.ts'

/** Why git failed. `output` is the first error reported by git or the system; null if there is none. */
export type GitProblem =
  | { code: 'NOT_FOUND' }
  | { code: 'NOT_STARTED'; output: string | null }
  /** The repository belongs to another user, so git refuses to work in it. */
  | { code: 'OTHER_OWNER'; output: string }
  /** The folder has a `.git` but isn't a work tree. */
  | { code: 'NO_WORK_TREE'; output: string }
  | { code: 'FAILED'; status: number | null; output: string | null }

/**
 * Runs git in a work tree and returns its output. For root, git runs as the owner of the repository: it
 * refuses to work for root in other users' repositories, and the owners couldn't access files written by
 * root. Environment variables that affect git are not passed on.
 *
 * For root, the work tree is opened without following symlinks, because the owner of a parent folder could
 * place a symlink to another repository. `findProgram` accepts only a git that root installed.
 */
function runGit(tree: WorkTree, args: readonly string[], input = ''): Result<string, GitProblem> {
  const program = findProgram('git')
  if (program === null) return err({ code: 'NOT_FOUND' })
  // Otherwise a query could start git's file system monitor, which writes.
  const options = ['-c', 'core.fsmonitor=false', ...args]
  if (process.geteuid?.() !== 0) return runAs(program, options, { folder: tree.top, input })
  let top: number
  try {
    top = openFolder(tree.top)
  } catch (error) {
    return err({ code: 'NOT_STARTED', output: (error as Error).message })
  }
  try {
    const user = gitUser(tree, fstatSync(top))
    return runAs(program, options, { folder: pathOf(top), input, user })
  } finally {
    closeSync(top)
  }
}

interface User {
  uid: number
  gid: number
}

/**
 * The user to run git as: the owner of the repository. If the work tree belongs to another user who isn't
 * root: that user, because the work tree's `.git` decides which repository is used.
 */
function gitUser({ uid, gid }: WorkTree, top: User): User {
  return top.uid === 0 || top.uid === uid ? { uid, gid } : { uid: top.uid, gid: top.gid }
}

function runAs(
  program: string,
  args: readonly string[],
  { folder, input, user }: { folder: string; input: string; user?: User }
): Result<string, GitProblem> {
  const home =
    user === undefined ? process.env.HOME : accountOf(user.uid, textAt('/etc/passwd'))?.home
  const run = spawnSync(program, args, {
    cwd: folder,
    input,
    encoding: 'utf8',
    timeout: 30_000,
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...user,
    env: {
      // If git runs as root, it must not run programs that other users installed.
      PATH: user?.uid === 0 ? dirname(program) : process.env.PATH,
      ...defined({ HOME: home }),
      LC_ALL: 'C',
      GIT_OPTIONAL_LOCKS: '0',
      GIT_TERMINAL_PROMPT: '0'
    }
  })
  const { code, message = '' } = (run.error ?? {}) as Partial<NodeJS.ErrnoException>
  // Git may exit without reading its input. Its exit code then shows whether it failed.
  const isInputUnread = code === 'EPIPE' && run.status !== null
  if (run.error && !isInputUnread) {
    return err(
      code === 'ENOENT'
        ? { code: 'NOT_FOUND' }
        : { code: 'NOT_STARTED', output: message === '' ? null : message }
    )
  }
  if (run.status === 0) return ok(run.stdout)
  return err(gitProblem(run.status, firstError(run.stderr)))
}

/** Classifies a failure by the message of git, which is in English (`LC_ALL=C`). */
function gitProblem(status: number | null, output: string | null): GitProblem {
  if (output?.startsWith('detected dubious ownership')) return { code: 'OTHER_OWNER', output }
  return output !== null && /^not a git repository|must be run in a work tree/.test(output)
    ? { code: 'NO_WORK_TREE', output }
    : { code: 'FAILED', status, output }
}

/** The first error in the output of git, without the advice that follows it. */
function firstError(stderr: string): string | null {
  const lines = stderr.split('\n').map(it => it.trim())
  const error = lines.find(it => /^(?:fatal|error):/.test(it)) ?? lines.find(it => it !== '')
  return error?.replace(/^(?:fatal|error): /, '').replace(/\.$/, '') ?? null
}

/** A git work tree. */
export interface WorkTree {
  /** Its topmost folder. */
  top: string
  /** The owner of the repository. */
  uid: number
  gid: number
}

/**
 * The work tree that contains the absolute `path`, which is without symlinks and need not exist: the
 * nearest parent with a `.git`, a folder or the file of a submodule or linked work tree. Undefined if
 * there is none or it can't be read.
 */
export function findWorkTree(path: string): WorkTree | undefined {
  for (let at = dirname(path); ; at = dirname(at)) {
    const owner = repositoryOwner(join(at, '.git'))
    if (owner) return { top: at, ...owner }
    if (at === dirname(at)) return undefined
  }
}

/** The owner of a `.git` folder, or of the folder that a `.git` file points to. */
function repositoryOwner(path: string): User | undefined {
  try {
    const found = lstatSync(path)
    const pointed = found.isFile()
      ? /^gitdir: (.+?)\r?\n?$/.exec(readFileSync(path, 'utf8'))?.[1]
      : undefined
    const { uid, gid } = statSync(pointed === undefined ? path : resolve(dirname(path), pointed))
    return { uid, gid }
  } catch {
    return undefined
  }
}

/** The files that git knows, or all files except those in ignored folders. */
type Listed = 'known' | 'all'

/** The files of a work tree, as paths relative to it. A submodule is listed as one path. */
export function listFiles(tree: WorkTree, listed: Listed): Result<string[], GitProblem> {
  const names = new Set<string>()
  const listings =
    listed === 'known' ? [TRACKED_ARGS] : [TRACKED_ARGS, UNTRACKED_ARGS, IGNORED_ARGS]
  for (const listing of listings) {
    const run = runGit(tree, ['ls-files', '-z', ...listing])
    if (!run.ok) return run
    for (const name of splitNames(run.value)) if (!name.endsWith('/')) names.add(name)
  }
  return ok([...names])
}

const TRACKED_ARGS = ['--cached']
const UNTRACKED_ARGS = ['--others', '--exclude-standard']
const IGNORED_ARGS = ['--others', '--ignored', '--exclude-standard', '--directory']

// Registers created and deleted files: for a flake, Nix sees only the files that git knows.

/** What to register in one work tree after the files are written. Paths are absolute. */
export interface Registration {
  tree: WorkTree
  /** New files to register with intent-to-add: known by name, nothing staged. */
  add: readonly string[]
  /** Deleted files with intent-to-add entries, which git would show as deleted. */
  forget: readonly string[]
  /** New files that git ignores. */
  ignored: readonly string[]
  /** Why git failed, so that `add` can't be registered. */
  problem?: GitProblem
}

/**
 * Plans the registration of `created` and `deleted` files, given as absolute paths without symlinks.
 * Returns an entry for each work tree with something to do or to report. Writes nothing.
 */
export function planRegistration(
  created: readonly string[],
  deleted: readonly string[]
): Registration[] {
  const all = [...created, ...deleted].flatMap(it => findWorkTree(it) ?? [])
  return uniqueBy(all, it => it.top)
    .map(tree => {
      const isIn = (path: string) => findWorkTree(path)?.top === tree.top
      return planTree(tree, created.filter(isIn), deleted.filter(isIn))
    })
    .filter(it => it.problem || it.add.length + it.forget.length + it.ignored.length > 0)
}

/** Registers the files. Git writes the index as the owner of the repository. */
export function register({ tree, add, forget }: Registration): Result<unknown, GitProblem> {
  const args = [LITERAL, 'add', '--intent-to-add', '--', ...pathspecs(tree, add)]
  const added = add.length > 0 ? runGit(tree, args) : ok('')
  if (!added.ok || forget.length === 0) return added
  const names = joinNames(forget.map(it => relative(tree.top, it)))
  return runGit(tree, ['update-index', '--force-remove', '-z', '--stdin'], names)
}

function planTree(
  tree: WorkTree,
  created: readonly string[],
  deleted: readonly string[]
): Registration {
  const nothing = { tree, add: [], forget: [], ignored: [] }
  const unknown = (problem: GitProblem, add: readonly string[]) =>
    // A folder called .git need not be a repository. Without git, deletions need no registration.
    problem.code === 'NO_WORK_TREE' || add.length === 0 ? nothing : { ...nothing, add, problem }
  const index = stagedHashes(tree, [...created, ...deleted])
  if (!index.ok) return unknown(index.error, created)
  const untracked = created.filter(it => !index.value.has(it))
  const ignored = ignoredOf(tree, untracked)
  if (!ignored.ok) return unknown(ignored.error, untracked)
  const empty = deleted.filter(it => EMPTY.has(index.value.get(it) ?? ''))
  const committed = empty.length === 0 ? new Set() : committedOf(tree, empty)
  return {
    tree,
    add: untracked.filter(it => !ignored.value.has(it)),
    forget: empty.filter(it => !committed.has(it)),
    ignored: [...ignored.value]
  }
}

/** The hashes of the empty blob in SHA-1 and SHA-256. Intent-to-add entries have them too. */
const EMPTY = new Set([
  'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391',
  '473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813'
])

/** The hashes of these files in the index, by path. Files that aren't in the index are left out. */
function stagedHashes(
  tree: WorkTree,
  paths: readonly string[]
): Result<Map<string, string>, GitProblem> {
  const args = [LITERAL, 'ls-files', '--stage', '-z', '--']
  const listed = runGit(tree, [...args, ...pathspecs(tree, paths)])
  if (!listed.ok) return listed
  const entries = listed.value.split('\0').flatMap((entry): [string, string][] => {
    const [, hash, name] = /^\d+ ([0-9a-f]+) \d\t(.*)$/s.exec(entry) ?? []
    return hash === undefined || name === undefined ? [] : [[join(tree.top, name), hash]]
  })
  return ok(new Map(entries))
}

function ignoredOf(tree: WorkTree, paths: readonly string[]): Result<Set<string>, GitProblem> {
  if (paths.length === 0) return ok(new Set())
  const run = runGit(tree, ['check-ignore', '-z', '--stdin'], joinNames(pathspecs(tree, paths)))
  if (run.ok) return ok(new Set(splitNames(run.value).map(it => join(tree.top, it))))
  // Exit code 1: none is ignored.
  return run.error.code === 'FAILED' && run.error.status === 1 ? ok(new Set()) : run
}

/** Which of these files are in the last commit; none without a commit. */
function committedOf(tree: WorkTree, paths: readonly string[]): Set<string> {
  const args = [LITERAL, 'ls-tree', '-z', '--name-only', 'HEAD', '--']
  const listed = runGit(tree, [...args, ...pathspecs(tree, paths)])
  return new Set(listed.ok ? splitNames(listed.value).map(it => join(tree.top, it)) : [])
}

// Without it, names with `*` or `[` would be patterns.
const LITERAL = '--literal-pathspecs'

/** Relative to the work tree, with `./` so that no first character is special. */
function pathspecs(tree: WorkTree, paths: readonly string[]): string[] {
  return paths.map(it => `./${relative(tree.top, it)}`)
}

function joinNames(names: readonly string[]): string {
  return names.map(it => `${it}\0`).join('')
}

function splitNames(text: string): string[] {
  return text.split('\0').filter(it => it !== '')
}
