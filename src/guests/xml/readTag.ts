// Namespaces: which prefixes are declared where.

import { err, ok, type Result } from '../../nix/result.ts'
import type { Fault } from '../problem.ts'
import { isCharacter, NAME_AT, type XmlAttribute, type XmlElement, type XmlNode } from './tree.ts'

/** The declared prefixes and what they stand for; `''` is what names without a prefix belong to. */
type Scope = ReadonlyMap<string, string>

const XML = 'http://www.w3.org/XML/1998/namespace'
const XMLNS = 'http://www.w3.org/2000/xmlns/'

const TOP_SCOPE: Scope = new Map([['xml', XML]])

/** What is wrong with the prefixes of a tag; `of` is the index of an attribute, -1 for the element. */
interface PrefixFault {
  of: number
  message: string
  hint?: string | undefined
}

/** The prefixes that are declared in an element with these attributes, inside this scope. */
function declare(scope: Scope, attributes: readonly XmlAttribute[]): Result<Scope, PrefixFault> {
  let inner: Map<string, string> | undefined
  for (const [of, { name, value }] of attributes.entries()) {
    const prefix = name === 'xmlns' ? '' : name.startsWith('xmlns:') ? name.slice(6) : undefined
    if (prefix === undefined) continue
    if (prefix === 'xmlns' || value === XMLNS || (prefix === 'xml') !== (value === XML)) {
      return err({ of, message: 'this prefix and this namespace belong to XML itself' })
    }
    if (prefix !== '' && value === '') {
      return err({ of, message: `the prefix "${prefix}" must stand for something` })
    }
    inner ??= new Map(scope)
    inner.set(prefix, value)
  }
  return ok(inner ?? scope)
}

/** A prefix in a tag that nothing declares, or an attribute that two prefixes give twice. */
function findUndeclared(
  scope: Scope,
  name: string,
  attributes: readonly XmlAttribute[]
): PrefixFault | undefined {
  const fault = undeclared(scope, name, -1)
  if (fault) return fault
  const known = new Map<string, string>()
  for (const [of, attribute] of attributes.entries()) {
    const { prefix, local } = parted(attribute.name)
    if (prefix === undefined || prefix === 'xmlns') continue
    const missing = undeclared(scope, attribute.name, of)
    if (missing) return missing
    const full = `${scope.get(prefix)} ${local}`
    const other = known.get(full)
    if (other !== undefined) {
      return { of, message: `"${attribute.name}" is the same attribute as "${other}"` }
    }
    known.set(full, attribute.name)
  }
  return undefined
}

function undeclared(scope: Scope, name: string, of: number): PrefixFault | undefined {
  const { prefix } = parted(name)
  if (prefix === undefined || (scope.has(prefix) && prefix !== 'xmlns')) return undefined
  const known = KNOWN.get(prefix)
  return {
    of,
    message: `nothing says what the prefix "${prefix}" stands for`,
    hint: known && `write <domain xmlns:${prefix}='${known}' …>`
  }
}

// libvirt drops what it takes for no namespace of its own.
const KNOWN = new Map(
  ['qemu', 'lxc', 'xen', 'bhyve'].map(it => [it, `http://libvirt.org/schemas/domain/${it}/1.0`])
)

function parted(name: string): { prefix: string | undefined; local: string } {
  const [, prefix, local = name] = /^([^:]*):(.*)$/s.exec(name) ?? []
  return { prefix, local }
}

/** An element whose end was not read yet. */
export interface Open {
  element: XmlElement & { children: XmlNode[]; start: number }
  scope: Scope
}

/** How far a text was read, and what was found in it. */
export interface Reading {
  text: string
  at: number
  open: Open[]
  root: XmlElement | undefined
  before: string[]
  after: string[]
  instructions: number[]
}

/** What is wrong with a text that is to be XML; the range is one character where no end is given. */
export function notXml(message: string, start: number, end = start + 1, hint?: string): Fault {
  return { code: 'NOT_XML', message, range: { start, end }, hint }
}

/** A fault that was found in a part of the text, which begins at `by`. */
export function shifted(fault: Fault, by: number): Fault {
  const { start, end } = fault.range ?? { start: 0, end: 0 }
  return { ...fault, range: { start: start + by, end: end + by } }
}

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
    if (decoded === undefined) return err(referenceFault(found))
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

function referenceFault({
  0: whole,
  3: name,
  4: ended,
  index: start = 0
}: RegExpMatchArray): Fault {
  const isNumber = name === undefined
  const isEnded = ended === ';'
  const end = start + whole.length
  if (whole === '&' || whole === '&;' || (!isEnded && !isNumber)) {
    const hint = 'an "&" in a text is written &amp;'
    return notXml('"&" begins no reference here', start, start + 1, hint)
  }
  if (!isEnded) return notXml(`";" is missing behind ${whole}`, start, end, `write ${whole};`)
  if (isNumber) {
    const message = `${whole} stands for a character that XML does not have`
    return notXml(message, start, end, 'take it out')
  }
  const hint = 'XML has &lt; &gt; &amp; &apos; &quot; and numbers like &#233;'
  return notXml(`nothing says what ${whole} stands for`, start, end, hint)
}

// The tags of XML, with their attributes.

// So does libxml2, which libvirt reads with.
const DEEPEST = 256

const BLANKS_AT = /[ \t\n\r]*/y

function skipBlanks(text: string, at: number): number {
  BLANKS_AT.lastIndex = at
  BLANKS_AT.test(text)
  return BLANKS_AT.lastIndex
}

