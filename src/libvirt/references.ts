import { err, ok, type Result } from '../nix/result.ts'
import { isCharacter } from './characters.ts'
import type { Fault } from './problem.ts'

const NAMED = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['apos', "'"],
  ['quot', '"']
])

const PART = /&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([^ \t\n\r&;<#]*))(;?)|\r\n|[\t\n\r]/g

/**
 * A text or the value of an attribute as it is meant: references (`&lt;`, `&#10;`) replaced by what
 * they stand for, each once; line ends `\n` in a text, and with tabs blanks in a value.
 */
export function decodeText(source: string, kind: 'text' | 'value'): Result<string, Fault> {
  if (!/[&\r\n\t]/.test(source)) return ok(source)
  const parts: string[] = []
  let end = 0
  for (const found of source.matchAll(PART)) {
    const [whole] = found
    const decoded = whole.startsWith('&')
      ? referenced(found)
      : kind === 'value'
        ? ' '
        : whole === '\t'
          ? whole
          : '\n'
    if (decoded === undefined) return err(faultOf(found))
    parts.push(source.slice(end, found.index), decoded)
    end = found.index + whole.length
  }
  return ok(parts.join('') + source.slice(end))
}

/** What a reference stands for; undefined where it is none. */
function referenced([, hex, decimal, name, end]: RegExpMatchArray): string | undefined {
  if (end !== ';') return undefined
  const digits = hex ?? decimal
  if (digits === undefined) return NAMED.get(name ?? '')
  const code = Number.parseInt(digits, hex === undefined ? 10 : 16)
  return isCharacter(code) ? String.fromCodePoint(code) : undefined
}

function faultOf({ 0: whole, 3: name, 4: ended, index: start = 0 }: RegExpMatchArray): Fault {
  const isNumber = name === undefined
  const isEnded = ended === ';'
  const range = { start, end: start + whole.length }
  const fault = (message: string, hint: string): Fault => ({
    code: 'NOT_XML',
    message,
    hint,
    range
  })
  if (whole === '&' || whole === '&;' || (!isEnded && !isNumber)) {
    return {
      ...fault('"&" begins no reference here', 'an "&" in a text is written &amp;'),
      range: { start, end: start + 1 }
    }
  }
  if (!isEnded) return fault(`";" is missing behind ${whole}`, `write ${whole};`)
  return isNumber
    ? fault(`${whole} stands for a character that XML does not have`, 'take it out')
    : fault(
        `nothing says what ${whole} stands for`,
        'XML has &lt; &gt; &amp; &apos; &quot; and numbers like &#233;'
      )
}
