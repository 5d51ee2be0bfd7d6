// ---- characters and names of XML 1.0 (fifth edition), with namespaces

import { isTextChild } from '../tables.ts'

const NAME_START =
  'A-Z_a-z\\xc0-\\xd6\\xd8-\\xf6\\xf8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufffd\\u{10000}-\\u{effff}'
const NAME_REST = `${NAME_START}.0-9\\xb7\\u0300-\\u036f\\u203f\\u2040-`
const LOCAL = `[${NAME_START}][${NAME_REST}]*`

/** Matches, at `lastIndex`, a name with at most one prefix. */
export const NAME_AT = new RegExp(`${LOCAL}(?::${LOCAL})?(?![:${NAME_REST}])`, 'uy')

const NAME = new RegExp(`^${LOCAL}(?::${LOCAL})?$`, 'u')

const FORBIDDEN = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

/** Whether this is a valid name of an element or attribute, with or without a prefix. */
export function isXmlName(text: string): boolean {
  return NAME.test(text)
}

/** The offset of the first character that XML does not allow, or -1. */
export function findForbidden(text: string): number {
  return text.search(FORBIDDEN)
}

/** Whether XML allows the character with this code point. */
export function isCharacter(code: number): boolean {
  return code <= 0x10ffff && !FORBIDDEN.test(String.fromCodePoint(code))
}

/** The first character in Unicode notation: `U+0001`. */
export function codePoint(text: string): string {
  return `U+${(text.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** Whether a text is empty or only spaces, tabs and line endings. */
export function isBlank(text: string): boolean {
  return /^[ \t\n\r]*$/.test(text)
}

/** An element of an XML document. */
export interface XmlElement {
  kind: 'element'
  /** Including the prefix. */
  name: string
  /** In document order, including namespace declarations. */
  attributes: XmlAttribute[]
  children: XmlNode[]
  /** The offset of the start tag; absent if the element was not read from a text. */
  start?: number
}

export interface XmlAttribute {
  name: string
  value: string
}

export type XmlNode =
  | XmlElement
  | { kind: 'text'; text: string }
  | { kind: 'comment'; text: string }

export interface XmlDocument {
  root: XmlElement
  /** The comments before and after the root. */
  before: readonly string[]
  after: readonly string[]
  /** The offsets of processing instructions (`<?…?>`), which are not kept. */
  instructions: readonly number[]
}

/** The child elements, or only those called `name`; empty without a parent. */
export function childElements(parent: XmlElement | undefined, name?: string): XmlElement[] {
  const elements = parent?.children.filter(it => it.kind === 'element') ?? []
  return elements.filter(it => name === undefined || it.name === name)
}

/** The first element at a path of names below an element. */
export function findElement(from: XmlElement, ...names: readonly string[]): XmlElement | undefined {
  let at: XmlElement | undefined = from
  for (const name of names) at = childElements(at, name)[0]
  return at
}

/** All elements at a path of names below an element. */
export function findElements(from: XmlElement, ...names: readonly string[]): XmlElement[] {
  return names.reduce<XmlElement[]>(
    (all, name) => all.flatMap(it => childElements(it, name)),
    [from]
  )
}

/** All descendants in document order, each with its path: `devices/disk`. */
export function elementsBelow(
  from: XmlElement,
  path: readonly string[] = []
): { element: XmlElement; path: string }[] {
  return childElements(from).flatMap(element => {
    const names = [...path, element.name]
    return [{ element, path: names.join('/') }, ...elementsBelow(element, names)]
  })
}

/** The value of an attribute; undefined if the attribute or the element is missing. */
export function attributeOf(element: XmlElement | undefined, name: string): string | undefined {
  return element?.attributes.find(it => it.name === name)?.value
}

/** The text directly in an element, without the text of its child elements. */
export function textContent(element: XmlElement): string {
  return element.children.map(it => (it.kind === 'text' ? it.text : '')).join('')
}

/** Creates an element; strings become text. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (XmlElement | string)[]
): XmlElement {
  return {
    kind: 'element',
    name,
    attributes: Object.entries(attributes).map(([key, value]) => ({ name: key, value })),
    children: children.map(it => (typeof it === 'string' ? { kind: 'text', text: it } : it))
  }
}

/** The content of an element without comments and layout. */
type Content =
  | { kind: 'empty' }
  | { kind: 'text'; text: string }
  | { kind: 'elements'; elements: readonly XmlElement[] }
  /** Elements with text between them. */
  | { kind: 'mixed' }

/** The name of an element's parent, and whether it is inside `<metadata>`. */
export interface Surroundings {
  parent: string
  isOpaque: boolean
}

/**
 * The content of an element without layout. Whitespace between child elements is layout. In an element without
 * children, whitespace is layout if it has a line break and the tables do not list the element as text. In
 * `<metadata>`, which belongs to other programs, only whitespace between child elements is layout.
 */
export function contentOf(element: XmlElement, { parent, isOpaque }: Surroundings): Content {
  const elements = childElements(element)
  const text = textContent(element)
  if (elements.length > 0) return isBlank(text) ? { kind: 'elements', elements } : { kind: 'mixed' }
  if (text === '') return { kind: 'empty' }
  const isLayout =
    isBlank(text) && text.includes('\n') && !isOpaque && !isTextChild(parent, element.name)
  return isLayout ? { kind: 'empty' } : { kind: 'text', text }
}

/** The surroundings of the children of an element. */
export function childSurroundings(element: XmlElement, { isOpaque }: Surroundings): Surroundings {
  return { parent: element.name, isOpaque: isOpaque || element.name === 'metadata' }
}

export const ROOT_SURROUNDINGS: Surroundings = { parent: '', isOpaque: false }

/**
 * A canonical text, equal for domains that mean the same to libvirt: without comments and layout, attributes
 * sorted by name, children stably sorted by name. In `<metadata>` and in mixed content, the order of children
 * is kept.
 */
export function canonicalOf(
  element: XmlElement,
  surroundings: Surroundings = ROOT_SURROUNDINGS
): string {
  const attributes = element.attributes
    .map(({ name, value }) => [name, value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const head = [JSON.stringify(element.name), JSON.stringify(attributes)]
  return `[${[...head, ...canonicalChildren(element, surroundings)].join(',')}]`
}

function canonicalChildren(element: XmlElement, surroundings: Surroundings): string[] {
  const content = contentOf(element, surroundings)
  const inner = childSurroundings(element, surroundings)
  switch (content.kind) {
    case 'empty':
      return []
    case 'text':
      return [JSON.stringify(content.text)]
    case 'mixed':
      return withoutComments(element).map(it =>
        typeof it === 'string' ? JSON.stringify(it) : canonicalOf(it, inner)
      )
    case 'elements': {
      const all = content.elements.map(it => ({ name: it.name, form: canonicalOf(it, inner) }))
      if (!inner.isOpaque) all.sort((a, b) => (a.name === b.name ? 0 : a.name < b.name ? -1 : 1))
      return all.map(it => it.form)
    }
  }
}

/** Text and elements in order. Texts are joined if only comments are between them. */
export function withoutComments(element: XmlElement): (string | XmlElement)[] {
  const parts: (string | XmlElement)[] = []
  for (const node of element.children) {
    const last = parts.at(-1)
    if (node.kind === 'element') parts.push(node)
    else if (node.kind === 'text') {
      if (typeof last === 'string') parts[parts.length - 1] = last + node.text
      else parts.push(node.text)
    }
  }
  return parts
}
