/** An element of an XML document, as it was read. */
export interface XmlElement {
  kind: 'element'
  /** With its prefix. */
  name: string
  /** In the order of the document, with those that declare prefixes. */
  attributes: readonly XmlAttribute[]
  children: readonly XmlNode[]
  /** Where its start tag begins; absent in what was made. */
  start?: number
}

export interface XmlAttribute {
  name: string
  value: string
}

export interface XmlText {
  kind: 'text'
  text: string
}

export interface XmlComment {
  kind: 'comment'
  text: string
}

export type XmlNode = XmlElement | XmlText | XmlComment

export interface XmlDocument {
  root: XmlElement
  /** The comments before and behind the root. */
  before: readonly string[]
  after: readonly string[]
  /** Where instructions to programs (`<?…?>`) stand; they are not kept. */
  instructions: readonly number[]
}

function isElement(node: XmlNode): node is XmlElement {
  return node.kind === 'element'
}

/** The elements in an element, those of one name if one is given. */
export function elementsOf(parent: XmlElement, name?: string): XmlElement[] {
  return parent.children.filter(isElement).filter(it => name === undefined || it.name === name)
}

/** The first element on a path of names, from an element down. */
export function find(from: XmlElement, ...names: readonly string[]): XmlElement | undefined {
  let at: XmlElement | undefined = from
  for (const name of names) at = at && elementsOf(at, name)[0]
  return at
}

/** The elements at the end of a path of names, from an element down. */
export function findAll(from: XmlElement, ...names: readonly string[]): XmlElement[] {
  return names.reduce<XmlElement[]>((all, name) => all.flatMap(it => elementsOf(it, name)), [from])
}

/** The value of an attribute; undefined where the element has none of this name. */
export function attributeOf(element: XmlElement, name: string): string | undefined {
  return element.attributes.find(it => it.name === name)?.value
}

/** All text in an element, that of elements inside left out. */
export function textOf(element: XmlElement): string {
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
