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
  let fault: Fault | undefined
  const decoded = source.replace(
    PART,
    (whole, hex?: string, decimal?: string, name?: string, end?: string, at?: number) => {
      if (!whole.startsWith('&')) return kind === 'value' ? ' ' : whole === '\t' ? whole : '\n'
      const digits = hex ?? decimal
      const value = digits === undefined ? undefined : Number.parseInt(digits, hex ? 16 : 10)
      const isEnded = end === ';'
      if (isEnded && value !== undefined && isCharacter(value)) return String.fromCodePoint(value)
      const known = isEnded && name !== undefined ? NAMED.get(name) : undefined
      if (known !== undefined) return known
      fault ??= faultOf(whole, digits !== undefined, isEnded, at ?? 0)
      return whole
    }
  )
  return fault ? err(fault) : ok(decoded)
}

function faultOf(whole: string, isNumber: boolean, isEnded: boolean, start: number): Fault {
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
