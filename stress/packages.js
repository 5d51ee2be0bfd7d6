// npm run stress -- packages FOLDER...
//
// Plans a new revision and a new hash for every call of a fetcher below the folders, as far as they are
// literals, without writing anything: only their bytes may change, Nix must accept the result, planning
// again must change nothing, and the inverse must restore the text. Exit code 1 if a plan is wrong or
// refused.
import { applyEdits, parseDocument } from '../dist/nix/index.js'
import { bumped, fetchCallsOf } from './support/fetchCalls.js'
import { documentsFromArguments } from './support/files.js'
import { askNix } from './support/nix.js'
import { Counts, finish, row, table } from './support/report.js'

const FETCHERS = [
  'fetchFromGitHub',
  'fetchFromGitLab',
  'fetchFromGitea',
  'fetchFromSourcehut',
  'fetchgit',
  'fetchurl',
  'fetchzip',
  'fetchpatch',
  'fetchTarball'
]
const COLUMNS = ['calls', 'planned', 'accepted', 'refused', 'wrong']

const counts = new Map(FETCHERS.map(it => [it, new Counts()]))
const files = new Counts()
const nixJobs = []
const troubles = []

for await (const { file, doc } of documentsFromArguments()) {
  if (doc.errors.length > 0) continue
  const calls = fetchCallsOf(doc, FETCHERS)
  if (calls.length > 0) files.add('all')
  for (const call of calls) run(file, doc, call)
}
await askNix(nixJobs, ({ file, call }, verdict, output) => {
  counts.get(call.name)?.add(verdict.replace(/ .*/, ''))
  if (verdict === 'rejected') troubles.push(`${placeOf(file, call)}: ${output}`)
})
report()

function run(file, doc, call) {
  const count = counts.get(call.name)
  count?.add('calls')
  const wrong = why => {
    count?.add('wrong')
    troubles.push(`${placeOf(file, call)}: ${why}`)
  }
  if (doc.callsOf && !isFound(doc, call)) wrong('callsOf does not find it')
  const plan = bumped(doc, call)
  if (!plan?.ok) {
    count?.add('refused')
    const why = plan ? `${plan.error.code}: ${plan.error.message}` : 'no edit of an attribute set'
    troubles.push(`${placeOf(file, call)}: ${why}`)
    return
  }
  count?.add('planned')
  const { text, inverse } = plan.value
  if (text !== call.bumped) wrong('other bytes changed')
  if (applyEdits(text, inverse) !== doc.text) wrong('the inverse does not restore the bytes')
  const after = parseDocument(text)
  const [same] = fetchCallsOf(after, [call.name]).filter(it => it.set.start === call.set.start)
  const again = same && bumped(after, { ...same, replacements: call.replacements })
  if (!again?.ok || again.value.changed) wrong('planning again changes something')
  nixJobs.push({ file, call, before: doc.text, after: text })
}

function isFound(doc, call) {
  return doc.callsOf(call.name).some(it => it.args.some(arg => arg.start === call.set.start))
}

function placeOf(file, { name, path }) {
  return `${file}: ${path.join('.')}: ${name}`
}

function report() {
  row('files with such calls', files.get('all') ?? 0)
  console.log('')
  const rows = [...counts].filter(([, count]) => count.size > 0)
  const numbers = count => COLUMNS.map(it => String(count.get(it) ?? 0))
  console.log(
    table(
      ['fetcher', ...COLUMNS],
      rows.map(([name, it]) => [name, ...numbers(it)])
    )
  )
  finish(troubles, 'wrong or refused')
}
