// npm run stress -- random
//
// The properties of test/properties over 10,000 generated documents with 10 edits each, and what of
// them asks Nix over a sample. PROPERTY_SEED, PROPERTY_DOCUMENTS and PROPERTY_OPERATIONS change that.
// Prints the time of each property and, where one does not hold, the smallest example with the seed.
import { spawnSync } from 'node:child_process'

const {
  PROPERTY_SEED = String(Date.now() % 1_000_000_000),
  PROPERTY_DOCUMENTS = '10000',
  PROPERTY_OPERATIONS = '10'
} = process.env
console.log(`${PROPERTY_DOCUMENTS} documents x ${PROPERTY_OPERATIONS} edits, seed ${PROPERTY_SEED}`)
const args = ['vitest', 'run', 'test/properties', '--testTimeout=0', '--reporter=verbose']
// The verifier's test makes edits wrong, and has its own numbers.
args.push('--exclude=**/verifier.test.ts')
const env = { ...process.env, PROPERTY_SEED, PROPERTY_DOCUMENTS, PROPERTY_OPERATIONS }
process.exitCode = spawnSync('npx', args, { stdio: 'inherit', env }).status ?? 1