/** Reads the start tag at the place that was reached, to behind it. */
export function startTag(state: Reading): Fault | undefined {
  const { text, at: start, open } = state
  NAME_AT.lastIndex = start + 1
  const name = NAME_AT.exec(text)?.[0]
  if (name === undefined) {
    return notXml('"<" begins no element here', start, start + 1, 'a "<" in a text is written &lt;')
  }
  const end = start + 1 + name.length
  if (open.length === 0 && state.root) {
    const message = 'there is a second element behind the end of the domain'
    return notXml(message, start, end, 'a file holds one domain')
  }
  if (open.length === DEEPEST) {
    return notXml(`elements are nested more than ${DEEPEST} deep here`, start)
  }
  state.at = end
  const read = attributes(state, { name, start, end })
  if (!read.ok) return read.error
  const isEmpty = text[state.at] === '/'
  if (isEmpty && text[state.at + 1] !== '>') {
    return notXml('"/" ends a tag only before ">"', state.at)
  }
  state.at += isEmpty ? 2 : 1
  const { all, places } = read.value
  const scope = declare(open.at(-1)?.scope ?? TOP_SCOPE, all)
  const undeclared = scope.ok ? findUndeclared(scope.value, name, all) : scope.error
  if (!scope.ok || undeclared) {
    const { message = '', of = -1, hint } = undeclared ?? {}
    const from = places[of] ?? start + 1
    return notXml(message, from, from + (all[of]?.name ?? name).length, hint)
  }
  const element = { kind: 'element' as const, name, attributes: all, children: [], start }
  const parent = open.at(-1)
  if (parent) parent.element.children.push(element)
  else state.root = element
  if (!isEmpty) open.push({ element, scope: scope.value })
  return undefined
}

/** The attributes up to the end of a tag, and where each begins. */
function attributes(
  state: Reading,
  tag: { name: string; start: number; end: number }
): Result<{ all: XmlAttribute[]; places: number[] }, Fault> {
  const { text } = state
  const all: XmlAttribute[] = []
  const places: number[] = []
  const known = new Set<string>()
  for (;;) {
    const next = skipBlanks(text, state.at)
    const isParted = next > state.at
    state.at = next
    if (text[next] === '>' || text[next] === '/') return ok({ all, places })
    if (next >= text.length || text[next] === '<') {
      const hint = 'a ">" or "/>" is missing'
      return err(notXml(`the tag <${tag.name}> does not end`, tag.start, tag.end, hint))
    }
    const read = attribute(state, isParted)
    if (!read.ok) return read
    const { name } = read.value
    if (known.has(name)) {
      const message = `the attribute "${name}" stands here twice`
      return err(notXml(message, next, next + name.length, 'keep one'))
    }
    known.add(name)
    all.push(read.value)
    places.push(next)
  }
}

function attribute(state: Reading, isParted: boolean): Result<XmlAttribute, Fault> {
  const { text, at } = state
  NAME_AT.lastIndex = at
  const name = NAME_AT.exec(text)?.[0]
  if (name === undefined) return err(notXml('the name of an attribute is missing or misspelt', at))
  if (!isParted) {
    return err(notXml(`a blank is missing before "${name}"`, at, at + name.length))
  }
  const equals = skipBlanks(text, at + name.length)
  if (text[equals] !== '=') {
    return err(
      notXml(`the attribute "${name}" has no value`, at, at + name.length, `write ${name}='…'`)
    )
  }
  const from = skipBlanks(text, equals + 1)
  const quote = text[from]
  if (quote !== '"' && quote !== "'") {
    const hint = `write ${name}='…'`
    return err(notXml(`the value of "${name}" needs quotes around it`, from, from + 1, hint))
  }
  const to = text.indexOf(quote, from + 1)
  const source = text.slice(from + 1, to === -1 ? undefined : to)
  const less = source.indexOf('<')
  if (to === -1 || less !== -1) {
    const isOpen = to === -1 || source.slice(0, less).includes('\n')
    return err(
      isOpen
        ? notXml(`the quote that ends the value of "${name}" is missing`, from)
        : notXml('"<" must not stand in a value', from + 1 + less, from + 2 + less, 'write &lt;')
    )
  }
  const decoded = decodeText(source, 'value')
  if (!decoded.ok) return err(shifted(decoded.error, from + 1))
  state.at = to + 1
  return ok({ name, value: decoded.value })
}

const END_TAG_AT = /<\/([^ \t\n\r<>]*)[ \t\n\r]*(>?)/y

/** Reads the end tag at the place that was reached, to behind it. */
export function endTag(state: Reading): Fault | undefined {
  const { text, at, open } = state
  END_TAG_AT.lastIndex = at
  const [whole = '', name = '', closed] = END_TAG_AT.exec(text) ?? []
  const last = open.at(-1)
  if (!last) {
    return notXml(`</${name}> ends nothing: no element is open here`, at, at + whole.length)
  }
  if (last.element.name !== name) {
    const line = text.slice(0, last.element.start).split('\n').length
    const hint = `<${last.element.name}> of line ${line} ends first: </${last.element.name}>`
    const message = `</${name}> does not belong to <${last.element.name}>`
    return notXml(message, at, at + whole.length, hint)
  }
  if (closed === '') return notXml(`the tag </${name}> does not end`, at, at + whole.length)
  open.pop()
  state.at = at + whole.length
  return undefined
}
