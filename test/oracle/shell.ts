import { spawnSync } from 'node:child_process'
import { expect } from 'vitest'

/** Runs a script of the modules in bash. */
export function runScript(script: string, words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const run = spawnSync('bash', ['-c', script, 'hook', ...words], {
    encoding: 'utf8',
    env: { ...process.env, ...env }
  })
  return { status: run.status, stdout: run.stdout, stderr: run.stderr }
}

/**
 * Expects that shellcheck reports nothing for a script. Without shellcheck, it fails in CI and only prints
 * a warning elsewhere.
 */
export function expectCleanShell(script: string, shell: 'sh' | 'bash'): void {
  const run = spawnSync('shellcheck', ['--shell', shell, '--color=never', '-'], {
    encoding: 'utf8',
    input: script
  })
  if (run.error && !process.env.CI) {
    console.warn('shellcheck not found: a script of the modules is not checked')
    return
  }
  expect({ error: run.error, output: run.stdout }).toEqual({ error: undefined, output: '' })
}
