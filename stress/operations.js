// npm run stress -- operations FOLDER...
//
// Plans six edits of every module below the folders, without writing anything: Nix must accept the result,
// a second plan must change nothing, and the inverse must restore the text. Counts how often removeIn
// restores it, the changed lines and, for the options that users edit most, the definitions that can be
// edited in place. Exit code 1 if a plan is wrong.
import { applyEdits, expr, parseDocument } from '../dist/nix/index.js'
import { present } from './support/expected.js'
import { documentsFromArguments } from './support/files.js'
import { askNix } from './support/nix.js'
import { Counts, finish, row } from './support/report.js'

const OPERATIONS = {
  'set scalar': edit => edit.setIn('services.vfioPatchTest.enable', true),
  'add to list': (edit, doc) => {
    const list = firstList(doc)
    return list && edit.addIn(list, ['vfio-patch-test'])
  },
  'add to missing list': edit => edit.addIn('boot.vfioPatchTest', ['x', 'y']),
  remove: (edit, doc) => {
    const path = removable(doc)
    return path && edit.removeIn(path)
  },
  import: edit => edit.import('./vfio-patch-test'),
  'set nested': edit => edit.setIn('virtualisation.vfioPatchTest', { a: { b: [1, 2] }, c: 'd' })
}

// The arguments of removeIn that undo an operation.
const ADDED = {
  'set scalar': () => ['services.vfioPatchTest.enable'],
  'add to list': doc => [firstListPath(doc), ['vfio-patch-test']],
  'add to missing list': () => ['boot.vfioPatchTest'],
  import: doc =>
    doc.getIn('imports').length > 0 ? ['imports', [expr('./vfio-patch-test')]] : ['imports'],
  'set nested': () => ['virtualisation.vfioPatchTest']
}

const LISTS = [
  'boot.kernelParams',
  'boot.kernelModules',
  'boot.initrd.kernelModules',
  'boot.initrd.availableKernelModules',
  'boot.blacklistedKernelModules',
  'boot.extraModprobeConfig',
  'extraGroups',
  'imports',
  'environment.systemPackages'
]

const results = new Map(Object.keys(OPERATIONS).map(name => [name, new Counts()]))
const inPlace = new Map(LISTS.map(name => [name, { edited: 0, refused: new Counts() }]))
const wrapped = []
const troubles = []
const nixJobs = []
const count = (operation, what) => present(results.get(operation)).add(what)

for await (const { file, doc } of documentsFromArguments()) {
  if (!doc.module().ok) continue
  for (const name of Object.keys(OPERATIONS)) run(file, doc, name)
  for (const name of LISTS) editInPlace(file, doc, name)
}
await askNix(nixJobs, ({ file, operation }, verdict, output) => {
  count(operation, verdict)
  if (verdict === 'rejected') troubles.push(`${file}: ${operation}: ${output}`)
})
report()

function run(file, doc, name) {
  const before = doc.text
  const edit = OPERATIONS[name]
  const asked = edit(doc.edit(), doc)
  if (!asked) {
    count(name, 'not applicable')
    return
  }
  const plan = asked.plan()
  const wrong = why => {
    count(name, 'wrong')
    troubles.push(`${file}: ${name}: ${why}`)
  }
  if (!plan.ok) {
    count(name, `refused ${plan.error.code}`)
    if (plan.error.code === 'VERIFICATION_FAILED') wrong(plan.error.message)
    return
  }
  count(name, 'planned')
  const { text, inverse, edits } = plan.value
  if (applyEdits(text, inverse) !== before) wrong('the inverse does not restore the bytes')
  const after = parseDocument(text)
  const again = edit(after.edit(), doc === after ? doc : remembered(doc, after, name))?.plan()
  if (again && !(again.ok && again.value.edits.length === 0))
    wrong('planning again changes something')
  const lines = changedLines(before, edits)
  count(name, `lines changed: ${lines > 1 ? 'more' : lines}`)
  if (lines > 1 && name !== 'remove') wrapped.push(`${file}: ${name}`)
  const added = ADDED[name]?.(doc)
  if (added) removeAgain(before, after, added, name)
  nixJobs.push({ file, operation: name, before, after: text })
}

