import { err, ok, type Result } from '../../nix/result.ts'
import { type DomainError, domainError, type Fault } from '../problem.ts'
import {
  decodeText,
  endTag,
  notXml,
  type Open,
  type Reading,
  shifted,
  startTag
} from './readTag.ts'
import {
  codePoint,
  findForbidden,
  isBlank,
  NAME_AT,
  type XmlDocument,
  type XmlElement
} from './tree.ts'

const OTHER_FILE = 'see whether it is the right file'

/** The text of a file that holds XML; a byte order mark is left out. Refused: TOO_BIG, ENCODING. */
function decodeXml(bytes: Uint8Array): Result<string, DomainError> {
  if (bytes.length > MOST_BYTES) return err(tooBig(bytes.length))
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    const message = 'this is UTF-16, not UTF-8'
    const hint = 'convert it: iconv -f UTF-16 -t UTF-8; and take the encoding out of its first line'
    return err(domainError('', { code: 'ENCODING', message, hint }))
  }
  try {
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    if (bytes.includes(0)) {
      const message = 'this is no text, but the data of a program, an image or the like'
      return err(domainError('', { code: 'ENCODING', message, hint: OTHER_FILE }))
    }
    const readable = new TextDecoder('utf-8').decode(bytes)
    const start = readable.indexOf('\ufffd')
    const message = 'this is not UTF-8 text'
    const hint = 'convert it to UTF-8, for example with iconv'
    const range = { start, end: start + 1 }
    return err(domainError(readable, { code: 'ENCODING', message, hint, range }))
  }
}

/** Reads a domain from the bytes of a file. Refused as `decodeXml` and `readXml` do. */
export function readDomain(
  bytes: Uint8Array
): Result<{ text: string; document: XmlDocument }, DomainError> {
  const text = decodeXml(bytes)
  if (!text.ok) return text
  const document = readXml(text.value)
  return document.ok ? ok({ text: text.value, document: document.value }) : document
}

/** What is said of a file of so many bytes, or of more than can be taken, which is not looked into. */
export function tooBig(size?: number): DomainError {
  const most = MOST_BYTES / 1024 / 1024
  const megabytes = size === undefined ? `more than ${most}` : (size / 1024 / 1024).toFixed(1)
  return domainError('', {
    code: 'TOO_BIG',
    message: `it has ${megabytes} MB, and libvirt takes at most ${most} MB for a domain`,
    hint: OTHER_FILE
  })
}

// A reader for the XML of domains: XML 1.0 with namespaces and without document types, as strict as
// the one that libvirt has. It runs over the text once, with a stack of its own.

/** The most bytes that libvirt takes for a domain; what is bigger is none. */
export const MOST_BYTES = 4 * 1024 * 1024

/**
 * Reads a document from its text. Comments are kept, also outside the root, references and CDATA are
 * texts then, line ends are `\n`. Refused with DOCTYPE, ENCODING (forbidden characters), NOT_XML and
 * NOT_A_DOMAIN (the root is no `domain`, or not the one that is `expected`), each with its place, the first one found.
 */
export function readXml(text: string, expected = 'domain'): Result<XmlDocument, DomainError> {
  const lists = { open: [], before: [], after: [], instructions: [] }
  const state: Reading = { text, at: 0, root: undefined, ...lists }
  const fault = forbidden(text) ?? declaration(state) ?? nodes(state) ?? checkEnd(state)
  const { root, before, after, instructions } = state
  if (fault || !root) return err(domainError(text, fault ?? notXml('there is no element', 0)))
  const other = expected === root.name ? undefined : notADomain(root)
  if (other) return err(domainError(text, other))
  return ok({ root, before, after, instructions })
}

function forbidden(text: string): Fault | undefined {
  const start = findForbidden(text)
  if (start === -1) return undefined
  const message = `the character ${codePoint(text.slice(start))} can not stand in XML`
  const hint = 'take it out, or restore the file from a copy'
  return { code: 'ENCODING', message, hint, range: { start, end: start + 1 } }
}

const DECLARATION =
  /<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"([^"<]*)"|'([^'<]*)')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([\w.-]+)"|'([\w.-]+)'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/y

function declaration(state: Reading): Fault | undefined {
  const { text } = state
  if (!/^<\?xml[ \t\r\n?]/.test(text)) return undefined
  DECLARATION.lastIndex = 0
  const found = DECLARATION.exec(text)
  if (!found) return notXml('the XML declaration is not finished or misspelt', 0, 5)
  const [whole, quoted, apostrophed, encoding = found[4] ?? 'UTF-8'] = found
  const version = quoted ?? apostrophed
  if (version !== '1.0') return notXml(`this is XML ${version}, and libvirt reads 1.0`, 0, 5)
  if (!/^(utf-?8|(us-)?ascii)$/i.test(encoding) && /[^\0-\x7f]/.test(text)) {
    const start = text.indexOf(encoding)
    const message = `the file says that it is ${encoding}, and was read as UTF-8`
    const hint = `convert it: iconv -f ${encoding} -t UTF-8; and take the encoding out of its first line`
    return { code: 'ENCODING', message, hint, range: { start, end: start + encoding.length } }
  }
  state.at = whole.length
  return undefined
}

