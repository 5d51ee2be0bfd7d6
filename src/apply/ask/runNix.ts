import { spawnSync } from 'node:child_process'
import { findProgram } from '../../system/programs.ts'

const NOT_FOUND = 'nix-instantiate was not found'

/** What `nix-instantiate` printed, and whether it took the text; or why it could not be asked. */
export type NixRun =
  | { status: 'ok'; stdout: string }
  | { status: 'failed'; stderr: string }
  | { status: 'missing'; detail: string }

/**
 * Gives `nix-instantiate` a text on its standard input. It needs no store and writes nothing; after
 * `seconds` it is given up. For root it is one that only root can have put in place (`findProgram`).
 */
export function runNix(args: readonly string[], text: string, seconds: number): NixRun {
  const program = findProgram('nix-instantiate')
  if (program === null) return { status: 'missing', detail: NOT_FOUND }
  const run = spawnSync(program, ['--store', 'dummy://', ...args, '-'], {
    input: text,
    encoding: 'utf8',
    timeout: seconds * 1000,
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'pipe']
  })
  if (run.error) {
    const { code } = run.error as NodeJS.ErrnoException
    const detail = code === 'ENOENT' ? NOT_FOUND : run.error.message
    return { status: 'missing', detail }
  }
  return run.status === 0
    ? { status: 'ok', stdout: run.stdout }
    : { status: 'failed', stderr: run.stderr }
}
