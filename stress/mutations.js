// npm run stress -- mutations [COUNT [SEED]]
//
// Changes the guests of test/guests/guests in 100,000 ways, mostly into what is no XML any more, and
// reads and converts them: no crash, none over a second, and what is accepted comes back as what
// expat (python3) reads in it, with libxml2 (xmllint) to ask where it reads nothing. Then what is meant to exhaust a reader. Another process converts, so
// that a crash or a hang can be told, with the seed of the text. Exit code 1 if there was any.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { toNix, toXml } from '../dist/guests/convert.js'
import { readDomain } from '../dist/guests/xml/readXml.js'
import { expat, hasPython } from './support/expat.js'
import { row, turn } from './support/files.js'
import { hostileXml } from './support/hostileXml.js'
import { tryInChildren } from './support/inChild.js'
import { mutatedXml } from './support/mutatedXml.js'

const LIMIT = 1000
const STEP = 200
const guests = fileURLToPath(new URL('../test/guests/guests/', import.meta.url))
const seeds = readdirSync(guests)
  .sort()
  .map(it => readFileSync(guests + it, 'utf8'))

if (process.send) process.on('message', ([from, to]) => convertAll(from, to))
else await main()

async function main() {
  const count = Number(process.argv[2] ?? 100_000)
  const seed = Number(process.argv[3] ?? Date.now() % 1_000_000_000)
  const started = performance.now()
  const sum = { texts: 0, accepted: 0, slowest: 0, memory: 0, refused: {} }
  const range = { from: seed, to: seed + count, step: STEP }
  const faults = await tryInChildren(fileURLToPath(import.meta.url), range, seen => {
    sum.texts += seen.texts
    sum.accepted += seen.accepted
    sum.slowest = Math.max(sum.slowest, seen.slowest)
    sum.memory = Math.max(sum.memory, seen.memory)
    for (const [code, number] of Object.entries(seen.refused)) {
      sum.refused[code] = (sum.refused[code] ?? 0) + number
    }
  })
  if (!hasPython) console.log('python3 is not here: not compared with expat')
  row('mutated texts', sum.texts)
  row('  accepted, and the same after there and back', sum.accepted)
  for (const [code, number] of Object.entries(sum.refused)) row(`  refused: ${code}`, number)
  row('seeds', `${seed} to ${seed + count - 1}`)
  row('slowest, ms of the processor', sum.slowest.toFixed(1))
  row('peak memory of the converting process, MB', Math.round(sum.memory / 1024))
  tellHostile(faults)
  row('time, s', Math.round((performance.now() - started) / 1000))
  console.log(`\n${faults.length} crashed, hung, or came back as something else`)
  for (const it of faults) console.log(it)
  process.exitCode = faults.length > 0 ? 1 : 0
}

/** What is meant to exhaust a reader has to be refused at once, or converted in time. */
function tellHostile(faults) {
  for (const { name, bytes, code } of hostileXml()) {
    const before = process.cpuUsage()
    const domain = readDomain(bytes)
    const converted = domain.ok ? toNix(domain.value.document) : domain
    const { user, system } = process.cpuUsage(before)
    const time = (user + system) / 1000
    const outcome = converted.ok ? 'converted' : converted.error.code
    row(name, `${outcome}`, `${time.toFixed(1)} ms`)
    if (outcome !== code || (code !== 'converted' && time > LIMIT))
      faults.push(`${name}: ${outcome}`)
  }
}

async function convertAll(from, to) {
  const parser = hasPython ? expat() : undefined
  for (let start = from; start < to; start += STEP) {
    const end = Math.min(to, start + STEP)
    const seen = { texts: end - start, accepted: 0, slowest: 0, refused: {} }
    const asked = []
    for (let seed = start; seed < end; seed++) {
      const text = mutatedXml(seeds, seed)
      const before = process.cpuUsage()
      const result = converted(text)
      const { user, system } = process.cpuUsage(before)
      const time = (user + system) / 1000
      seen.slowest = Math.max(seen.slowest, time)
      if (time > LIMIT) process.send({ seed, fault: `took ${Math.round(time)} ms` })
      if (result.fault) process.send({ seed, fault: result.fault })
      else if (result.code) seen.refused[result.code] = (seen.refused[result.code] ?? 0) + 1
      else seen.accepted++
      asked.push(compare(parser, seed, text, result))
      if (seed % 20 === 0) await turn()
    }
    await Promise.all(asked)
    process.send({ ...seen, at: end, memory: process.resourceUsage().maxRSS })
  }
  parser?.stop()
  process.disconnect()
}

/** What libxml2 says, which libvirt reads with. Expat has the names of an older edition of XML. */
function isXml(text) {
  return spawnSync('xmllint', ['--noout', '-'], { input: text }).status === 0
}

function converted(text) {
  try {
    const domain = readDomain(Buffer.from(text))
    if (!domain.ok) {
      const { code, at, message } = domain.error
      if (!at || at.line < 1 || at.column < 1) return { fault: `${code} has no place` }
      domain.error.excerpt({ color: false, width: 80 })
      return { code, message }
    }
    const nix = toNix(domain.value.document)
    if (!nix.ok) return { fault: `${nix.error.code}: ${nix.error.message}` }
    return { xml: toXml(nix.value).value }
  } catch (error) {
    return { fault: `threw ${error.stack}` }
  }
}

/** Whether expat agrees: with what is refused, and with what comes back of what is accepted. */
async function compare(parser, seed, text, { xml, code, message }) {
  if (!parser || (xml === undefined && code === undefined)) return
  const its = await parser.canonical(text)
  if (xml === undefined) {
    // libvirt reads with libxml2, which takes fewer versions of XML than expat.
    const isOurs = its.form === undefined || code !== 'NOT_XML' || !isXml(text)
    if (!isOurs) process.send({ seed, fault: `refused (${message}), and expat takes it` })
    return
  }
  const back = await parser.canonical(xml)
  if (its.form === undefined) {
    if (!isXml(text)) process.send({ seed, fault: `accepted, and expat says: ${its.error}` })
  } else if (its.form !== back.form) process.send({ seed, fault: 'came back as something else' })
}
