import { spawnSync } from 'node:child_process'
import { test } from 'vitest'
import { BIN } from './place.ts'

/** What a test may need that a machine may not have. */
export type Need =
  | 'root'
  | 'nobody'
  | 'chattr'
  | 'git'
  | 'nix-instantiate'
  | 'patch'
  | 'python3'
  | 'strace'
  | 'unshare'

/** How to run a command as the user nobody. */
export const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

/**
 * `test.concurrent` where everything it needs is there. Where something is missing, this fails under CI (and
 * the file with it); elsewhere the test is left out, and that is announced.
 */
export function needing(...needs: Need[]): typeof test.concurrent | typeof test.skip {
  const missing = needs.filter(need => !isThere(need))
  if (missing.length === 0) return test.concurrent
  const reason = `missing: ${missing.join(', ')}`
  if (process.env.CI) throw new Error(reason)
  console.warn(`some tests of the command line are skipped (${reason})`)
  return test.skip
}

const known = new Map<Need, boolean>()

function isThere(need: Need): boolean {
  const there = known.get(need) ?? has(need)
  known.set(need, there)
  return there
}

function has(need: Need): boolean {
  if (need === 'root') return process.getuid?.() === 0
  // nobody also has to get at this folder.
  if (need === 'nobody')
    return works('setpriv', ...AS_NOBODY.slice(1), process.execPath, BIN, '--version')
  // Being there isn't enough in a container that forbids it.
  if (need === 'unshare') return works('unshare', '-m', 'true')
  if (need === 'strace') return works('strace', '-o', '/dev/null', 'true')
  return works('sh', '-c', `command -v ${need}`)
}

function works(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}
