// npm run stress -- removals FOLDER...
//
// Runs apply, then undo or remove, on a copy of each module below the folders that apply can plan. undo must
// restore the bytes. remove must restore them except for whitespace and line endings, also after edits of the
// rest of the file, and Nix must accept the result. Exit code 1 otherwise.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFiles } from '../dist/configuration/files.js'
import { declares } from '../dist/configuration/imports.js'
import { loadConfiguration } from '../dist/configuration/load.js'
import { toChanges } from '../dist/plan/changes.js'
import { planRemove } from '../dist/plan/remove.js'
import { commit } from '../dist/storage/commit.js'
import { readTarget } from '../dist/storage/read.js'
import { lastRun } from '../dist/storage/runs.js'
import { planUndo } from '../dist/storage/undo.js'
import { orThrow, present } from './support/expected.js'
import { documentsFromArguments } from './support/files.js'
import { definesHost, planMainJob, SETTINGS, shipped } from './support/mainJob.js'
import { askNix } from './support/nix.js'
import { Counts, finish, row } from './support/report.js'

const { exclusive } = shipped
const settings = { ...SETTINGS, hugepages: { pageSize: '1G', numPages: 4 } }

// Edits that can be made before or after apply, with the same result.
const EDITS = {
  'a comment above and below': text =>
    `# mine\n${text}${text.endsWith('\n') ? '' : '\n'}# the end\n`,
  'Windows line endings': text => text.replaceAll('\r\n', '\n').replaceAll('\n', '\r\n'),
  'double indentation': text => text.replace(/^ +/gm, it => it + it),
  'no blank lines': text => text.replace(/\n(?:[ \t]*\n)+/g, '\n')
}

const top = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-removals-')))
const nixJobs = []
const troubles = []
const differing = []
const counts = new Counts()

try {
  for await (const { file, doc } of documentsFromArguments()) {
    const folder = mkdtempSync(join(top, 'copy-'))
    run(file, doc, folder)
    rmSync(folder, { recursive: true, force: true })
  }
} finally {
  rmSync(top, { recursive: true, force: true })
}
await askNix(nixJobs, ({ file }, verdict, output) => {
  counts.add(`left: ${verdict} by nix-instantiate`)
  if (verdict === 'rejected') troubles.push(`${file}: ${output}`)
})
report()

function run(file, doc, folder) {
  if (exclusive.some(it => declares(doc, it))) {
    counts.add('skipped: modules that declare options with these names')
    return
  }
  const { text } = doc
  const path = join(folder, 'configuration.nix')
  const state = join(folder, 'state')
  writeFileSync(path, text)
  const applied = apply(path, state)
  if (!applied) return
  counts.add('applied')
  if (definesHost(doc)) counts.add('  of these hosts')
  judge(file, 'undo', text, undo(path, state), true)

  apply(path, state)
  const left = remove(path, state)
  judge(file, 'remove', text, left, false)
  if (left !== undefined) nixJobs.push({ file, before: text, after: left })

  for (const [name, edit] of Object.entries(EDITS)) {
    writeFileSync(path, edit(applied))
    installModules(folder)
    judge(file, `remove, after: ${name}`, edit(text), remove(path, state), false)
  }
}

/** The text after apply; undefined if apply refuses. */
function apply(path, state) {
  const { configuration, folder } = load(path)
  const plan = planMainJob({
    configuration,
    settings,
    modulesFolder: folder.path,
    listing: folder.listing,
    // remove does not restore settings that apply replaced.
    keepObsolete: true
  })
  if (!plan.ok) return undefined
  write(plan.value, path, state, 'apply')
  return plan.value.configuration.text
}

/** The configuration, and the modules folder next to it. */
function load(path) {
  const sources = openFiles('/')
  const configuration = loadConfiguration(present(sources.module(path)), shipped, sources)
  return { configuration, folder: orThrow(sources.folder(join(path, '../vfio'))) }
}

function undo(path, state) {
  const last = lastRun(state, path)
  const changes = last.ok ? planUndo(last.value) : last
  if (!changes.ok) return JSON.stringify(changes.error)
  commitOrThrow(changes.value, state, 'undo')
  return readFileSync(path, 'utf8')
}

/** The text after remove; undefined if remove refuses. */
function remove(path, state) {
  const text = readFileSync(path, 'utf8')
  const { configuration, folder } = load(path)
  const plan = planRemove({
    configuration,
    defaultFolder: folder.path,
    folders: new Map([[folder.path, folder.listing]]),
    exclusive,
    others: []
  })
  if (!plan.ok) {
    writeFileSync(path, text)
    return undefined
  }
  write(plan.value, path, state, 'remove')
  return readFileSync(path, 'utf8')
}

function write({ files }, path, state, command) {
  const target = readTarget(path)
  if (!target.ok) throw new Error(target.error.code)
  commitOrThrow(toChanges(files, target.value), state, command)
}

function commitOrThrow(changes, stateFolder, command) {
  const done = commit(changes, { stateFolder, backup: true, command, tool: '0.0.0' })
  if (!done.ok) throw new Error(`${command}: ${done.error.code} ${done.error.path}`)
}

function installModules(folder) {
  mkdirSync(join(folder, 'vfio/_lib'), { recursive: true })
  for (const [name, text] of shipped.texts) writeFileSync(join(folder, 'vfio', name), text)
}

function judge(file, what, expected, found, mustBeSame) {
  const words = text => text.replace(/\s+/g, '')
  if (found === expected) counts.add(`${what}: same bytes`)
  else if (found === undefined) {
    counts.add(`${what}: refused`)
    troubles.push(`${file}: ${what}: refused`)
  } else if (words(found) === words(expected)) {
    counts.add(`${what}: other whitespace or line endings`)
    if (mustBeSame) troubles.push(`${file}: ${what}: other whitespace`)
    else differing.push(`${file}: ${what}`)
  } else if (words(found) === words(expected).replace('imports=[];', '')) {
    counts.add(`${what}: removed an empty imports of the original`)
    if (mustBeSame) troubles.push(`${file}: ${what}: imports = [ ] removed`)
  } else if (words(found).replace('imports=[];', '') === words(expected)) {
    counts.add(`${what}: kept an empty imports of vfio-patch`)
    if (mustBeSame) troubles.push(`${file}: ${what}: imports = [ ] kept`)
  } else {
    counts.add(`${what}: other differences`)
    troubles.push(`${file}: ${what}: not only whitespace differs`)
  }
}

function report() {
  for (const [name, value] of counts) row(name.padEnd(60), value)
  if (process.env.VERBOSE) for (const it of differing) console.log(it)
  finish(troubles)
}
