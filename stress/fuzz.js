// npm run stress -- fuzz [COUNT [SEED]]
//
// Parses 1,000,000 strings that are nearly Nix, or nothing like it: no crash, none over a second, and
// what the tree holds is the text. Another process parses, so that a crash or a hang can be told,
// with the seed of the string. Exit code 1 if there was any.
import { fileURLToPath } from 'node:url'
import { parseDocument } from '../dist/nix/index.js'
import { row, turn } from './support/files.js'
import { fuzzedText } from './support/fuzzedText.js'
import { tryInChildren } from './support/inChild.js'

const LIMIT = 1000
const STEP = 500

if (process.send) process.on('message', ([from, to]) => parseAll(from, to))
else await main()

async function main() {
  const count = Number(process.argv[2] ?? 1_000_000)
  const seed = Number(process.argv[3] ?? Date.now() % 1_000_000_000)
  const started = performance.now()
  const sum = { strings: 0, withErrors: 0, characters: 0, slowest: 0, memory: 0 }
  const range = { from: seed, to: seed + count, step: STEP }
  const faults = await tryInChildren(fileURLToPath(import.meta.url), range, seen => {
    sum.strings += seen.strings
    sum.withErrors += seen.withErrors
    sum.characters += seen.characters
    sum.slowest = Math.max(sum.slowest, seen.slowest)
    sum.memory = Math.max(sum.memory, seen.memory)
  })
  row('strings', sum.strings)
  row('  of them no Nix', sum.withErrors)
  row('  characters', sum.characters)
  row('seeds', `${seed} to ${seed + count - 1}`)
  row('slowest, ms of the processor', sum.slowest.toFixed(1))
  row('peak memory of the parsing process, MB', Math.round(sum.memory / 1024))
  row('time, s', Math.round((performance.now() - started) / 1000))
  console.log(`\n${faults.length} crashed, hung, or were not printed back`)
  for (const it of faults) console.log(it)
  process.exitCode = faults.length > 0 ? 1 : 0
}

async function parseAll(from, to) {
  for (let start = from; start < to; start += STEP) {
    const end = Math.min(to, start + STEP)
    const seen = { strings: end - start, withErrors: 0, characters: 0, slowest: 0 }
    for (let seed = start; seed < end; seed++) {
      const text = fuzzedText(seed)
      // Of the processor, as others may keep it from us.
      const before = process.cpuUsage()
      const fault = faultOf(text, seen)
      const { user, system } = process.cpuUsage(before)
      const time = (user + system) / 1000
      seen.characters += text.length
      seen.slowest = Math.max(seen.slowest, time)
      if (fault) process.send({ seed, fault })
      else if (time > LIMIT) process.send({ seed, fault: `took ${Math.round(time)} ms` })
      if (seed % 50 === 0) await turn()
    }
    const memory = process.resourceUsage().maxRSS
    process.send({ ...seen, at: end, memory })
  }
  process.disconnect()
}

function faultOf(text, seen) {
  try {
    const doc = parseDocument(text)
    const { errors } = doc
    if (String(doc) !== text) return 'is not printed back'
    if (errors.length > 0) seen.withErrors++
    else if (printed(doc, text) !== text) return 'the tree does not hold the text'
    for (const { range, at } of errors) {
      if (range.start < 0 || range.end < range.start || range.start > text.length || at.line < 1)
        return 'an error lies outside of the text'
    }
    return undefined
  } catch (error) {
    return `threw ${error.stack}`
  }
}

/** The tokens of a tree with what may stand between them: blanks, and what was a stand-in. */
function printed({ root, standIns }, text) {
  let out = ''
  const between = to => {
    const from = out.length
    const isStandIn = at => standIns.some(it => at >= it.start && at < it.end)
    out += text
      .slice(from, to)
      .replace(/[^ \t\r\n]/g, (letter, i) => (isStandIn(from + i) ? letter : ''))
  }
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (node.children.length > 0) stack.push(...[...node.children].reverse())
    else {
      between(node.start)
      out += text.slice(node.start, node.end)
    }
  }
  between(text.length)
  return out
}
