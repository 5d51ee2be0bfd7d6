// npm run stress -- corpus FOLDER...
//
// Runs the main job over every .nix file below the folders, without writing anything, and prints
// what became of them. Wrong are plans whose result Nix rejects where it accepts the original, that
// find something to do a second time, or whose inverse does not give the bytes back. Exit code 1 if
// anything is wrong or crashed, or if a file is not printed back as it was.
import { readFileSync } from 'node:fs'
import { kindOf } from '../dist/configuration/kind.js'
import { shippedModules } from '../dist/configuration/modules.js'
import { applyEdits, decode, parseDocument } from '../dist/nix/index.js'
import { planApply } from '../dist/plan/apply.js'
import { askNix, filesFromArguments, hasNix, row, turn } from './support/files.js'

const shipped = shippedModules('0.0.0')
const settings = {
  devices: ['10de:1b80', '10de:10f0'],
  IOMMUType: 'amd',
  blacklistNvidia: true,
  ignoreMSRs: true,
  users: ['alice'],
  sharedMemoryFiles: [{ name: 'looking-glass' }, { name: 'scream' }],
  deviceACL: ['/dev/kvmfr0'],
  clearEmulationCapabilities: false
}
const nixJobs = []

const counts = new Map()
const refusals = new Map()
const hosts = { all: 0, planned: 0, generated: 0, refused: [] }
const troubles = []
const count = (name, by = 1) => counts.set(name, (counts.get(name) ?? 0) + by)

for (const file of filesFromArguments()) {
  count('read')
  try {
    run(file)
  } catch (error) {
    count('crashed')
    troubles.push(`${file}: crashed: ${error.stack}`)
  }
  await turn()
}
await askNix(nixJobs, ({ file }, verdict, output) => {
  count(`${verdict.replace(/^(accepted|rejected)/, '$1 by nix-instantiate')}`)
  if (verdict === 'rejected') troubles.push(`${file}: ${output}`)
})
report()

function run(file) {
  const bytes = readFileSync(file)
  const decoded = decode(bytes)
  if (!decoded.ok) {
    count(`not text: ${decoded.error.message.replace(/.*\((.*)\)/, '$1')}`)
    return
  }
  count('decoded')
  const text = decoded.value
  const doc = parseDocument(text)
  if (doc.errors.length === 0) count('parsed')
  if (Buffer.from(String(doc)).equals(bytes)) count('printed back byte-identical')
  else troubles.push(`${file}: not printed back as it was`)

  const isHost = definesHost(doc)
  if (isHost) hosts.all++
  const plan = planFor(text, 'absent')
  if (!plan.ok) {
    const { error } = plan
    const code =
      error.code === 'NIX' ? error.error.code : `${error.code} ${error.kind ?? ''}`.trim()
    refusals.set(code, (refusals.get(code) ?? 0) + 1)
    if (code === 'VERIFICATION_FAILED') troubles.push(`${file}: ${error.error.message}`)
    if (isHost && code === 'WRONG_KIND generated') hosts.generated++
    else if (isHost) hosts.refused.push(`${file}: ${code}: ${error.error?.message ?? ''}`)
    return
  }
  count('planned')
  if (isHost) hosts.planned++
  const { configuration } = plan.value
  const again = planFor(configuration.text, shipped)
  if (again.ok && again.value.files.length === 0) count('planned again: no change')
  else
    troubles.push(
      `${file}: planned again: ${JSON.stringify(again.ok ? again.value.configuration.diff() : again.error)}`
    )
  const back = applyEdits(configuration.text, configuration.inverse)
  if (back === text) count('inverse restores the bytes')
  else troubles.push(`${file}: the inverse does not restore the bytes`)
  if (hasNix) nixJobs.push({ file, before: text, after: configuration.text })
}

function planFor(text, listing) {
  return planApply({
    path: '/etc/nixos/configuration.nix',
    text,
    settings,
    modulesDir: 'vfio',
    modulesFolder: '/etc/nixos/vfio',
    listing,
    shipped,
    replaceModules: false,
    closure: { ours: [], foreign: undefined },
    names: new Map([['10de:1b80', 'NVIDIA GP104 [GeForce GTX 1080]']])
  })
}

/** Host files set one of these always, not only under a condition. */
function definesHost(doc) {
  if (kindOf(doc) === 'generated') return true
  return ['fileSystems', 'boot.loader', 'system.stateVersion'].some(path =>
    [...doc.getIn(path), ...doc.getBelow(path)].some(it => it.conditions.length === 0)
  )
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
  if (!hasNix) console.log('nix-instantiate was not found: nothing was asked of it')
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
  console.log(
    `\n${identical === decoded ? 'all' : identical} of ${decoded} printed back, ${share.toFixed(1)} % of the host files planned or generated, ${troubles.length} wrong`
  )
  for (const it of troubles) console.log(it)
  process.exitCode = troubles.length > 0 || identical !== decoded ? 1 : 0
}
