// The sentences about a text that is not the XML of a domain.

import type { Fault } from '../problem.ts'
import { codePoint } from './tree.ts'

/** What is wrong and what to do, without the place. */
export type FaultText = Omit<Fault, 'range'>

function notXml(message: string, hint?: string): FaultText {
  return { code: 'NOT_XML', message, hint }
}

const OTHER_FILE = 'check that this is the right file'
const DUMP = 'write the guest to a file: virsh dumpxml --inactive NAME > NAME.xml'

// The file as a whole.

/** `size` is that of the file in bytes, or undefined if reading stopped after `most` bytes. */
export function tooBigFile(size: number | undefined, most: number): FaultText {
  const limit = most / 1024 / 1024
  const megabytes = size === undefined ? `more than ${limit}` : (size / 1024 / 1024).toFixed(1)
  const message = `the size is ${megabytes} MB, but libvirt accepts at most ${limit} MB for a domain`
  return { code: 'TOO_BIG', message, hint: OTHER_FILE }
}

export const UTF16: FaultText = {
  code: 'ENCODING',
  message: 'the file is UTF-16, not UTF-8',
  hint: 'convert it with iconv -f UTF-16 -t UTF-8, and remove the encoding from its first line'
}

export const BINARY: FaultText = {
  code: 'ENCODING',
  message: 'this is a binary file, not text',
  hint: OTHER_FILE
}

export const NOT_UTF8: FaultText = {
  code: 'ENCODING',
  message: 'this is not UTF-8 text',
  hint: 'convert it to UTF-8, for example with iconv'
}

export function otherEncoding(encoding: string): FaultText {
  return {
    code: 'ENCODING',
    message: `the file declares the encoding ${encoding} but was read as UTF-8`,
    hint: `convert it with iconv -f ${encoding} -t UTF-8, and remove the encoding from its first line`
  }
}

export function forbiddenCharacter(character: string): FaultText {
  return {
    code: 'ENCODING',
    message: `XML does not allow the character ${codePoint(character)}`,
    hint: 'remove it, or restore the file from a backup'
  }
}

export const DOCTYPE: FaultText = {
  code: 'DOCTYPE',
  message: 'the file has a document type (<!DOCTYPE), which no domain needs',
  hint: 'remove it: a document type can define entities that include other text or files'
}

const OTHER_KINDS = new Map([
  ['domstatus', 'the state of a running guest'],
  ['domainsnapshot', 'a snapshot of a guest'],
  ['domaincheckpoint', 'a checkpoint of a guest'],
  ['network', 'a libvirt network'],
  ['pool', 'a libvirt storage pool'],
  ['volume', 'a libvirt storage volume']
])

export function notADomain(root: string): FaultText {
  const kind = OTHER_KINDS.get(root) ?? `a <${root}>`
  return { code: 'NOT_A_DOMAIN', message: `this is ${kind}, not a <domain>`, hint: DUMP }
}

// Outside the root.

export const EMPTY_FILE = notXml('the file is empty', DUMP)
export const NO_ELEMENT = notXml('the file has no XML element')
export const BAD_DECLARATION = notXml('the XML declaration is incomplete or misspelled')
export const LATE_DECLARATION = notXml(
  'the XML declaration is only allowed at the start of the file'
)
export const NOT_XML = notXml('this is not XML: XML starts with "<"')
export const TEXT_AFTER_ROOT = notXml('there is text after the end of the domain', 'remove it')
export const TEXT_OUTSIDE_ROOT = notXml('text is only allowed inside the domain')
export const SECOND_ROOT = notXml(
  'there is a second element after the end of the domain',
  'a file holds one domain'
)

export function otherVersion(version: string): FaultText {
  return notXml(`this is XML ${version}, but libvirt reads only XML 1`)
}

// Tags.

export const NOT_A_TAG = notXml('this "<" does not start an element', 'in text, write "<" as &lt;')
export const LONE_SLASH = notXml('"/" is only allowed before ">" here')

export function unfinishedTag(name: string): FaultText {
  return notXml(`the tag <${name}> is not finished`, 'add ">" or "/>"')
}

