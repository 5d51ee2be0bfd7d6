// npm run example
//
// Runs the main job on a copy of examples/asrock-x570-pro4 in a temporary folder: shows the change,
// writes it, and shows that a second run has nothing to do.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../bin/vfio-patch.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-example-'))
const file = join(folder, 'configuration.nix')
cpSync(new URL('asrock-x570-pro4/', import.meta.url), folder, { recursive: true })

const settings = [
  ...['--iommu', 'amd', '--device', '10de:1b80', '--device', '10de:10f0'],
  ...['--blacklist-nvidia', '--ignore-msrs', '--user', 'alice'],
  ...['--shared-memory', 'looking-glass', '--shared-memory', 'scream']
]

const written = run(['apply', file, ...settings, '--yes'], [0])
const again = written && run(['apply', file, ...settings, '--yes'], [0])
if (again) console.log(`\nThe example is in ${folder}; nothing else was touched.`)
else process.exitCode = 1

function run(words, expected) {
  console.log(`$ vfio-patch ${words.join(' ')}`)
  const env = { ...process.env, VFIO_PATCH_STATE: join(folder, '.state') }
  const { status } = spawnSync(process.execPath, [program, ...words], { stdio: 'inherit', env })
  return expected.includes(status)
}
