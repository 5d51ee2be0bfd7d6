// npm run stress -- releases
//
// Prints the table of test/oracle/releases.test.ts: what the modules make of each machine on each
// release of NixOS, all of which that test asserts.
import { runTests } from './support/runTests.js'

runTests(['test/oracle/releases.test.ts', ...process.argv.slice(2)])
