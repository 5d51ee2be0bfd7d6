// npm run stress -- domains FOLDER...
//
// Converts every domain XML below the folders to Nix and back, and compares the result with the original:
// as read by vfio-patch and by expat (python3), rendered by Nix, validated by libvirt's schema, and
// defined in libvirt's test driver. Prints which comparisons are skipped because a tool is missing.
// DOMAIN_SCHEMAS has folders with a domain.rng, separated by ":" (default /usr/share/libvirt/schemas). Exit
// code 1 if a domain is not converted back to the same domain.
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
await convertBothWays()
if (hasPython) await byExpat()
else console.log('python3 is missing: not compared with expat')
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
  else console.log('nix-instantiate is missing: its rendering is not compared')
  if (has('xmllint')) bySchemas()
  else console.log('xmllint is missing: not validated by the schema')
  if (has('virsh')) await byTestDriver()
  else console.log('virsh is missing: not compared in the test driver')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
row('time, s', Math.round((performance.now() - started) / 1000))
finish(wrong, 'not converted back to the same domain')

/** The distinct domains in the folders. A file of virt-install may contain several. */
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

async function convertBothWays() {
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
    if (canonicalOf(back.root) !== canonicalOf(it.root))
      wrong.push(`${it.file}: vfio-patch reads another domain`)
    const again = toNix(back)
    if (again.ok && valuesIn(again.value) === valuesIn(it.nix)) values++
    else wrong.push(`${it.file}: the second conversion gives other Nix values`)
    sum.lines += it.text.trim().split('\n').length
    sum.nixLines += nix.value.trim().split('\n').length
    if (i % 50 === 0) await turn()
  }
  const all = domains.length
  row('domains', all)
  row('  converted back to the same domain', domains.filter(it => it.xml !== undefined).length)
  row('  same Nix values in the second conversion', values)
  row(
    '  lines of XML, of Nix (mean)',
    (sum.lines / all).toFixed(1),
    (sum.nixLines / all).toFixed(1)
  )
  row('  slowest conversion, ms', slowest.toFixed(1))
}

/** The values in a Nix file, independent of the order of names. */
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
    const [before, after] = await Promise.all([parser.read(it.text), parser.read(it.xml)])
    if (before.form !== undefined && before.form === after.form) same++
    else wrong.push(`${it.file}: expat: ${before.error ?? after.error ?? 'another tree'}`)
  }
  parser.stop()
  row('  the same as read by expat', same)
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
  row('  rendered identically by Nix', same)
}

function bySchemas() {
  const named = process.env.DOMAIN_SCHEMAS ?? '/usr/share/libvirt/schemas'
  for (const schemas of named.split(':')) {
    const schema = join(schemas, 'domain.rng')
    if (!existsSync(schema)) {
      console.log(`${schema} is missing`)
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
    for (const it of worse) wrong.push(`${it.file}: no longer valid for ${schema}`)
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

/** Defines the original and the converted domain in libvirt's test driver, and compares the results. */
async function byTestDriver() {
  const counts = { same: 0, generated: 0, rejected: 0, crashed: 0 }
  const jobs = [...domains]
  const workers = Array.from({ length: 2 }, async () => {
    for (let it = jobs.pop(); it; it = jobs.pop()) {
      const before = await dump(it, it.before)
      const after = await dump(it, it.after)
      if (before === null || after === null) {
        if (before === after) counts.rejected++
        else wrong.push(`${it.file}: the test driver accepts only one of them`)
      } else if (before === after) counts.same++
      else if (withoutGenerated(before, it) === withoutGenerated(after, it)) counts.generated++
      else wrong.push(`${it.file}: the test driver dumps another domain`)
    }
  })
  await Promise.all(workers)
  row('virsh -c test:///default: same dump')
  row('  identical in canonical form', counts.same)
  row('  except for generated UUIDs and addresses', counts.generated)
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

/** A dump without generated UUIDs and addresses. */
function withoutGenerated(dumped, { text }) {
  return dumped.replace(
    /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/gi,
    found => (text.toLowerCase().includes(found.toLowerCase()) ? found : '…')
  )
}
