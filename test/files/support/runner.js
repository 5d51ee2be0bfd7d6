// Makes one change of files with the compiled code, as a process that can be traced and killed:
//   node runner.js COMPILED '{"changes": […], "options": {…}}' [counted]
// It prints the result. With `counted` the names of temporary files count up instead of being
// random, so that a trace can name them.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { pathToFileURL } from 'node:url'

const [compiled, text, counted] = process.argv.slice(2)
if (counted) {
  let calls = 0
  crypto.randomBytes = size => {
    calls += 1
    return Buffer.alloc(size, calls)
  }
  syncBuiltinESMExports()
}
const { commit } = await import(pathToFileURL(`${compiled}/files/commit.js`).href)
const { changes, options } = JSON.parse(text)
const result = commit(
  changes.map(change => ({
    ...change,
    after: change.after === null ? null : Buffer.from(change.after)
  })),
  { ...options, now: new Date(options.now) }
)
process.stdout.write(`${JSON.stringify(result)}\n`)
