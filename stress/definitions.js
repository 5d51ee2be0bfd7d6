// npm run stress -- definitions FOLDER...
//
// Plans every kind of edit of the definitions in real modules, by path and by definition, without writing
// anything. Each inverse must restore the bytes, Nix must accept a sample of the results, and no refusal may
// have the code VERIFICATION_FAILED. Exit code 1 otherwise.
import { applyEdits } from '../dist/nix/index.js'
import { present } from './support/expected.js'
import { documentsFromArguments } from './support/files.js'
import { askNix } from './support/nix.js'
import { Counts, finish, row, turn } from './support/report.js'

const OPERATIONS = {
  'set to a string': (edit, it) => edit.setIn(it, 'vfio-patch-test'),
  'set to a set': (edit, it) => edit.setIn(it, { vfioPatchTest: 1 }),
  'set below': (edit, it) => edit.setIn([...it.path, 'vfioPatchTest'], 1),
  'add an item': (edit, it) => edit.addIn(it, ['vfio-patch-test']),
  'add an item by path': (edit, it) => edit.addIn(it.path, ['vfio-patch-test']),
  remove: (edit, it) => edit.removeIn(it),
  'remove by path': (edit, it) => edit.removeIn(it.path),
  rename: (edit, it) => edit.renameIn(it, [...it.path.slice(0, -1), 'vfioPatchTest']),
  'rename by path': (edit, it) =>
    edit.renameIn(it.path, [...it.path.slice(0, -1), 'vfioPatchTest']),
  'rename to another set': (edit, it) => edit.renameIn(it.path, ['vfioPatchTest', 'x'])
}
const PER_FILE = 20
const ASK_ONE_OF = 40

const results = new Map(Object.keys(OPERATIONS).map(name => [name, new Counts()]))
const troubles = []
const nixJobs = []
let done = 0

for await (const { file, doc } of documentsFromArguments()) {
  for (const definition of sampleOf(doc)) {
    for (const name of Object.keys(OPERATIONS)) run(file, doc, definition, name)
    await turn()
  }
}
await askNix(nixJobs, ({ file, name }, verdict, output) => {
  present(results.get(name)).add(`Nix: ${verdict}`)
  if (verdict === 'rejected') troubles.push(`${file}: ${name}: ${output}`)
})
report()

/** Definitions with a fixed path: those of at most `PER_FILE` paths, evenly distributed over the file. */
function sampleOf(doc) {
  const paths = doc.leaves().flatMap(it => (it.path.includes(undefined) ? [] : [it.path]))
  const all = [...new Map(paths.map(it => [JSON.stringify(it), it])).values()]
  const step = Math.max(1, Math.ceil(all.length / PER_FILE))
  return all.filter((_, i) => i % step === 0).flatMap(it => doc.getIn(it))
}

function run(file, doc, definition, name) {
  const plan = OPERATIONS[name](doc.edit(), definition).plan()
  const what = plan.ok ? (plan.value.changed ? 'planned' : 'nothing to do') : plan.error.code
  present(results.get(name)).add(what)
  const place = `${file}: ${definition.path.join('.')}: ${name}`
  if (what === 'VERIFICATION_FAILED') troubles.push(`${place}: ${plan.error.message}`)
  if (!plan.ok) return
  const { text, inverse } = plan.value
  if (applyEdits(text, inverse) !== doc.text)
    troubles.push(`${place}: the inverse does not restore the bytes`)
  if (done++ % ASK_ONE_OF === 0) nixJobs.push({ file, name, before: doc.text, after: text })
}

function report() {
  for (const [name, counts] of results) {
    console.log(name)
    for (const [what, n] of [...counts].sort()) row(`  ${what}`, n)
  }
  finish(troubles)
}
