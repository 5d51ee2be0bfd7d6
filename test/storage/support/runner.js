// Makes one change of files with the compiled code, as a process that can be traced and killed:
//   node runner.js COMPILED '{"changes": […], "options": {…}}' [counted]
// With "recover" instead of "changes" it recovers interrupted runs. It prints the result.
// With `counted` the names of temporary files are numbered instead of random, so that traces of
// several runs match.
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
const load = name => import(pathToFileURL(`${compiled}/storage/${name}.js`).href)
const job = JSON.parse(text)
process.stdout.write(`${JSON.stringify(await run())}\n`)

async function run() {
  if (job.recover) return (await load('recovery')).recover(job.recover)
  const { commit } = await load('commit')
  const changes = job.changes.map(change => ({
    ...change,
    after: change.after === null ? null : Buffer.from(change.after)
  }))
  return commit(changes, { ...job.options, now: new Date(job.options.now) })
}
