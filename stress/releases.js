// npm run stress -- releases [ARG...]
//
// Prints the table of test/oracle/releases.test.ts: the result of the modules for each machine on each
// release of NixOS, which that test asserts. ARG is an argument of vitest.
import { spawnSync } from 'node:child_process'

const args = ['vitest', 'run', 'test/oracle/releases.test.ts', ...process.argv.slice(2)]
const env = { ...process.env, VFIO_PATCH_RELEASES: 'table' }
process.exitCode = spawnSync('npx', args, { stdio: 'inherit', env }).status ?? 1
