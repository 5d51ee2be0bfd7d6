// npm run stress -- fuzz [COUNT [SEED]]
//
// Parses COUNT (default 1,000,000) strings that are almost Nix, or nothing like Nix. None may crash the
// parser or take over a second, and the tree must have the whole text. Exit code 1 on any fault.
import { parseDocument } from '../dist/nix/index.js'
import { fuzzedText } from './support/fuzzedText.js'
import { trySeeds } from './support/seeds.js'

await trySeeds(import.meta.url, {
  count: 1_000_000,
  step: 500,
  inputOf: fuzzedText,
  check,
  what: 'crashed, hung, or were not printed back'
})

function check(text, counts) {
  counts.add('  characters', text.length)
  try {
    const doc = parseDocument(text)
    const { errors } = doc
    if (String(doc) !== text) return 'is not printed back'
    if (errors.length > 0) counts.add('  not Nix')
    else if (printed(doc, text) !== text) return 'the tree does not have the text'
    for (const { range, at } of errors) {
      if (range.start < 0 || range.end < range.start || range.start > text.length || at.line < 1)
        return 'an error is outside of the text'
    }
    return undefined
  } catch (error) {
    return `threw ${/** @type {Error} */ (error).stack}`
  }
}

/** The tokens of a tree, with the text that may be between them: whitespace, and the source of workarounds. */
function printed({ root, workarounds }, text) {
  let out = ''
  const between = to => {
    const from = out.length
    const isWorkaround = at => workarounds.some(it => at >= it.start && at < it.end)
    out += text
      .slice(from, to)
      .replace(/[^ \t\r\n]/g, (letter, i) => (isWorkaround(from + i) ? letter : ''))
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
