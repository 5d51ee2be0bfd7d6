// Checks that a text is XML 1.0 with namespaces and without a document type, as strictly as libvirt's parser.
// The parser in parseXml.ts also accepts much that is not XML.

import { err, ok, type Result } from '../../nix/result.ts'
import type { Fault } from '../problem.ts'
import { checkEndTag, checkStartTag } from './checkTag.ts'
import {
  BAD_DECLARATION,
  BAD_MARKUP,
  CDATA_END_IN_TEXT,
  DASHES_IN_COMMENT,
  DOCTYPE,
  EMPTY_FILE,
  forbiddenCharacter,
  LATE_DECLARATION,
  NAMELESS_INSTRUCTION,
  NO_ELEMENT,
  NOT_XML,
  otherEncoding,
  otherVersion,
  TEXT_AFTER_ROOT,
  TEXT_OUTSIDE_ROOT,
  UNCLOSED_CDATA,
  UNCLOSED_COMMENT,
  UNCLOSED_INSTRUCTION,
  unclosedElement
} from './messages.ts'
import { faultAt, type Progress, type StartTag, shiftFault } from './progress.ts'
import { decodeText } from './references.ts'
import { findForbidden, isBlank, NAME_AT } from './tree.ts'

/**
 * Checks a whole text in one pass, without recursion. Returns the start tag of the root and the offsets of the
 * processing instructions. The error is the first fault with its range: DOCTYPE, ENCODING or NOT_XML.
 */
export function checkXml(text: string): Result<{ root: StartTag; instructions: number[] }, Fault> {
  const state: Progress = { text, at: 0, root: undefined, open: [], instructions: [] }
  const fault =
    checkCharacters(text) ?? checkDeclaration(state) ?? checkNodes(state) ?? checkEnd(state)
  const { root, instructions } = state
  if (fault || !root) return err(fault ?? faultAt(NO_ELEMENT, 0))
  return ok({ root, instructions })
}

function checkCharacters(text: string): Fault | undefined {
  const start = findForbidden(text)
  return start === -1 ? undefined : faultAt(forbiddenCharacter(text.slice(start)), start)
}

const DECLARATION =
  /<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"([^"<]*)"|'([^'<]*)')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([\w.-]+)"|'([\w.-]+)'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/y

function checkDeclaration(state: Progress): Fault | undefined {
  const { text } = state
  if (!/^<\?xml[ \t\r\n?]/.test(text)) return undefined
  DECLARATION.lastIndex = 0
  const found = DECLARATION.exec(text)
  if (!found) return faultAt(BAD_DECLARATION, 0, 5)
  const [whole, quoted, apostrophed, encoding = found[4] ?? 'UTF-8'] = found
  const version = quoted ?? apostrophed ?? ''
  // libxml2 reads any version that begins with 1 as XML 1.0.
  if (!/^1\.\d*$/.test(version)) return faultAt(otherVersion(version), 0, 5)
  if (!/^(utf-?8|(us-)?ascii)$/i.test(encoding) && /[^\0-\x7f]/.test(text)) {
    const start = text.indexOf(encoding)
    return faultAt(otherEncoding(encoding), start, start + encoding.length)
  }
  state.at = whole.length
  return undefined
}

function checkNodes(state: Progress): Fault | undefined {
  const { text } = state
  while (state.at < text.length) {
    const fault = text[state.at] === '<' ? checkMarkup(state) : checkText(state)
    if (fault) return fault
  }
  return undefined
}

function checkMarkup(state: Progress): Fault | undefined {
  const { text, at } = state
  const second = text[at + 1]
  if (second === '/') return checkEndTag(state)
  if (second === '?') return checkInstruction(state)
  if (second !== '!') return checkStartTag(state)
  if (text.startsWith('<!--', at)) return checkComment(state)
  if (text.startsWith('<![CDATA[', at)) return checkCdata(state)
  const isDoctype = /^<!doctype/i.test(text.slice(at, at + 9))
  return isDoctype ? faultAt(DOCTYPE, at, at + 9) : faultAt(BAD_MARKUP, at, at + 2)
}

function checkText(state: Progress): Fault | undefined {
  const { text, at, open } = state
  const next = text.indexOf('<', at)
  const end = next === -1 ? text.length : next
  const source = text.slice(at, end)
  if (open.length === 0 && !isBlank(source)) {
    const start = at + source.search(/[^ \t\n\r]/)
    return faultAt(state.root ? TEXT_AFTER_ROOT : NOT_XML, start)
  }
  const cdataEnd = source.indexOf(']]>')
  if (cdataEnd !== -1) return faultAt(CDATA_END_IN_TEXT, at + cdataEnd, at + cdataEnd + 3)
  const decoded = decodeText(source, 'text')
  if (!decoded.ok) return shiftFault(decoded.error, at)
  state.at = end
  return undefined
}

function checkComment(state: Progress): Fault | undefined {
  const { text, at } = state
  const end = text.indexOf('--', at + 4)
  if (end === -1) return faultAt(UNCLOSED_COMMENT, at, at + 4)
  if (text[end + 2] !== '>') return faultAt(DASHES_IN_COMMENT, end, end + 2)
  state.at = end + 3
  return undefined
}

function checkCdata(state: Progress): Fault | undefined {
  const { text, at, open } = state
  const end = text.indexOf(']]>', at)
  if (open.length === 0) return faultAt(TEXT_OUTSIDE_ROOT, at, at + 9)
  if (end === -1) return faultAt(UNCLOSED_CDATA, at, at + 9)
  state.at = end + 3
  return undefined
}

function checkInstruction(state: Progress): Fault | undefined {
  const { text, at } = state
  NAME_AT.lastIndex = at + 2
  const name = NAME_AT.exec(text)?.[0]
  if (name === undefined || name.includes(':')) return faultAt(NAMELESS_INSTRUCTION, at, at + 2)
  if (name.toLowerCase() === 'xml') return faultAt(LATE_DECLARATION, at, at + 5)
  const end = text.indexOf('?>', at)
  if (end === -1) return faultAt(UNCLOSED_INSTRUCTION, at, at + 2)
  if (!/[ \t\n\r?]/.test(text[at + 2 + name.length] ?? '')) {
    return faultAt(NAMELESS_INSTRUCTION, at, at + 2)
  }
  state.instructions.push(at)
  state.at = end + 2
  return undefined
}

function checkEnd({ text, open, root }: Progress): Fault | undefined {
  const last = open.at(-1)
  if (last)
    return faultAt(unclosedElement(last.name), last.start, last.start + 1 + last.name.length)
  if (root) return undefined
  return faultAt(text.trim() === '' ? EMPTY_FILE : NO_ELEMENT, 0)
}
