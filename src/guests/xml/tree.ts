// The characters of XML 1.0 (fifth edition) and its names with namespaces.

import { isTextChild } from '../tables.ts'

const NAME_START =
  'A-Z_a-z\\xc0-\\xd6\\xd8-\\xf6\\xf8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufffd\\u{10000}-\\u{effff}'
const NAME_REST = `${NAME_START}.0-9\\xb7\\u0300-\\u036f\\u203f\\u2040-`
const LOCAL = `[${NAME_START}][${NAME_REST}]*`

/** A name with at most one prefix, at a position. */
export const NAME_AT = new RegExp(`${LOCAL}(?::${LOCAL})?(?![:${NAME_REST}])`, 'uy')

const NAME = new RegExp(`^${LOCAL}(?::${LOCAL})?$`, 'u')

const FORBIDDEN = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

/** Whether this can be the name of an element or an attribute, with a prefix or without. */
export function isXmlName(text: string): boolean {
  return NAME.test(text)
}

/** Where the first character stands that XML does not allow anywhere, or -1. */
export function findForbidden(text: string): number {
  return text.search(FORBIDDEN)
}

/** Whether a number names a character that XML allows. */
export function isCharacter(code: number): boolean {
  return code <= 0x10ffff && !FORBIDDEN.test(String.fromCodePoint(code))
}

/** A character that can't be shown as the people who look it up know it: `U+0001`. */
export function codePoint(text: string): string {
  return `U+${(text.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** Whether a text is blanks, tabs and line ends only, or empty. */
export function isBlank(text: string): boolean {
  return /^[ \t\n\r]*$/.test(text)
}

/** An element of an XML document, as it was read. */
export interface XmlElement {
  kind: 'element'
  /** With its prefix. */
  name: string
  /** In the order of the document, with those that declare prefixes. */
  attributes: XmlAttribute[]
  children: XmlNode[]
  /** Where its start tag begins; absent in what was made. */
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
  /** The comments before and behind the root. */
  before: readonly string[]
  after: readonly string[]
  /** Where instructions to programs (`<?…?>`) stand; they are not kept. */
  instructions: readonly number[]
}

/** The elements in an element, if there is one; those of one name if one is given. */
export function childElements(parent: XmlElement | undefined, name?: string): XmlElement[] {
  const elements = parent?.children.filter(it => it.kind === 'element') ?? []
  return elements.filter(it => name === undefined || it.name === name)
}

/** The first element on a path of names, from an element down. */
export function find(from: XmlElement, ...names: readonly string[]): XmlElement | undefined {
  let at: XmlElement | undefined = from
  for (const name of names) at = childElements(at, name)[0]
  return at
}

/** The elements at the end of a path of names, from an element down. */
export function findAll(from: XmlElement, ...names: readonly string[]): XmlElement[] {
  return names.reduce<XmlElement[]>(
    (all, name) => all.flatMap(it => childElements(it, name)),
    [from]
  )
}

/** All elements inside an element in the order of the document, each with its path: `devices/disk`. */
export function elementsBelow(
  from: XmlElement,
  path: readonly string[] = []
): { element: XmlElement; path: string }[] {
  return childElements(from).flatMap(element => {
    const own = [...path, element.name]
    return [{ element, path: own.join('/') }, ...elementsBelow(element, own)]
  })
}

/** The value of an attribute; undefined where the element, if there is one, has none of this name. */
export function attributeOf(element: XmlElement | undefined, name: string): string | undefined {
  return element?.attributes.find(it => it.name === name)?.value
}

/** All text in an element, that of elements inside left out. */
export function textContent(element: XmlElement): string {
  return element.children.map(it => (it.kind === 'text' ? it.text : '')).join('')
}

/** A new element; strings among the children become text. */
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

/** What an element holds, its comments and layout left out. */
type Content =
  | { kind: 'empty' }
  | { kind: 'text'; text: string }
  | { kind: 'elements'; elements: readonly XmlElement[] }
  /** Elements with text between them. */
  | { kind: 'mixed' }

/** Where an element stands: the name of its parent, and whether `<metadata>` is around it. */
export interface Surroundings {
  parent: string
  isOpaque: boolean
}

/**
 * What an element holds. Blank text is layout beside elements, and where it breaks a line in an
 * element that is not known to hold a text. In `<metadata>`, which libvirt keeps for others, it is
 * layout beside elements only.
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

/** The surroundings of what stands in an element. */
export function inside(element: XmlElement, { isOpaque }: Surroundings): Surroundings {
  return { parent: element.name, isOpaque: isOpaque || element.name === 'metadata' }
}

export const ROOT: Surroundings = { parent: '', isOpaque: false }

/**
 * A text that is the same for domains that say the same to libvirt: without comments and layout,
 * attributes by their names, siblings of one name in their order, of different names by the names.
 * In `<metadata>`, and where text stands between elements, all siblings stay in their order.
 */
export function canonicalOf(element: XmlElement, surroundings: Surroundings = ROOT): string {
  const attributes = element.attributes
    .map(({ name, value }) => [name, value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const head = [JSON.stringify(element.name), JSON.stringify(attributes)]
  return `[${[...head, ...childrenOf(element, surroundings)].join(',')}]`
}

function childrenOf(element: XmlElement, surroundings: Surroundings): string[] {
  const content = contentOf(element, surroundings)
  const within = inside(element, surroundings)
  switch (content.kind) {
    case 'empty':
      return []
    case 'text':
      return [JSON.stringify(content.text)]
    case 'mixed':
      return withoutComments(element).map(it =>
        typeof it === 'string' ? JSON.stringify(it) : canonicalOf(it, within)
      )
    case 'elements': {
      const all = content.elements.map(it => ({ name: it.name, form: canonicalOf(it, within) }))
      if (!within.isOpaque) all.sort((a, b) => (a.name === b.name ? 0 : a.name < b.name ? -1 : 1))
      return all.map(it => it.form)
    }
  }
}

/** Texts and elements in their order; texts that only a comment parts are one. */
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