// The second plan must edit the same option as the first, even if the edited text has another first list.
function remembered(doc, after, name) {
  if (name === 'add to list') return { ...proxyOf(after), path: firstListPath(doc) }
  if (name === 'remove') return { ...proxyOf(after), removed: removable(doc) }
  return after
}

function proxyOf(doc) {
  return { getIn: path => doc.getIn(path), getBelow: path => doc.getBelow(path) }
}

function removeAgain(before, after, added, name) {
  const back = after
    .edit()
    .removeIn(...added)
    .plan()
  if (back.ok && back.value.text === before) count(name, 'removeIn restores the bytes')
  else count(name, 'removeIn leaves a difference')
}

function firstListPath(doc) {
  return LISTS.find(path => doc.getIn(path).length > 0)
}

function firstList(doc) {
  return doc.path ?? firstListPath(doc)
}

function removable(doc) {
  if (doc.removed) return doc.removed
  const all = ['services', 'boot', 'networking', 'programs', 'environment', 'virtualisation']
  const found = all.flatMap(path => [...doc.getIn(path), ...doc.getBelow(path)])
  const fit = found.find(it => !it.inherited && !it.path.includes(undefined))
  return fit?.path
}

function changedLines(text, edits) {
  let lines = 0
  for (const { offset, length, content } of edits) {
    const removed = text.slice(offset, offset + length).trim()
    const inLine = !startsLine(text, offset) && !atLineEnd(text, offset + length)
    if (removed !== '' || (inLine && !/^\r?\n/.test(content))) lines++
  }
  return lines
}

function startsLine(text, offset) {
  return /(?:^|\n)[ \t]*$/.test(text.slice(Math.max(0, offset - 200), offset))
}

function atLineEnd(text, offset) {
  return /^[ \t]*(?:\r?\n|$)/.test(text.slice(offset, offset + 200))
}

function editInPlace(file, doc, name) {
  const all =
    name === 'extraGroups'
      ? doc
          .getBelow('users.users')
          .filter(it => it.path.at(-1) === 'extraGroups' && it.path.length === 4)
      : doc.getIn(name)
  const tally = present(inPlace.get(name))
  for (const definition of all) {
    const plan = doc.edit().addIn(definition, ['vfio-patch-test']).plan()
    if (plan.ok && plan.value.changed) tally.edited++
    else {
      const code = plan.ok ? 'no change' : plan.error.code
      tally.refused.add(code)
      if (code === 'VERIFICATION_FAILED') troubles.push(`${file}: ${name}: ${plan.error.message}`)
    }
  }
}

function report() {
  const names = Object.keys(OPERATIONS)
  console.log(''.padEnd(44) + names.map(it => it.slice(0, 13).padStart(15)).join(''))
  const rows = new Set([...results.values()].flatMap(it => [...it.keys()]))
  for (const what of [...rows].sort()) {
    const values = names.map(it => String(results.get(it)?.get(what) ?? 0).padStart(15))
    console.log(what.padEnd(44) + values.join(''))
  }
  console.log('\ndefinitions edited in place')
  let edited = 0
  let all = 0
  for (const [name, tally] of inPlace) {
    const refused = [...tally.refused].map(([code, n]) => `${n} ${code}`).join(', ')
    const sum = tally.edited + [...tally.refused.values()].reduce((a, b) => a + b, 0)
    edited += tally.edited
    all += sum
    row(`  ${name}`, `${tally.edited} of ${sum}`, `   ${refused}`)
  }
  row('  all', `${edited} of ${all}`, `${((edited / all) * 100).toFixed(1)} %`)
  console.log(`\n${wrapped.length} edits changed more than one line`)
  for (const it of wrapped) console.log(`  ${it}`)
  finish(troubles)
}
