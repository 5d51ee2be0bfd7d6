import { spawnSync } from 'node:child_process'
import { test } from 'vitest'

/** What a test may need that a machine may not have. */
export type Need = 'root' | 'strace' | 'unshare' | 'chattr' | 'setpriv' | 'python3' | 'GNU cp'

/**
 * `test` where everything it needs is there. Where something is missing, this fails under CI (and
 * the file with it); elsewhere the test is left out, and that is announced.
 */
export function needing(...needs: Need[]): typeof test | typeof test.skip {
  const missing = needs.filter(need => !has(need))
  if (missing.length === 0) return test
  const reason = `missing: ${missing.join(', ')}`
  if (process.env.CI) throw new Error(reason)
  console.warn(`some tests of src/files are skipped (${reason})`)
  return test.skip
}

function has(need: Need): boolean {
  if (need === 'root') return process.getuid?.() === 0
  if (need === 'GNU cp') return output('cp', '--version').includes('GNU coreutils')
  // Being there isn't enough in a container that forbids it.
  if (need === 'unshare') return spawnSync('unshare', ['-m', 'true']).status === 0
  if (need === 'strace') return spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
  return output('sh', '-c', `command -v ${need}`) !== ''
}

function output(program: string, ...args: string[]): string {
  return spawnSync(program, args, { encoding: 'utf8' }).stdout ?? ''
}
