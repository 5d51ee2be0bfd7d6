// npm run stress -- domains FOLDER...
//
// Takes every domain XML below the folders to Nix and back: does it say the same, by our reading, by
// expat (python3), by Nix's own rendering, by libvirt's schema and by its test driver? What is not
// installed is left out, and said. DOMAIN_SCHEMAS names folders with a domain.rng, parted by ":"
// (/usr/share/libvirt/schemas). Exit code 1 if a domain comes back as another one.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { guestName, toNix, toXml } from '../dist/guests/convert.js'
import { readNix } from '../dist/guests/readNix.js'
import { readDomain, readXml } from '../dist/guests/xml/readXml.js'
import { canonicalOf } from '../dist/guests/xml/tree.js'
import { parseDocument } from '../dist/nix/index.js'
import { expat, hasPython } from './support/expat.js'
import { orThrow } from './support/expected.js'
import { filesFromArguments } from './support/files.js'
import { hasNix } from './support/nix.js'
import { Counts, finish, row, turn } from './support/report.js'
import { timed } from './support/seeds.js'

const renderer = fileURLToPath(new URL('../nixos/_lib/domain.nix', import.meta.url))
const has = command => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0
const wrong = []
const sum = { files: 0, refused: new Counts(), lines: 0, nixLines: 0 }
const started = performance.now()