export function unfinishedEndTag(name: string): FaultText {
  return notXml(`the tag </${name}> is not finished`, 'add ">"')
}

export function unclosedElement(name: string): FaultText {
  return notXml(`<${name}> is never closed`, `add </${name}>, or check that the file is complete`)
}

export function nothingToClose(name: string): FaultText {
  return notXml(`</${name}> closes nothing: no element is open here`)
}

/** `line` is the line of the start tag of the innermost open element, from 1. */
export function wrongEndTag(name: string, open: string, line: number): FaultText {
  return notXml(
    `</${name}> does not match <${open}>`,
    `close <${open}> of line ${line} first: </${open}>`
  )
}

export function tooDeep(most: number): FaultText {
  return notXml(`elements are nested more than ${most} levels deep here`)
}

// Attributes.

export const NO_ATTRIBUTE_NAME = notXml('the name of an attribute is missing or misspelled')
export const LESS_IN_VALUE = notXml('"<" is not allowed in a value', 'write &lt;')

export function noSpaceBefore(attribute: string): FaultText {
  return notXml(`a space is missing before "${attribute}"`)
}

export function repeatedAttribute(name: string): FaultText {
  return notXml(`the attribute "${name}" appears twice`, 'keep one')
}

export function noValue(name: string): FaultText {
  return notXml(`the attribute "${name}" has no value`, `write ${name}='…'`)
}

export function unquotedValue(name: string): FaultText {
  return notXml(`the value of "${name}" needs quotes`, `write ${name}='…'`)
}

export function unclosedValue(name: string): FaultText {
  return notXml(`the closing quote of the value of "${name}" is missing`)
}

// Namespaces.

// libvirt ignores elements of other namespaces.
const LIBVIRT_PREFIXES = ['qemu', 'lxc', 'xen', 'bhyve']

export const RESERVED_NAMESPACE = notXml('this prefix or namespace is reserved by XML')

export function emptyNamespace(prefix: string): FaultText {
  return notXml(`the prefix "${prefix}" is declared with an empty namespace`)
}

export function undeclaredPrefix(prefix: string): FaultText {
  const namespace = `http://libvirt.org/schemas/domain/${prefix}/1.0`
  const isKnown = LIBVIRT_PREFIXES.includes(prefix)
  const hint = isKnown ? `write <domain xmlns:${prefix}='${namespace}' …>` : undefined
  return notXml(`the prefix "${prefix}" is not declared`, hint)
}

export function sameAttribute(name: string, other: string): FaultText {
  return notXml(`"${name}" repeats "${other}": both prefixes have the same namespace`)
}

// Text, references, comments, CDATA sections and processing instructions.

export const CDATA_END_IN_TEXT = notXml('"]]>" is not allowed in text', 'write ]]&gt;')
export const NOT_A_REFERENCE = notXml(
  'this "&" does not start a reference',
  'in text, write "&" as &amp;'
)

export function unfinishedReference(source: string): FaultText {
  return notXml(`";" is missing after ${source}`, `write ${source};`)
}

export function noSuchCharacter(source: string): FaultText {
  return notXml(`${source} is a character that XML does not allow`, 'remove it')
}

export function undefinedEntity(source: string): FaultText {
  const hint = 'XML has &lt; &gt; &amp; &apos; &quot; and numbers such as &#233;'
  return notXml(`the entity ${source} is not defined`, hint)
}

export const BAD_MARKUP = notXml('"<!" is only allowed as the start of a comment (<!--)')
export const UNCLOSED_COMMENT = notXml('this comment is never closed', 'close it with -->')
export const DASHES_IN_COMMENT = notXml('"--" is not allowed in a comment', 'write "- -"')
export const UNCLOSED_CDATA = notXml('this CDATA section is never closed', 'close it with ]]>')
export const NAMELESS_INSTRUCTION = notXml('a name must follow "<?"')
export const UNCLOSED_INSTRUCTION = notXml(
  'this processing instruction is never closed',
  'close it with ?>'
)
