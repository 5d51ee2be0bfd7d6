// npm run stress -- mutations [COUNT [SEED]]
//
// Changes the guests of test/guests/guests in COUNT (100,000) ways, mostly into texts that are not XML, and
// reads and converts them. None may cause a crash or take over a second. Expat (python3) must accept and refuse the
// same texts and read the same trees, also after a conversion to Nix and back. If expat differs, libxml2 (xmllint)
// decides. Afterwards tries inputs that are meant to exhaust a parser. Exit code 1 on any fault.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { toNix, toXml } from '../dist/guests/convert.js'
import { readDomain } from '../dist/guests/xml/readXml.js'
import { withoutComments } from '../dist/guests/xml/tree.js'
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
if (!process.send && !hasPython) console.log('python3 is missing: not compared with expat')

await trySeeds(import.meta.url, {
  count: 100_000,
  step: 200,
  inputOf: seed => mutatedXml(texts, seed),
  check,
  stop: () => parser?.stop(),
  more: tryHostile,
  what: 'crashed, hung, or came back as something else'
})

/** Tries inputs that are meant to exhaust a parser: each must be refused at once, or converted in time. */
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
  return parser && differenceToExpat(parser, text, result, counts)
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
    return {
      xml: orThrow(toXml(parseDocument(nix.value))),
      tree: treeOf(domain.value.document.root)
    }
  } catch (error) {
    return { fault: `threw ${/** @type {Error} */ (error).stack}` }
  }
}

/**
 * How expat reads the text differently; undefined if it agrees. Counts the outcomes. If expat differs, libxml2
 * decides, because libvirt uses libxml2.
 */
async function differenceToExpat(
  parser,
  text,
  { xml = '', tree = [], code = '', message = '' },
  counts
) {
  const read = await parser.read(text)
  if (code !== '') {
    if (read.error !== undefined) {
      counts.add(`refused by both: ${kindOf(read.error)}`)
      return undefined
    }
    if (code === 'NOT_XML' && isXml(text)) return `refused (${message}), and expat accepts it`
    counts.add('refused, accepted by expat only')
    return undefined
  }
  if (read.error !== undefined) {
    if (!isXml(text)) return `accepted, and expat says: ${read.error}`
    counts.add('accepted, refused by expat only')
    return undefined
  }
  counts.add('accepted by both')
  if (JSON.stringify(tree) !== JSON.stringify(read.tree)) return 'read as another tree'
  const back = await parser.read(xml)
  return read.form === back.form ? undefined : 'came back as something else'
}

/** The kind of an error of expat, for the counts. */
function kindOf(error) {
  if (error === 'doctype') return 'document type'
  return error.startsWith('unbound prefix') ? 'undeclared prefix' : 'not well-formed'
}

/** An element in the form that canonicalXml.py prints. */
function treeOf(element) {
  return [
    element.name,
    element.attributes.map(it => [it.name, it.value]),
    withoutComments(element).map(it => (typeof it === 'string' ? it : treeOf(it)))
  ]
}

/** Whether libxml2 accepts the text. Expat knows only the names of an older edition of XML. */
function isXml(text) {
  return spawnSync('xmllint', ['--noout', '-'], { input: text }).status === 0
}
