import { spawnSync } from 'node:child_process'
import { expect } from 'vitest'

/** What a shell script that our modules produce does, run where `here` takes it. */
export function runScript(script: string, words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const run = spawnSync('bash', ['-c', script, 'hook', ...words], {
    encoding: 'utf8',
    env: { ...process.env, ...env }
  })
  return { status: run.status, stdout: run.stdout, stderr: run.stderr }
}

/**
 * Expects that shellcheck has nothing to say of a script for this shell. Without shellcheck nothing
 * is expected, except where CI must have it.
 */
export function expectCleanShell(script: string, shell: 'sh' | 'bash'): void {
  const run = spawnSync('shellcheck', ['--shell', shell, '--color=never', '-'], {
    encoding: 'utf8',
    input: script
  })
  if (run.error && !process.env.CI) {
    console.warn('shellcheck was not found: a script of the modules is not checked')
    return
  }
  expect({ error: run.error, output: run.stdout }).toEqual({ error: undefined, output: '' })
}
