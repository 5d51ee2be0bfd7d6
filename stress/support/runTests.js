import { spawnSync } from 'node:child_process'

/** Runs vitest with these arguments and more variables in its environment, and takes its exit code. */
export function runTests(args, env = {}) {
  const options = { stdio: 'inherit', env: { ...process.env, ...env } }
  process.exitCode = spawnSync('npx', ['vitest', 'run', ...args], options).status ?? 1
}
