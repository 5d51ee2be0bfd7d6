// npm run stress -- random
//
// Tests the properties in test/properties with 10,000 generated documents of 10 edits each. Properties that
// need Nix use a sample. PROPERTY_SEED, PROPERTY_DOCUMENTS and PROPERTY_OPERATIONS override the numbers.
// Prints the time of each property and, if one fails, the smallest example with the seed.
import { spawnSync } from 'node:child_process'

const {
  PROPERTY_SEED = String(Date.now() % 1_000_000_000),
  PROPERTY_DOCUMENTS = '10000',
  PROPERTY_OPERATIONS = '10'
} = process.env
console.log(`${PROPERTY_DOCUMENTS} documents x ${PROPERTY_OPERATIONS} edits, seed ${PROPERTY_SEED}`)
const args = ['vitest', 'run', 'test/properties', '--testTimeout=0', '--reporter=verbose']
// The test of the verifier corrupts edits, and has its own number of documents.
args.push('--exclude=**/verifier.test.ts')
const env = { ...process.env, PROPERTY_SEED, PROPERTY_DOCUMENTS, PROPERTY_OPERATIONS }
process.exitCode = spawnSync('npx', args, { stdio: 'inherit', env }).status ?? 1
