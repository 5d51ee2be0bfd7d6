// npm run stress -- corpus FOLDER...
//
// Plans the main job for every .nix file below the folders, without writing anything, and prints the
// outcomes. A plan is wrong if Nix rejects its result but accepts the original, if a second plan changes
// something, or if its inverse doesn't restore the bytes. Exit code 1 if anything is wrong or crashed, or
// if a document does not print the bytes of its file.
import { readFileSync } from 'node:fs'
import { kindOf } from '../dist/configuration/kind.js'
import { applyEdits, decode, parseDocument } from '../dist/nix/index.js'
import { filesFromArguments } from './support/files.js'
import { definesHost, installed, loneConfiguration, planMainJob } from './support/mainJob.js'
import { askNix } from './support/nix.js'
import { Counts, finish, row, turn } from './support/report.js'

const nixJobs = []
const counts = new Counts()
const refusals = new Counts()
/** @type {{ all: number, planned: number, generated: number, refused: string[] }} */
const hosts = { all: 0, planned: 0, generated: 0, refused: [] }
const troubles = []

for (const file of filesFromArguments()) {
  counts.add('read')
  try {
    run(file)
  } catch (error) {
    counts.add('crashed')
    troubles.push(`${file}: crashed: ${/** @type {Error} */ (error).stack}`)
  }
  await turn()
}
await askNix(nixJobs, ({ file }, verdict, output) => {
  counts.add(`${verdict.replace(/^(accepted|rejected)/, '$1 by nix-instantiate')}`)
  if (verdict === 'rejected') troubles.push(`${file}: ${output}`)
})
report()

function run(file) {
  const bytes = readFileSync(file)
  const decoded = decode(bytes)
  if (!decoded.ok) {
    counts.add(`not text: ${decoded.error.message.replace(/.*\((.*)\)/, '$1')}`)
    return
  }
  counts.add('decoded')
  const text = decoded.value
  const doc = parseDocument(text)
  if (doc.errors.length === 0) counts.add('parsed')
  if (Buffer.from(String(doc)).equals(bytes)) counts.add('printed back byte-identical')
  else troubles.push(`${file}: not printed back byte-identical`)

  const isHost = kindOf(doc) === 'generated' || definesHost(doc)
  if (isHost) hosts.all++
  const plan = planMainJob({ configuration: loneConfiguration(text), listing: 'absent' })
  if (!plan.ok) {
    const { error } = plan
    const kind = 'kind' in error ? ` ${error.kind}` : ''
    const { code, message } =
      error.code === 'NIX' ? error.error : { code: error.code + kind, message: '' }
    refusals.add(code)
    if (code === 'VERIFICATION_FAILED') troubles.push(`${file}: ${message}`)
    if (isHost && code === 'WRONG_KIND generated') hosts.generated++
    else if (isHost) hosts.refused.push(`${file}: ${code}: ${message}`)
    return
  }
  counts.add('planned')
  if (isHost) hosts.planned++
  const { configuration } = plan.value
  const again = planMainJob({
    configuration: loneConfiguration(configuration.text),
    listing: installed
  })
  if (again.ok && again.value.files.length === 0) counts.add('planned again: no change')
  else
    troubles.push(
      `${file}: planned again: ${JSON.stringify(again.ok ? again.value.configuration.diff() : again.error)}`
    )
  const back = applyEdits(configuration.text, configuration.inverse)
  if (back === text) counts.add('inverse restores the bytes')
  else troubles.push(`${file}: the inverse does not restore the bytes`)
  nixJobs.push({ file, before: text, after: configuration.text })
}

function report() {
  const order = [
    'read',
    'decoded',
    'printed back byte-identical',
    'parsed',
    'planned',
    'planned again: no change',
    'inverse restores the bytes',
    'accepted by nix-instantiate',
    'rejected by nix-instantiate before, too',
    'rejected by nix-instantiate',
    'crashed'
  ]
  for (const name of order) row(name, counts.get(name) ?? 0)
  for (const [name, value] of counts) if (!order.includes(name)) row(name, value)
  console.log('\nrefused')
  for (const [code, value] of [...refusals].sort((a, b) => b[1] - a[1])) row(`  ${code}`, value)
  console.log('\nhost files (set fileSystems, boot.loader or system.stateVersion)')
  row('  all', hosts.all)
  row('  planned', hosts.planned)
  row('  refused as generated', hosts.generated)
  row('  refused otherwise', hosts.refused.length)
  for (const it of hosts.refused) console.log(`    ${it}`)
  const decoded = counts.get('decoded') ?? 0
  const identical = counts.get('printed back byte-identical') ?? 0
  const share = hosts.all === 0 ? 100 : ((hosts.planned + hosts.generated) / hosts.all) * 100
  const printed = `${identical === decoded ? 'all' : identical} of ${decoded} printed back`
  console.log(`\n${printed}, ${share.toFixed(1)} % of the host files planned or generated`)
  finish(troubles)
}