function nodes(state: Reading): Fault | undefined {
  const { text } = state
  while (state.at < text.length) {
    const fault = text[state.at] === '<' ? markup(state) : characters(state)
    if (fault) return fault
  }
  return undefined
}

function markup(state: Reading): Fault | undefined {
  const { text, at } = state
  const second = text[at + 1]
  if (second === '/') return endTag(state)
  if (second === '?') return instruction(state)
  if (second !== '!') return startTag(state)
  if (text.startsWith('<!--', at)) return comment(state)
  if (text.startsWith('<![CDATA[', at)) return cdata(state)
  if (/^<!doctype/i.test(text.slice(at, at + 9))) {
    const message = 'the file has a document type (<!DOCTYPE), which no domain needs'
    const hint = 'take it out: it can define words that stand for other text or files'
    return { code: 'DOCTYPE', message, hint, range: { start: at, end: at + 9 } }
  }
  return notXml('"<!" begins a comment (<!--) or nothing', at, at + 2)
}

function characters(state: Reading): Fault | undefined {
  const { text, at, open } = state
  const next = text.indexOf('<', at)
  const to = next === -1 ? text.length : next
  const source = text.slice(at, to)
  const parent = open.at(-1)
  if (!parent) {
    if (isBlank(source)) {
      state.at = to
      return undefined
    }
    const start = at + source.search(/[^ \t\n\r]/)
    return state.root
      ? notXml('there is more behind the end of the domain', start, start + 1, 'take it out')
      : notXml('this is not XML, which begins with "<"', start)
  }
  const end = source.indexOf(']]>')
  if (end !== -1) return notXml('"]]>" must not stand in a text', at + end, at + end + 3)
  const decoded = decodeText(source, 'text')
  if (!decoded.ok) return shifted(decoded.error, at)
  addText(parent, decoded.value)
  state.at = to
  return undefined
}

function addText({ element: { children } }: Open, text: string): void {
  if (text !== '') children.push({ kind: 'text', text })
}

function comment(state: Reading): Fault | undefined {
  const { text, at, open } = state
  const end = text.indexOf('--', at + 4)
  if (end === -1) return notXml('this comment does not end', at, at + 4, 'end it with -->')
  if (text[end + 2] !== '>') {
    return notXml('"--" must not stand in a comment', end, end + 2, 'write "- -"')
  }
  const inner = text.slice(at + 4, end).replace(/\r\n?/g, '\n')
  const parent = open.at(-1)
  if (parent) parent.element.children.push({ kind: 'comment', text: inner })
  else (state.root ? state.after : state.before).push(inner)
  state.at = end + 3
  return undefined
}

function cdata(state: Reading): Fault | undefined {
  const { text, at, open } = state
  const parent = open.at(-1)
  const end = text.indexOf(']]>', at)
  if (!parent) return notXml('a text must stand inside the domain', at, at + 9)
  if (end === -1) return notXml('this CDATA does not end', at, at + 9, 'end it with ]]>')
  addText(parent, text.slice(at + 9, end).replace(/\r\n?/g, '\n'))
  state.at = end + 3
  return undefined
}

function instruction(state: Reading): Fault | undefined {
  const { text, at } = state
  NAME_AT.lastIndex = at + 2
  const name = NAME_AT.exec(text)?.[0]
  const end = text.indexOf('?>', at)
  if (name === undefined || name.includes(':')) {
    return notXml('"<?" needs the name of a program behind it', at, at + 2)
  }
  if (name.toLowerCase() === 'xml') {
    return notXml('the XML declaration stands at the beginning or not at all', at, at + 5)
  }
  if (end === -1) return notXml('this instruction does not end', at, at + 2, 'end it with ?>')
  if (!/[ \t\n\r?]/.test(text[NAME_AT.lastIndex] ?? '')) {
    return notXml('"<?" needs the name of a program behind it', at, at + 2)
  }
  state.instructions.push(at)
  state.at = end + 2
  return undefined
}

function checkEnd({ text, open, root }: Reading): Fault | undefined {
  const last = open.at(-1)
  if (last) {
    const { name, start } = last.element
    const hint = `</${name}> is missing; perhaps the file is cut off`
    return notXml(`<${name}> does not end`, start, start + 1 + name.length, hint)
  }
  if (root) return undefined
  return text.trim() === ''
    ? notXml('the file is empty', 0, 1, DUMP)
    : notXml('there is no element', 0)
}

const DUMP = 'write the guest to a file: virsh dumpxml --inactive NAME > NAME.xml'

const OTHER_KINDS = new Map([
  ['domstatus', 'the state of a running guest'],
  ['domainsnapshot', 'a snapshot of a guest'],
  ['domaincheckpoint', 'a checkpoint of a guest'],
  ['network', 'a network of libvirt'],
  ['pool', 'a storage pool of libvirt'],
  ['volume', 'a storage volume of libvirt']
])

function notADomain({ name, start = 0 }: XmlElement): Fault {
  return {
    code: 'NOT_A_DOMAIN',
    message: `this is ${OTHER_KINDS.get(name) ?? `a <${name}>`}, not a <domain>`,
    hint: DUMP,
    range: { start, end: start + 1 + name.length }
  }
}
