// Compiles tree-sitter's core, the grammar of tree-sitter-nix and addon.c into
// prebuilds/<platform>-<arch>/nix-parser.node. Needs a C compiler and nothing else:
// `CC` names it (default cc), `TARGET` another <platform>-<arch> to cross-compile for.
import { spawnSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)
const grammar = join(dirname(require.resolve('tree-sitter-nix/package.json')), 'src')
const core = join(dirname(require.resolve('tree-sitter/package.json')), 'vendor/tree-sitter/lib')
const { include_dir: nodeHeaders } = require('node-api-headers')

const target = process.env.TARGET ?? `${process.platform}-${process.arch}`
const output = join(here, '..', 'prebuilds', target, 'nix-parser.node')
const sources = [
  join(core, 'src/lib.c'),
  join(grammar, 'parser.c'),
  join(grammar, 'scanner.c'),
  join(here, 'addon.c')
]

if (isNewer(output, [...sources, fileURLToPath(import.meta.url)])) process.exit(0)

const cc = process.env.CC ?? 'cc'
const linking = target.startsWith('darwin')
  ? ['-bundle', '-undefined', 'dynamic_lookup']
  : ['-shared', '-fvisibility=hidden', '-s']
mkdirSync(dirname(output), { recursive: true })
const run = spawnSync(
  cc,
  [
    '-O2',
    '-fPIC',
    '-std=c11',
    '-D_DEFAULT_SOURCE',
    '-D_POSIX_C_SOURCE=200809L',
    ...linking,
    `-I${join(core, 'include')}`,
    `-I${join(core, 'src')}`,
    `-I${grammar}`,
    `-I${nodeHeaders}`,
    '-o',
    output,
    ...sources
  ],
  { stdio: 'inherit' }
)
if (run.error) {
  console.error(`cannot run the C compiler "${cc}": ${run.error.message}`)
  console.error('Install one (on NixOS: nix-shell -p gcc nodejs), or name yours with CC=...')
}
process.exitCode = run.status ?? 1

function isNewer(file, than) {
  try {
    const made = statSync(file).mtimeMs
    return than.every(source => statSync(source).mtimeMs < made)
  } catch {
    return false
  }
}
