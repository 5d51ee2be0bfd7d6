// npm run options [-- --check]
//
// Writes docs/options.md from what the modules declare, as Nix and the module system of NIXPKGS_LIB
// (the lib folder of a nixpkgs) see it. With --check nothing is written, and the exit code is 1 if the
// page is not up to date.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PAGE = new URL('options.md', import.meta.url)
const { NIXPKGS_LIB } = process.env
if (!NIXPKGS_LIB) {
  console.error('NIXPKGS_LIB is needed, which names the lib folder of a nixpkgs')
  process.exit(2)
}

const text = page(declaredOptions())
if (!process.argv.includes('--check')) writeFileSync(PAGE, text)
else if (readFileSync(PAGE, 'utf8') !== text) {
  console.error('docs/options.md is not up to date: npm run options')
  process.exit(1)
}

function declaredOptions() {
  const path = name => fileURLToPath(new URL(name, import.meta.url))
  const paths = {
    lib: NIXPKGS_LIB,
    nixos: path('../test/oracle/nixosOptions.nix'),
    modules: path('../nixos')
  }
  const words = Object.entries(paths).flatMap(([name, it]) => ['--arg', name, nixPath(it)])
  const flags = ['--eval', '--strict', '--json', ...words, path('options.nix')]
  const run = spawnSync('nix-instantiate', flags, { encoding: 'utf8' })
  if (run.status !== 0) {
    console.error(run.error?.message ?? run.stderr)
    process.exit(2)
  }
  return JSON.parse(run.stdout)
}

function nixPath(file) {
  return `(/. + ${JSON.stringify(file).replaceAll('${', '\\${')})`
}

function page(options) {
  const sorted = options.filter(it => !it.name.endsWith('._module.args')).sort(byName)
  return `# The options of the modules

This page is made from the modules in [\`nixos/\`](../nixos) by \`npm run options\`. Importing the modules
changes nothing; each part waits until one of its options is set.

${sorted.map(section).join('\n')}`
}

/** By the parts of the names, \`enable\` first. */
function byName(a, b) {
  const key = ({ name }) => name.replace(/\.enable$/, '.').replaceAll('.', '\u0001')
  return key(a) < key(b) ? -1 : 1
}

function section({ name, description, type, default: initial, example }) {
  return [
    `## \`${name}\``,
    '',
    plain(description),
    '',
    `Type: ${plain(type)}`,
    '',
    initial === null ? 'No default: it has to be given.' : value('Default', initial),
    '',
    ...(example === null ? [] : [value('Example', example), ''])
  ].join('\n')
}

/** Short values stand in the line; those in words are Markdown already. */
function value(label, text) {
  const trimmed = text.trimEnd()
  if (/^[a-z]+ [a-z ]+$/.test(trimmed)) return `${label}: ${trimmed}`
  if (!trimmed.includes('\n') && !trimmed.includes('`')) return `${label}: \`${trimmed}\``
  return `${label}:\n\n\`\`\`nix\n${trimmed}\n\`\`\``
}

/** Without the marks of nixpkgs' own Markdown. */
function plain(text) {
  return text.replace(/\{(?:option|command|file|env|var)\}(?=`)/g, '').trim()
}
