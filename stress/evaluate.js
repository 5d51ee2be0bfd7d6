// npm run stress -- evaluate FOLDER...
//
// Edits each module below the folders and evaluates the result, without writing to the folders: the option
// must have exactly the requested change, and everything else must be the same. Skips modules that the
// module system of NIXPKGS_LIB (the lib folder of nixpkgs) can't evaluate. evaluate.nix explains how it
// evaluates modules without the rest of nixpkgs. Exit code 1 if a result is wrong.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chosen, meaningOf, operationsFor } from './support/evaluateOperations.js'
import { documentsFromArguments } from './support/files.js'
import { hasNix, nixRepl } from './support/nix.js'
import { Counts, finish, row } from './support/report.js'

if (!hasNix || !process.env.NIXPKGS_LIB) {
  console.error('needs Nix, and NIXPKGS_LIB with the lib folder of nixpkgs')
  process.exit(2)
}
// Relative paths of a module must lead to the same files after an edit.
const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-evaluate-'))
const nixPath = path => `(/. + ${JSON.stringify(path).replaceAll('${', '\\${')})`
const view = fileURLToPath(new URL('support/evaluate.nix', import.meta.url))
const nix = nixRepl(join(folder, 'store'), [
  `view = import ${nixPath(view)} (import ${nixPath(process.env.NIXPKGS_LIB)})`
])

const modules = { all: 0, evaluated: 0, withConfig: 0 }
const operations = new Map()
const wrong = []
const failures = new Counts()
let copies = 0

try {
  process.argv.slice(2).forEach((from, i) => {
    cpSync(from, join(folder, String(i)), {
      recursive: true,
      verbatimSymlinks: true,
      filter: it => !it.endsWith('/.git')
    })
  })
  for await (const { file, doc } of documentsFromArguments()) await evaluateModule(file, doc)
} finally {
  nix.stop()
  rmSync(folder, { recursive: true, force: true })
}
report()

async function evaluateModule(file, doc) {
  const module = doc.module()
  if (!module.ok) return
  modules.all++
  const names = namesIn(doc.text)
  const before = await evaluated(file, doc.text, names)
  if (!(before instanceof Map)) {
    failures.add(before.error)
    return
  }
  if (![...before.keys()].some(it => it.startsWith('["config",'))) return
  modules.evaluated++
  if (module.value.hasConfig) modules.withConfig++
  const run = async operation => {
    const outcome = await judged(file, doc, names, before, operation)
    const isWrong = outcome.startsWith('wrong')
    count(operation.name, isWrong ? 'wrong' : outcome)
    if (module.value.hasConfig) count('with a top-level config', isWrong ? 'wrong' : outcome)
    if (isWrong) wrong.push(`${file}: ${operation.name} ${operation.path.join('.')}: ${outcome}`)
    return outcome
  }
  for (const operation of operationsFor(doc, before)) {
    const outcome = await run(operation)
    const again = outcome === 'refused CONDITIONAL' ? chosen(doc, operation) : undefined
    if (again) await run(again)
  }
}

async function judged(file, doc, names, before, operation) {
  const plan = operation.ask(doc.edit()).plan()
  if (!plan.ok) {
    const { code, message } = plan.error
    return code === 'VERIFICATION_FAILED' ? `wrong: ${code}: ${message}` : `refused ${code}`
  }
  const after = await evaluated(file, plan.value.text, names)
  if (!(after instanceof Map)) return `wrong: evaluation fails: ${after.error}`
  const expected = operation.expect(before, after, dirname(placeOf(file)))
  const differences = [...new Set([...expected.keys(), ...after.keys()])]
    .filter(key => expected.get(key) !== after.get(key))
    .map(key => `${key} is ${short(after.get(key))}, expected ${short(expected.get(key))}`)
  return differences.length === 0 ? 'equal' : `wrong: ${differences.slice(0, 3).join('; ')}`
}

/** The meaning that the module has with this text, or `{ error }`. */
async function evaluated(file, text, names) {
  const path = join(dirname(placeOf(file)), `vfio-patch-${copies++}.nix`)
  writeFileSync(path, text)
  const list = JSON.stringify(JSON.stringify(names)).replaceAll('${', '\\${')
  const answer = await nix.ask(
    `builtins.toJSON (view (builtins.fromJSON ${list}) ${nixPath(path)})`
  )
  rmSync(path)
  if (typeof answer !== 'string')
    return { error: answer.error.match(/error: .*/g)?.at(-1) ?? answer.error }
  const { config, aside } = JSON.parse(answer.replaceAll(path, file))
  return meaningOf({ set: ['config', 'aside'], values: [config, aside] })
}

function placeOf(file) {
  const i = process.argv.slice(2).findIndex(it => !relative(it, file).startsWith('..'))
  return join(folder, String(i), relative(process.argv[i + 2] ?? '', file))
}

/** The names that a module may select from its arguments: every name and every string that may be a name. */
function namesIn(text) {
  const names = [...text.matchAll(/[a-z_][\w'-]*|"([\w./@:+-]+)"/gi)].map(it => it[1] ?? it[0])
  return [...new Set(names), 'x86_64-linux'].filter(
    it => !['__standIn', '__functor', 'type', 'name'].includes(it)
  )
}

function count(operation, what) {
  const counts = operations.get(operation) ?? new Counts()
  operations.set(operation, counts)
  counts.add(what)
}

function short(json) {
  if (json === undefined) return 'missing'
  return json.length > 300 ? `${json.slice(0, 300)}…` : json
}

function report() {
  row('modules', modules.all)
  row('  evaluated, with options', modules.evaluated)
  row('  with a top-level config', modules.withConfig)
  console.log('\nnot evaluated with placeholders for arguments')
  const reasons = [...failures].sort((a, b) => b[1] - a[1])
  for (const [reason, n] of reasons.slice(0, 5)) row(`  ${reason.slice(0, 60)}`.padEnd(64), n)
  const withConfig = operations.get('with a top-level config') ?? new Map()
  operations.delete('with a top-level config')
  const all = new Counts()
  for (const counts of operations.values()) for (const [what, n] of counts) all.add(what, n)
  const outcomes = [...all.keys()].sort()
  console.log(`\n${''.padEnd(24)}${outcomes.map(it => it.padStart(26)).join('')}`)
  const line = (name, counts) =>
    console.log(
      name.padEnd(24) + outcomes.map(it => String(counts.get(it) ?? 0).padStart(26)).join('')
    )
  for (const [name, counts] of [...operations].sort()) line(name, counts)
  line('all', all)
  line('with a top-level config', withConfig)
  finish(wrong)
}
