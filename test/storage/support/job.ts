import { spawn } from 'node:child_process'
import type { Result } from '../../../src/nix/result.ts'
import type { CommitOptions, CommitProblem, Committed } from '../../../src/storage/commit.ts'
import type { FileChange } from '../../../src/storage/work.ts'
import { runnerIn } from './compile.ts'

/** The input of the runner for a change of files. */
export function jobOf(changes: FileChange[], options: CommitOptions): string {
  const texts = changes.map(change => ({
    ...change,
    after: change.after === null ? null : Buffer.from(change.after).toString()
  }))
  return JSON.stringify({ changes: texts, options })
}

/** The input of the runner for the recovery of these files. */
export function recoveryOf(changes: FileChange[], { stateFolder }: CommitOptions): string {
  return JSON.stringify({ recover: { paths: changes.map(it => it.realpath), stateFolder } })
}

export interface Ended {
  status: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** Runs a program and waits for it. */
export function runProgram(program: string, args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', data => {
      stdout += data
    })
    child.stderr.on('data', data => {
      stderr += data
    })
    child.on('error', reject)
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }))
  })
}

/** Runs a job under other programs (`unshare …`), and returns the result of `commit`. */
export async function runJob(
  compiled: string,
  job: string,
  below: string[] = []
): Promise<Result<Committed, CommitProblem>> {
  const [program = '', ...args] = [...below, process.execPath, runnerIn(compiled), compiled, job]
  const { stdout, stderr } = await runProgram(program, args)
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}
