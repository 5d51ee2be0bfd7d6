// The tags of XML, with their attributes.

import { err, ok, type Result } from '../nix/result.ts'
import { NAME_AT } from './characters.ts'
import type { Fault } from './problem.ts'
import { notXml, type Reading, shifted } from './reading.ts'
import { decodeText } from './references.ts'
import { declare, findUndeclared, TOP_SCOPE } from './scope.ts'
import type { XmlAttribute } from './tree.ts'

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
    return notXml(
      `</${name}> does not belong to <${last.element.name}>`,
      at,
      at + whole.length,
      hint
    )
  }
  if (closed === '') return notXml(`the tag </${name}> does not end`, at, at + whole.length)
  open.pop()
  state.at = at + whole.length
  return undefined
}
