// npm run stress -- flakes FOLDER...
//
// Adds an input to every flake.nix below the folders, without writing to them: Nix must find the input in
// the result, and must be able to call `outputs` with it. Planning again must change nothing, and the
// inverse must restore the text. Exit code 1 if a plan is wrong or refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { applyEdits, parseDocument } from '../dist/nix/index.js'
import { documentsFromArguments } from './support/files.js'
import { askNix, hasNix, nixRepl } from './support/nix.js'
import { Counts, finish, row } from './support/report.js'

const NAME = 'vfioPatchTest'
const URL = 'github:vfio-patch/test'

if (!hasNix) {
  console.error('needs Nix')
  process.exit(2)
}
const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-flakes-'))
const nix = nixRepl(join(folder, 'store'), [])
const counts = new Counts()
const nixJobs = []
const troubles = []
let copies = 0

try {
  for await (const { file, doc } of documentsFromArguments())
    if (basename(file) === 'flake.nix' && doc.errors.length === 0) await run(file, doc)
} finally {
  nix.stop()
  rmSync(folder, { recursive: true, force: true })
}
await askNix(nixJobs, ({ file }, verdict, output) => {
  counts.add(`${verdict} by nix-instantiate`)
  if (verdict === 'rejected') troubles.push(`${file}: ${output}`)
})
report()

async function run(file, doc) {
  counts.add('flakes')
  const plan = planned(doc)
  if (!plan.ok) {
    counts.add('refused')
    troubles.push(`${file}: ${plan.error.code}: ${plan.error.message}`)
    return
  }
  counts.add('planned')
  const { text, inverse } = plan.value
  const wrong = why => troubles.push(`${file}: ${why}`)
  if (applyEdits(text, inverse) !== doc.text) wrong('the inverse does not restore the bytes')
  const again = planned(parseDocument(text))
  if (!again.ok || again.value.changed) wrong('planning again changes something')
  nixJobs.push({ file, before: doc.text, after: text })
  const copy = join(folder, `${copies++}.nix`)
  writeFileSync(copy, text)
  const url = await nix.ask(`(import ${copy}).inputs.${NAME}.url`)
  if (url === URL) counts.add('the input is found')
  else wrong(`the input is not found: ${JSON.stringify(url)}`)
  await callOutputs(copy, wrong)
}

/** Calls `outputs` with inputs that fail when they are used, so that most calls fail in the end. */
async function callOutputs(copy, wrong) {
  const names = await nix.ask(
    `builtins.concatStringsSep " " (builtins.attrNames (builtins.functionArgs (import ${copy}).outputs))`
  )
  if (typeof names !== 'string') {
    counts.add('outputs can not be evaluated alone')
    return
  }
  const hasName = names.split(' ').includes(NAME)
  const said = await nix.ask(
    `let f = (import ${copy}).outputs; any = builtins.mapAttrs (_: _: throw "used"); in
    builtins.seq (f (any (builtins.functionArgs f // { ${NAME} = true; }))) "called"`.replace(
      /\n */,
      ' '
    )
  )
  const isRejected = typeof said !== 'string' && /unexpected argument/.test(said.error)
  if (isRejected) wrong(`outputs = { ${names.replaceAll(' ', ', ')} }: does not take the input`)
  else counts.add(hasName ? 'outputs have its name' : 'outputs take any input')
}

function planned(doc) {
  return doc.edit().setIn(['inputs', NAME, 'url'], URL).plan()
}

function report() {
  for (const [name, n] of counts) row(name, n)
  finish(troubles, 'wrong or refused')
}
