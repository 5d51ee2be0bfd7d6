import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, lstatSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { defined, uniqueBy } from '../collections.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { accountOf, findProgram } from './access.ts'
import { openFolder, pathOf } from './folders.ts'
import { textAt } from './system.ts'

/** Why git did not do what it was asked for: its exit code (null where it never ran), and its words. */
export interface GitProblem {
  status: number | null
  reason: string
}

/**
 * Runs git in a work tree as the repository's owner, where we may: git refuses to work for root in
 * another one's repository, and what root writes there is lost for its owner. Returns what it
 * printed. Nothing of our own environment that git would heed is passed on.
 *
 * As root the work tree is entered without following a link, since whoever owns a folder on the way
 * could put a link to another repository there, and git is one that only root can have put in place
 * (`findProgram`).
 */
function runGit(tree: WorkTree, args: readonly string[], input = ''): Result<string, GitProblem> {
  const program = findProgram('git')
  if (program === null) return err({ status: null, reason: 'git was not found' })
  // Without it a question could start a watcher, which writes.
  const words = ['-c', 'core.fsmonitor=false', ...args]
  if (process.geteuid?.() !== 0) return runAs(program, words, { folder: tree.top, input })
  let top: number
  try {
    top = openFolder(tree.top)
  } catch (error) {
    return err({ status: null, reason: (error as Error).message })
  }
  try {
    const user = userOf(tree, fstatSync(top))
    return runAs(program, words, { folder: pathOf(top), input, user })
  } finally {
    closeSync(top)
  }
}

interface User {
  uid: number
  gid: number
}

/**
 * The owner of the repository; but where the work tree is another user's, that one, who decides by its
 * `.git` which repository it is.
 */
function userOf({ uid, gid }: WorkTree, top: User): User {
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
      // What git itself runs as root is chosen as carefully.
      PATH: user?.uid === 0 ? dirname(program) : process.env.PATH,
      ...defined({ HOME: home }),
      LC_ALL: 'C',
      GIT_OPTIONAL_LOCKS: '0',
      GIT_TERMINAL_PROMPT: '0'
    }
  })
  const { code, message = '' } = (run.error ?? {}) as Partial<NodeJS.ErrnoException>
  // It may end without having read what it was given; what it says then counts.
  const isUnread = code === 'EPIPE' && run.status !== null
  if (run.error && !isUnread) {
    return err({ status: null, reason: code === 'ENOENT' ? 'git was not found' : message })
  }
  if (run.status === 0) return ok(run.stdout)
  return err({ status: run.status, reason: firstFault(run.stderr) })
}

/** What git complains of, without the advice that follows. */
function firstFault(stderr: string): string {
  const lines = stderr.split('\n').map(it => it.trim())
  const fault = lines.find(it => /^(?:fatal|error):/.test(it)) ?? lines.find(it => it !== '')
  return (fault ?? 'it gave no reason').replace(/^(?:fatal|error): /, '').replace(/\.$/, '')
}

/** A git work tree, and as whom git has to run in it. */
export interface WorkTree {
  /** Its topmost folder. */
  top: string
  /** To whom the repository belongs. */
  uid: number
  gid: number
}

/**
 * The work tree that the absolute `path`, which has no links in it, lies or would lie in: the
 * nearest folder upwards with a `.git`, be that a folder or the file that a submodule or a further
 * work tree has. Undefined if there is none, or it can't be found out.
 */
export function findWorkTree(path: string): WorkTree | undefined {
  for (let at = dirname(path); ; at = dirname(at)) {
    const owner = repositoryOwner(join(at, '.git'))
    if (owner) return { top: at, ...owner }
    if (at === dirname(at)) return undefined
  }
}

/** The owner of the repository that a `.git` belongs to; for a file, of the folder that it points to. */
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

/** What is listed: what git knows; or also what it does not, but no folders that it ignores. */
type Listed = 'known' | 'all'

/** The files of a work tree, by their paths in it. A submodule is listed as one path. */
export function listFiles(tree: WorkTree, listed: Listed): Result<string[], GitProblem> {
  const names = new Set<string>()
  const ways = listed === 'known' ? [KNOWN] : [KNOWN, OTHERS, IGNORED]
  for (const way of ways) {
    const run = runGit(tree, ['ls-files', '-z', ...way])
    if (!run.ok) return run
    for (const name of splitNames(run.value)) if (!name.endsWith('/')) names.add(name)
  }
  return ok([...names])
}

const KNOWN = ['--cached']
const OTHERS = ['--others', '--exclude-standard']
const IGNORED = ['--others', '--ignored', '--exclude-standard', '--directory']

// Registering files that come and go: of a flake Nix sees only the files that git knows.

/** What is to be done in one work tree once the files are written. Paths are absolute. */
export interface Registration {
  tree: WorkTree
  /** New files to register with intent-to-add: known by name, nothing staged. */
  add: readonly string[]
  /** Files that go, and whose intent-to-add entries would make git call them deleted. */
  forget: readonly string[]
  /** New files that git ignores. */
  ignored: readonly string[]
  /** Why git can't be asked, so that `add` can't be done. */
  problem?: GitProblem
}

/**
 * Works out what to register when files come (`created`) and go (`deleted`), by absolute
 * paths without links. One entry for each work tree that has something to do or to report; none
 * outside of work trees. Nothing is written.
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

/** Does it. The index is written by git, as the repository's owner. */
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
    // A folder may be called .git and be none; without git nothing is left to mend where files go.
    NO_WORK_TREE.test(problem.reason) || add.length === 0 ? nothing : { ...nothing, add, problem }
  const index = stagedHashes(tree, [...created, ...deleted])
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
  const asked = runGit(tree, ['check-ignore', '-z', '--stdin'], joinNames(pathspecs(tree, paths)))
  if (asked.ok) return ok(new Set(splitNames(asked.value).map(it => join(tree.top, it))))
  // 1 says that none is.
  return asked.error.status === 1 ? ok(new Set()) : asked
}

/** Which of these files are in the last commit; none where there is no commit. */
function committedOf(tree: WorkTree, paths: readonly string[]): Set<string> {
  const args = [LITERAL, 'ls-tree', '-z', '--name-only', 'HEAD', '--']
  const listed = runGit(tree, [...args, ...pathspecs(tree, paths)])
  return new Set(listed.ok ? splitNames(listed.value).map(it => join(tree.top, it)) : [])
}

// Without it, a name with a star or a bracket is a pattern.
const LITERAL = '--literal-pathspecs'

/** As git takes them for paths, whatever they begin with. */
function pathspecs(tree: WorkTree, paths: readonly string[]): string[] {
  return paths.map(it => `./${relative(tree.top, it)}`)
}

function joinNames(names: readonly string[]): string {
  return names.map(it => `${it}\0`).join('')
}

function splitNames(text: string): string[] {
  return text.split('\0').filter(it => it !== '')
}
