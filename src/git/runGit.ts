import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { openFolder, pathOf } from '../system/inFolder.ts'
import { findProgram } from '../system/programs.ts'
import type { WorkTree } from './workTree.ts'

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
export function runGit(
  tree: WorkTree,
  args: readonly string[],
  input = ''
): Result<string, GitProblem> {
  const program = findProgram('git')
  if (program === null) return err({ status: null, reason: 'git was not found' })
  if (process.geteuid?.() !== 0) return runAs(program, tree.top, args, input, null)
  let top: number
  try {
    top = openFolder(tree.top)
  } catch (error) {
    return err({ status: null, reason: (error as Error).message })
  }
  try {
    return runAs(program, pathOf(top), args, input, userOf(tree, fstatSync(top)))
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
  folder: string,
  args: readonly string[],
  input: string,
  user: User | null
): Result<string, GitProblem> {
  const home = user === null ? process.env.HOME : homeOf(user.uid)
  // Without it a question could start a watcher, which writes.
  const run = spawnSync(program, ['-c', 'core.fsmonitor=false', ...args], {
    cwd: folder,
    input,
    encoding: 'utf8',
    timeout: 30_000,
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    env: {
      // What git itself runs as root is chosen as carefully.
      PATH: user?.uid === 0 ? dirname(program) : process.env.PATH,
      ...(home === undefined ? {} : { HOME: home }),
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

function homeOf(uid: number): string | undefined {
  try {
    const accounts = readFileSync('/etc/passwd', 'utf8').split('\n')
    return accounts.map(it => it.split(':')).find(it => Number(it[2]) === uid)?.[5]
  } catch {
    return undefined
  }
}
