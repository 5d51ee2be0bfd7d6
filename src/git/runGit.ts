import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { err, ok, type Result } from '../nix/result.ts'
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
 */
export function runGit(
  tree: WorkTree,
  args: readonly string[],
  input = ''
): Result<string, GitProblem> {
  const isRoot = process.geteuid?.() === 0
  const home = isRoot ? homeOf(tree.uid) : process.env.HOME
  // Without it a question could start a watcher, which writes.
  const run = spawnSync('git', ['-c', 'core.fsmonitor=false', ...args], {
    cwd: tree.top,
    input,
    encoding: 'utf8',
    timeout: 30_000,
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(isRoot ? { uid: tree.uid, gid: tree.gid } : {}),
    env: {
      PATH: process.env.PATH,
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
