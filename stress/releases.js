// npm run stress -- releases [ARG...]
//
// Prints the table of test/oracle/releases.test.ts: what the modules make of each machine on each
// release of NixOS, all of which that test asserts. ARG is one of vitest.
import { spawnSync } from 'node:child_process'

const args = ['vitest', 'run', 'test/oracle/releases.test.ts', ...process.argv.slice(2)]
process.exitCode = spawnSync('npx', args, { stdio: 'inherit' }).status ?? 1
