// Checks start tags with their attributes, and end tags.

import { err, ok, type Result } from '../../nix/result.ts'
import type { Fault } from '../problem.ts'
import {
  LESS_IN_VALUE,
  LONE_SLASH,
  NO_ATTRIBUTE_NAME,
  NOT_A_TAG,
  noSpaceBefore,
  nothingToClose,
  noValue,
  repeatedAttribute,
  SECOND_ROOT,
  tooDeep,
  unclosedValue,
  unfinishedEndTag,
  unfinishedTag,
  unquotedValue,
  wrongEndTag
} from './messages.ts'
import { scopeInside, TOP_SCOPE } from './namespaces.ts'
import { faultAt, type Progress, type StartTag, shiftFault } from './progress.ts'
import { decodeText } from './references.ts'
import { NAME_AT, type XmlAttribute } from './tree.ts'

/** The limit of libxml2, libvirt's XML parser. */
const MAX_DEPTH = 256

const WHITESPACE_AT = /[ \t\n\r]*/y

function skipWhitespace(text: string, at: number): number {
  WHITESPACE_AT.lastIndex = at
  WHITESPACE_AT.test(text)
  return WHITESPACE_AT.lastIndex
}

/** The name at an offset, with its prefix; undefined if there is none. */
function nameAt(text: string, at: number): string | undefined {
  NAME_AT.lastIndex = at
  return NAME_AT.exec(text)?.[0]
}

/** Checks the start tag at the current offset, and moves past it. */
export function checkStartTag(state: Progress): Fault | undefined {
  const { text, at: start, open } = state
  const name = nameAt(text, start + 1)
  if (name === undefined) return faultAt(NOT_A_TAG, start)
  const end = start + 1 + name.length
  if (open.length === 0 && state.root) return faultAt(SECOND_ROOT, start, end)
  if (open.length === MAX_DEPTH) return faultAt(tooDeep(MAX_DEPTH), start)
  state.at = end
  const read = checkAttributes(state, { name, start })
  if (!read.ok) return read.error
  const isEmpty = text[state.at] === '/'
  if (isEmpty && text[state.at + 1] !== '>') return faultAt(LONE_SLASH, state.at)
  state.at += isEmpty ? 2 : 1
  const { attributes, offsets } = read.value
  const scope = scopeInside(open.at(-1)?.scope ?? TOP_SCOPE, name, attributes)
  if (!scope.ok) {
    const { index, fault } = scope.error
    const from = offsets[index] ?? start + 1
    return faultAt(fault, from, from + (attributes[index]?.name ?? name).length)
  }
  state.root ??= { name, start }
  if (!isEmpty) open.push({ name, start, scope: scope.value })
  return undefined
}

/** The attributes up to the end of a start tag, and the offset of each. */
function checkAttributes(
  state: Progress,
  tag: StartTag
): Result<{ attributes: XmlAttribute[]; offsets: number[] }, Fault> {
  const { text } = state
  const attributes: XmlAttribute[] = []
  const offsets: number[] = []
  const names = new Set<string>()
  for (;;) {
    const next = skipWhitespace(text, state.at)
    const isSeparate = next > state.at
    state.at = next
    if (text[next] === '>' || text[next] === '/') return ok({ attributes, offsets })
    if (next >= text.length || text[next] === '<') {
      return err(faultAt(unfinishedTag(tag.name), tag.start, tag.start + 1 + tag.name.length))
    }
    const read = checkAttribute(state, isSeparate)
    if (!read.ok) return read
    const { name } = read.value
    if (names.has(name)) return err(faultAt(repeatedAttribute(name), next, next + name.length))
    names.add(name)
    attributes.push(read.value)
    offsets.push(next)
  }
}

function checkAttribute(state: Progress, isSeparate: boolean): Result<XmlAttribute, Fault> {
  const { text, at } = state
  const name = nameAt(text, at)
  if (name === undefined) return err(faultAt(NO_ATTRIBUTE_NAME, at))
  const end = at + name.length
  if (!isSeparate) return err(faultAt(noSpaceBefore(name), at, end))
  const equals = skipWhitespace(text, end)
  if (text[equals] !== '=') return err(faultAt(noValue(name), at, end))
  const from = skipWhitespace(text, equals + 1)
  const quote = text[from]
  if (quote !== '"' && quote !== "'") return err(faultAt(unquotedValue(name), from))
  const to = text.indexOf(quote, from + 1)
  const source = text.slice(from + 1, to === -1 ? undefined : to)
  const less = source.indexOf('<')
  // A "<" on a later line belongs to the next tag, so the quote before it is missing.
  if (to === -1 || (less !== -1 && source.slice(0, less).includes('\n'))) {
    return err(faultAt(unclosedValue(name), from))
  }
  if (less !== -1) return err(faultAt(LESS_IN_VALUE, from + 1 + less))
  const decoded = decodeText(source, 'value')
  if (!decoded.ok) return err(shiftFault(decoded.error, from + 1))
  state.at = to + 1
  return ok({ name, value: decoded.value })
}

const END_TAG_AT = /<\/([^ \t\n\r<>]*)[ \t\n\r]*(>?)/y

/** Checks the end tag at the current offset, and moves past it. */
export function checkEndTag(state: Progress): Fault | undefined {
  const { text, at, open } = state
  END_TAG_AT.lastIndex = at
  const [whole = '', name = '', closed] = END_TAG_AT.exec(text) ?? []
  const end = at + whole.length
  const last = open.at(-1)
  if (!last) return faultAt(nothingToClose(name), at, end)
  if (last.name !== name) {
    const line = text.slice(0, last.start).split('\n').length
    return faultAt(wrongEndTag(name, last.name, line), at, end)
  }
  if (closed === '') return faultAt(unfinishedEndTag(name), at, end)
  open.pop()
  state.at = end
  return undefined
}
