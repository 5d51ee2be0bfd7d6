// npm run options [-- --check]
//
// Writes docs/options.md from the options that the modules declare, evaluated by Nix with the module
// system in NIXPKGS_LIB, the lib folder of a nixpkgs. With --check it writes nothing, and exits with 1 if
// the page is out of date.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PAGE = new URL('options.md', import.meta.url)
const { NIXPKGS_LIB } = process.env
if (!NIXPKGS_LIB) {
  console.error('set NIXPKGS_LIB to the lib folder of a nixpkgs')
  process.exit(2)
}

const text = page(declaredOptions())
if (!process.argv.includes('--check')) writeFileSync(PAGE, text)
else if (readFileSync(PAGE, 'utf8') !== text) {
  console.error('docs/options.md is out of date; run: npm run options')
  process.exit(1)
}

function declaredOptions() {
  const path = name => fileURLToPath(new URL(name, import.meta.url))
  const paths = {
    lib: NIXPKGS_LIB,
    nixos: path('../test/oracle/nixosOptions.nix'),
    modules: path('../nixos')
  }
  const args = Object.entries(paths).flatMap(([name, it]) => ['--arg', name, nixPath(it)])
  const flags = ['--eval', '--strict', '--json', ...args, path('options.nix')]
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

\`npm run options\` generates this page from the modules in [\`nixos/\`](../nixos). Importing the modules
changes nothing: each part is inactive until one of its options is set.

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
    initial === null ? 'No default: the option is required.' : value('Default', initial),
    '',
    ...(example === null ? [] : [value('Example', example), ''])
  ].join('\n')
}

/** A short value is put on the same line; a value in words is already Markdown. */
function value(label, text) {
  const trimmed = text.trimEnd()
  if (/^[a-z]+ [a-z ]+$/.test(trimmed)) return `${label}: ${trimmed}`
  if (!trimmed.includes('\n') && !trimmed.includes('`')) return `${label}: \`${trimmed}\``
  return `${label}:\n\n\`\`\`nix\n${trimmed}\n\`\`\``
}

/** Removes the roles of nixpkgs' Markdown, such as {option}. */
function plain(text) {
  return text.replace(/\{(?:option|command|file|env|var)\}(?=`)/g, '').trim()
}
