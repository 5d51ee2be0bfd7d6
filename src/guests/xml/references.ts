// References (`&lt;`, `&#10;`) and line endings in text and in the values of attributes.

import { err, ok, type Result } from '../../nix/result.ts'
import type { Fault } from '../problem.ts'
import {
  NOT_A_REFERENCE,
  noSuchCharacter,
  undefinedEntity,
  unfinishedReference
} from './messages.ts'
import { faultAt } from './progress.ts'
import { isCharacter } from './tree.ts'

const ENTITIES = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['apos', "'"],
  ['quot', '"']
])

const PART = /&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([^ \t\n\r&;<#]*))(;?)|\r\n|[\t\n\r]/g

/**
 * Decodes the source of a text or of an attribute's value. Each reference is replaced once: `&amp;lt;` becomes
 * `&lt;`. A line ending becomes `\n` in a text; in a value, line endings and tabs become spaces. The range of
 * a fault refers to the source.
 */
export function decodeText(source: string, kind: 'text' | 'value'): Result<string, Fault> {
  if (!/[&\r\n\t]/.test(source)) return ok(source)
  const parts: string[] = []
  let end = 0
  for (const found of source.matchAll(PART)) {
    const [whole] = found
    const decoded = whole.startsWith('&') ? decodeReference(found) : decodeWhitespace(whole, kind)
    if (decoded === undefined) return err(referenceFault(found))
    parts.push(source.slice(end, found.index), decoded)
    end = found.index + whole.length
  }
  return ok(parts.join('') + source.slice(end))
}

function decodeWhitespace(source: string, kind: 'text' | 'value'): string {
  if (kind === 'value') return ' '
  return source === '\t' ? '\t' : '\n'
}

/** The character of a reference; undefined if the reference is invalid. */
function decodeReference([, hex, decimal, name, end]: RegExpMatchArray): string | undefined {
  if (end !== ';') return undefined
  const digits = hex ?? decimal
  if (digits === undefined) return ENTITIES.get(name ?? '')
  const code = Number.parseInt(digits, hex === undefined ? 10 : 16)
  return isCharacter(code) ? String.fromCodePoint(code) : undefined
}

function referenceFault({
  0: whole,
  3: name,
  4: semicolon,
  index: start = 0
}: RegExpMatchArray): Fault {
  const isNumber = name === undefined
  const isComplete = semicolon === ';'
  if (whole === '&' || whole === '&;' || (!isComplete && !isNumber)) {
    return faultAt(NOT_A_REFERENCE, start)
  }
  const end = start + whole.length
  if (!isComplete) return faultAt(unfinishedReference(whole), start, end)
  return faultAt(isNumber ? noSuchCharacter(whole) : undefinedEntity(whole), start, end)
}