const domains = read()
await thereAndBack()
if (hasPython) await byExpat()
else console.log('python3 is not here: not compared with expat')
const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-domains-'))
try {
  for (const [i, it] of domains.entries()) {
    it.before = join(folder, `${i}.xml`)
    it.after = join(folder, `${i}.back.xml`)
    writeFileSync(it.before, it.text)
    writeFileSync(it.after, it.xml)
    writeFileSync(join(folder, `${i}.nix`), it.nix)
  }
  if (hasNix) byNix()
  else console.log('nix-instantiate is not here: its rendering is not compared')
  if (has('xmllint')) bySchemas()
  else console.log('xmllint is not here: not compared by the schema')
  if (has('virsh')) await byTestDriver()
  else console.log('virsh is not here: not compared by the test driver')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
row('time, s', Math.round((performance.now() - started) / 1000))
finish(wrong, 'came back as another domain')

/** The distinct domains in the folders. A file of virt-install may hold several, one after the other. */
function read() {
  const known = new Set()
  const found = []
  for (const file of filesFromArguments('.xml')) {
    const bytes = readFileSync(file)
    if (!/<domain[\s>]/.test(bytes.toString('latin1'))) continue
    for (const text of bytes.toString('utf8').split(/(?<=<\/domain>)\s*(?=<domain[\s>])/)) {
      const hash = createHash('sha1').update(text).digest('hex')
      if (known.has(hash)) continue
      known.add(hash)
      sum.files++
      const domain = readDomain(Buffer.from(text))
      if (domain.ok) found.push({ file, text, root: domain.value.document.root })
      else {
        const { code } = domain.error
        sum.refused.add(code)
        if (code !== 'NOT_A_DOMAIN') console.log(`${file}: ${domain.error.message}`)
      }
    }
  }
  row('distinct texts with a <domain>', sum.files)
  for (const [code, count] of sum.refused) row(`  refused: ${code}`, count)
  return found
}

async function thereAndBack() {
  let slowest = 0
  let values = 0
  for (const [i, it] of domains.entries()) {
    const whole = { root: it.root, before: [], after: [], instructions: [] }
    const { value: nix, time } = timed(() => toNix(whole))
    if (!nix.ok) {
      wrong.push(`${it.file}: ${nix.error.message}`)
      continue
    }
    slowest = Math.max(slowest, time)
    it.nix = nix.value
    it.xml = orThrow(toXml(parseDocument(nix.value)))
    const back = orThrow(readXml(it.xml))
    if (canonicalOf(back.root) !== canonicalOf(it.root)) wrong.push(`${it.file}: ours`)
    const again = toNix(back)
    if (again.ok && valuesIn(again.value) === valuesIn(it.nix)) values++
    else wrong.push(`${it.file}: other Nix values the second time`)
    sum.lines += it.text.trim().split('\n').length
    sum.nixLines += nix.value.trim().split('\n').length
    if (i % 50 === 0) await turn()
  }
  const all = domains.length
  row('domains', all)
  row('  there and back the same', domains.filter(it => it.xml !== undefined).length)
  row('  Nix values the same the second time', values)
  row(
    '  lines of XML, of Nix (mean)',
    (sum.lines / all).toFixed(1),
    (sum.nixLines / all).toFixed(1)
  )
  row('  slowest conversion, ms', slowest.toFixed(1))
}

/** The values in a Nix file, in any order of the names. */
function valuesIn(nix) {
  const plain = value =>
    value.kind === 'set'
      ? Object.fromEntries(
          value.entries
            .map(it => [`.${it.name}`, plain(it.value)])
            .sort(([a], [b]) => (a < b ? -1 : 1))
        )
      : value.kind === 'list'
        ? value.items.map(it => plain(it.value))
        : value.text
  return JSON.stringify(plain(readNix(parseDocument(nix))))
}

async function byExpat() {
  const parser = expat()
  let same = 0
  for (const it of domains) {
    const [before, after] = await Promise.all([parser.canonical(it.text), parser.canonical(it.xml)])
    if (before.form !== undefined && before.form === after.form) same++
    else wrong.push(`${it.file}: expat: ${before.error ?? after.error ?? 'another tree'}`)
  }
  parser.stop()
  row('  the same to expat', same)
}

function byNix() {
  let same = 0
  for (let from = 0; from < domains.length; from += 200) {
    const part = domains.slice(from, from + 200)
    const items = part.map(
      (_, i) =>
        `(toXML (only (import ${join(folder, `${from + i}.nix`)}).virtualisation.vfio.guests))`
    )
    const input = `let
      toXML = import ${renderer};
      only = guests: (builtins.head (builtins.attrValues guests)).domain;
    in [ ${items.join('\n')} ]`
    const args = ['--store', 'dummy://', '--eval', '--strict', '--json', '-']
    const run = spawnSync('nix-instantiate', args, {
      input,
      encoding: 'utf8',
      maxBuffer: 1024 * 1024 * 1024
    })
    if (run.status !== 0) {
      wrong.push(`nix-instantiate: ${run.stderr}`)
      continue
    }
    const texts = JSON.parse(run.stdout)
    for (const [i, it] of part.entries()) {
      if (texts[i] === it.xml) same++
      else wrong.push(`${it.file}: Nix renders another text`)
    }
  }
  row('  rendered by Nix, to the character', same)
}

function bySchemas() {
  const named = process.env.DOMAIN_SCHEMAS ?? '/usr/share/libvirt/schemas'
  for (const schemas of named.split(':')) {
    const schema = join(schemas, 'domain.rng')
    if (!existsSync(schema)) {
      console.log(`${schema} is not here`)
      continue
    }
    const before = validAmong(
      schema,
      domains.map(it => it.before)
    )
    const after = validAmong(
      schema,
      domains.map(it => it.after)
    )
    const count = (was, is) =>
      domains.filter(it => before.has(it.before) === was && after.has(it.after) === is)
    row(`${schema}`)
    row('  valid, and valid after', count(true, true).length)
    row('  invalid, and invalid after', count(false, false).length)
    row('  invalid, and valid after', count(false, true).length)
    const worse = count(true, false)
    row('  valid, and invalid after', worse.length)
    for (const it of worse) wrong.push(`${it.file}: no more valid to ${schema}`)
  }
}

function validAmong(schema, files) {
  const valid = new Set()
  for (let from = 0; from < files.length; from += 200) {
    const args = ['--noout', '--relaxng', schema, ...files.slice(from, from + 200)]
    const run = spawnSync('xmllint', args, { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 })
    for (const [, file] of run.stderr.matchAll(/^(.*) validates$/gm)) valid.add(file)
  }
  return valid
}

/** Defines both in a libvirt that lives as long as the command, and compares what it makes of them. */
async function byTestDriver() {
  const counts = { same: 0, generated: 0, rejected: 0, crashed: 0 }
  const jobs = [...domains]
  const workers = Array.from({ length: 2 }, async () => {
    for (let it = jobs.pop(); it; it = jobs.pop()) {
      const before = await dump(it, it.before)
      const after = await dump(it, it.after)
      if (before === null || after === null) {
        if (before === after) counts.rejected++
        else wrong.push(`${it.file}: only one of both is accepted by the test driver`)
      } else if (before === after) counts.same++
      else if (withoutGenerated(before, it) === withoutGenerated(after, it)) counts.generated++
      else wrong.push(`${it.file}: the test driver makes another domain of it`)
    }
  })
  await Promise.all(workers)
  row('virsh -c test:///default: the same dump')
  row('  to the character of the canonical form', counts.same)
  row('  but for UUIDs and addresses it makes up', counts.generated)
  row('  both rejected', counts.rejected)
}

function dump(it, file) {
  const name = guestName({ root: it.root }) ?? ''
  const quoted = name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')
  return new Promise(resolve => {
    const virsh = spawn(
      'virsh',
      ['-q', '-c', 'test:///default', `define ${file}; dumpxml "${quoted}"`],
      {
        timeout: 20_000,
        stdio: ['ignore', 'pipe', 'ignore']
      }
    )
    let output = ''
    virsh.stdout.on('data', part => {
      output += part
    })
    virsh.on('close', () => {
      const start = output.indexOf('<domain')
      const dumped = start === -1 ? undefined : readXml(output.slice(start))
      resolve(
        dumped?.ok && !output.slice(0, start).includes('error')
          ? canonicalOf(dumped.value.root)
          : null
      )
    })
  })
}

/** A dump without the identities that the file does not have. */
function withoutGenerated(dumped, { text }) {
  return dumped.replace(
    /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/gi,
    found => (text.toLowerCase().includes(found.toLowerCase()) ? found : '…')
  )
}
