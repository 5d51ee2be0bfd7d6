// npm run stress -- mutations [COUNT [SEED]]
//
// Changes the guests of test/guests/guests in COUNT (100,000) ways, mostly into what is no XML any more,
// and reads and converts them: no crash, none over a second, and what is accepted comes back as what
// expat (python3) reads in it, with libxml2 (xmllint) to ask where expat reads nothing. Then what is meant
// to exhaust a reader. Exit code 1 if there was any fault.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { toNix, toXml } from '../dist/guests/convert.js'
import { readDomain } from '../dist/guests/xml/readXml.js'
import { parseDocument } from '../dist/nix/index.js'
import { expat, hasPython } from './support/expat.js'
import { orThrow } from './support/expected.js'
import { hostileXml } from './support/hostileXml.js'
import { mutatedXml } from './support/mutatedXml.js'
import { row } from './support/report.js'
import { LIMIT, timed, trySeeds } from './support/seeds.js'

const guests = new URL('../test/guests/guests/', import.meta.url)
const texts = readdirSync(guests)
  .sort()
  .map(it => readFileSync(new URL(it, guests), 'utf8'))
const parser = process.send && hasPython ? expat() : undefined
if (!process.send && !hasPython) console.log('python3 is not here: not compared with expat')

await trySeeds(import.meta.url, {
  count: 100_000,
  step: 200,
  inputOf: seed => mutatedXml(texts, seed),
  check,
  stop: () => parser?.stop(),
  more: tryHostile,
  what: 'crashed, hung, or came back as something else'
})

/** What is meant to exhaust a reader has to be refused at once, or converted in time. */
function tryHostile(faults) {
  for (const { name, bytes, code } of hostileXml()) {
    const { value, time } = timed(() => {
      const domain = readDomain(bytes)
      return domain.ok ? toNix(domain.value.document) : domain
    })
    const outcome = value.ok ? 'converted' : value.error.code
    row(name, outcome, `${time.toFixed(1)} ms`)
    if (outcome !== code || (code !== 'converted' && time > LIMIT))
      faults.push(`${name}: ${outcome}`)
  }
}

function check(text, counts) {
  const result = converted(text)
  if (result.fault) return result.fault
  counts.add(result.code ? `  refused: ${result.code}` : '  accepted')
  return parser && differenceToExpat(parser, text, result)
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
    return { xml: orThrow(toXml(parseDocument(nix.value))) }
  } catch (error) {
    return { fault: `threw ${/** @type {Error} */ (error).stack}` }
  }
}

/** Expat has to agree with what is refused, and with what comes back of what is accepted. */
async function differenceToExpat(parser, text, { xml = '', code = '', message = '' }) {
  const read = await parser.canonical(text)
  if (code !== '') {
    // libvirt reads with libxml2, which takes fewer versions of XML than expat.
    const isAgreed = read.form === undefined || code !== 'NOT_XML' || !isXml(text)
    return isAgreed ? undefined : `refused (${message}), and expat takes it`
  }
  const back = await parser.canonical(xml)
  if (read.form === undefined)
    return isXml(text) ? undefined : `accepted, and expat says: ${read.error}`
  return read.form === back.form ? undefined : 'came back as something else'
}

/** What libxml2 says, which libvirt reads with. Expat has the names of an older edition of XML. */
function isXml(text) {
  return spawnSync('xmllint', ['--noout', '-'], { input: text }).status === 0
}
