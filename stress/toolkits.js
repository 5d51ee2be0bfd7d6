// npm run stress -- toolkits [--sample K] [--show N] FOLDER...
//
// Does the same edits of every K-th .nix file below the folders with vfio-patch, nix-editor,
// nix-manipulator and flake-edit, without writing to the folders, and prints how many results are right:
// Nix reads the result as the file with the requested change alone, and no comment is lost. Prints N of the
// wrong results of each toolkit and kind of edit, and the most frequent refusals. Exit code 1 if a result of vfio-patch is wrong.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { decode, diffTexts, parseDocument } from '../dist/nix/index.js'
import { argumentsWith, filesBelow } from './support/files.js'
import { hasNix, printedByNix } from './support/nix.js'
import { Counts, finish, row, table, turn } from './support/report.js'
import { toolkits } from './support/toolkits.js'
import { bumpTasks, commentsOf, flakeTask, moduleTasks } from './support/toolkitTasks.js'

const COLUMNS = ['right', 'wrong', 'refused', 'crashed']
const KINDS = ['set', 'new option', 'add to list', 'remove', 'flake input', 'bump']

if (!hasNix) {
  console.error('needs Nix')
  process.exit(2)
}
const { folders, sample = 1, show = 0 } = argumentsWith('sample', 'show')
const tools = toolkits()
const present = tools.filter(it => it.version !== undefined)
/** The counts by toolkit and kind. */
const counts = new Map()
const tasks = new Counts()
const refusals = new Counts()
const faults = []

for (const { file, text, isSampled } of files()) {
  const doc = parseDocument(text)
  for (const task of tasksOf(file, doc, isSampled)) await measure(file, task)
  await turn()
}
for (const it of present) it.stop()
report()

function* files() {
  const all = folders.flatMap(it => filesBelow(it, '.nix'))
  for (const [i, file] of all.entries()) {
    const text = decode(readFileSync(file))
    if (text.ok) yield { file, text: text.value, isSampled: i % sample === 0 }
  }
}

/** There are few flakes and calls of fetchers, so these are not sampled. */
function tasksOf(file, doc, isSampled) {
  if (doc.errors.length > 0) return []
  const flake = basename(file) === 'flake.nix' ? flakeTask(doc) : undefined
  const others = isSampled && !flake ? moduleTasks(doc) : []
  return [...(flake ? [flake] : others), ...bumpTasks(doc)]
}

async function measure(file, task) {
  const expected = (await Promise.all(task.expected.map(printedByNix))).filter(it => it)
  // Nix itself rejects the file, or has no place for the change.
  if (expected.length === 0) return
  tasks.add(task.kind)
  for (const tool of present) {
    const count = countsOf(tool.name, task.kind)
    const start = performance.now()
    const result = await tool.edit(task)
    if (result === undefined) continue
    count.add('ms', performance.now() - start)
    count.add('asked')
    const verdict = await verdictOn(task, result, expected)
    count.add(verdict.what)
    if (verdict.isRewritten) count.add('other lines changed')
    if (verdict.what === 'refused')
      refusals.add(`${tool.name}: ${task.kind}: ${verdict.why.split('\n')[0]?.slice(0, 60)}`)
    if (verdict.what === 'wrong' || verdict.what === 'crashed')
      tell(file, task, tool, verdict, result)
  }
}

function tell(file, task, tool, { what, why }, { text }) {
  const place = `${tool.name}: ${task.kind} ${task.path.join('.')}: ${file}: ${what}: ${why}`
  if (tool.name.startsWith('vfio-patch')) faults.push(place)
  if (countsOf(tool.name, task.kind).get(what) > show) return
  console.log(`\n${place}`)
  if (text !== undefined)
    console.log(diffTexts(task.text, text, { file: file.replace(/^\/+/, '') }))
}

/** @returns {Promise<{ what: string, why: string, isRewritten?: boolean }>} */
async function verdictOn(task, result, expected) {
  if (result.crashed !== undefined) return { what: 'crashed', why: result.crashed }
  if (result.refused !== undefined) return { what: 'refused', why: result.refused }
  if (result.text === task.text) return { what: 'refused', why: 'no change' }
  const printed = await printedByNix(result.text)
  if (printed === undefined) return { what: 'wrong', why: 'does not parse' }
  if (!expected.includes(printed)) return { what: 'wrong', why: 'something else changed' }
  const lost = missing(commentsOf(parseDocument(task.text)), [
    ...commentsOf(parseDocument(result.text)),
    ...task.freed
  ])
  if (lost.length > 0) return { what: 'wrong', why: `lost the comment "${lost[0]}"` }
  const lines = missing(task.text.split('\n'), result.text.split('\n'))
  return { what: 'right', why: '', isRewritten: lines.length > task.touched }
}

/** What the first list has and the second has not, or less often. */
function missing(before, after) {
  const left = new Counts()
  for (const it of after) left.add(it)
  return before.filter(it => {
    const isThere = (left.get(it) ?? 0) > 0
    left.add(it, -1)
    return !isThere
  })
}

function countsOf(tool, kind) {
  const key = `${tool}\n${kind}`
  if (!counts.has(key)) counts.set(key, new Counts())
  return counts.get(key)
}

function report() {
  for (const { name, version } of tools) row(name, '', version ?? 'is not installed')
  console.log('')
  for (const kind of KINDS) row(kind, tasks.get(kind) ?? 0)
  const rows = KINDS.flatMap(kind =>
    present.flatMap(({ name }) => {
      const count = countsOf(name, kind)
      if (!count.has('asked')) return []
      const numbers = [...COLUMNS, 'other lines changed'].map(it => String(count.get(it) ?? 0))
      return [[kind, name, ...numbers, (count.get('ms') / 1000).toFixed(1)]]
    })
  )
  const head = ['edit', 'toolkit', ...COLUMNS, 'right, other lines changed', 'seconds']
  console.log(`\n${table(head, rows)}`)
  if (show > 0) console.log('\nmost frequent refusals')
  const sorted = [...refusals].sort((a, b) => b[1] - a[1])
  for (const [why, n] of sorted.slice(0, 5 * show)) console.log(`  ${String(n).padStart(5)} ${why}`)
  finish(faults, 'wrong results of vfio-patch')
}
