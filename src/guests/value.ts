// A domain as data in Nix. Each set is an element. In a set,
// - a string is an attribute, or a child that contains only text, if the tables list its name
// - a set is a child, and a list is several children with the same name
// - `_attrs` has attributes whose names clash with children
// - `_text` is the text of the element
// - `_children` lists children whose order matters

import { groupBy } from '../collections.ts'
import type { Range } from '../nix/index.ts'
import { childrenInOrder, isListChild, isTextChild } from './tables.ts'
import {
  childElements,
  childSurroundings,
  contentOf,
  ROOT_SURROUNDINGS,
  type Surroundings,
  withoutComments,
  type XmlElement
} from './xml/tree.ts'

export type DomainValue = TextValue | SetValue | ListValue | OtherValue

interface TextValue {
  kind: 'text'
  text: string
  range?: Range
}

export interface SetValue {
  kind: 'set'
  entries: readonly Entry[]
  /** Comments after the last entry. */
  comments?: readonly string[]
  range?: Range
}

export interface Entry {
  name: string
  value: DomainValue
  /** Comments before the entry. */
  comments?: readonly string[]
  range?: Range
}

interface ListValue {
  kind: 'list'
  items: readonly Item[]
  range?: Range
}

export interface Item {
  value: DomainValue
  comments?: readonly string[]
}

/** A value from Nix that can't be written as XML, or is not a literal. */
interface OtherValue {
  kind: 'null' | 'boolean' | 'float' | 'computed'
  range: Range
}

export const ATTRIBUTES = '_attrs'
export const TEXT = '_text'
export const CHILDREN = '_children'

/** Whether a name is `_attrs`, `_text`, `_children`, or reserved for later: never an attribute or child. */
export function isReserved(name: string): boolean {
  return name.startsWith('_')
}

/** Converts an element. A comment belongs to the child after it. */
export function toValue(
  element: XmlElement,
  surroundings: Surroundings = ROOT_SURROUNDINGS
): SetValue {
  const entries = [...attributeEntries(element), ...contentEntries(element, surroundings)]
  return { kind: 'set', entries, ...commentsField(lastComments(element)) }
}

function contentEntries(element: XmlElement, surroundings: Surroundings): Entry[] {
  const content = contentOf(element, surroundings)
  const inner = childSurroundings(element, surroundings)
  if (content.kind === 'empty') return []
  if (content.kind === 'text') return [{ name: TEXT, value: textValue(content.text) }]
  return content.kind === 'elements' && isGroupable(element, inner.isOpaque)
    ? groupedChildren(element, inner)
    : [orderedChildren(element, inner, content.kind === 'mixed')]
}

function commentsField(comments: readonly string[] = []): { comments?: readonly string[] } {
  return comments.length > 0 ? { comments } : {}
}

function textValue(text: string): DomainValue {
  return { kind: 'text', text }
}

/** Attributes by name. An attribute is in `_attrs` if its name is reserved or is also that of a child. */
function attributeEntries(element: XmlElement): Entry[] {
  const children = new Set(childElements(element).map(it => it.name))
  const entries = element.attributes.map(({ name, value }) => ({ name, value: textValue(value) }))
  const hasClash = ({ name }: Entry) =>
    children.has(name) || isTextChild(element.name, name) || isReserved(name)
  const clashing = entries.filter(hasClash)
  const plain = entries.filter(it => !hasClash(it))
  return clashing.length === 0
    ? plain
    : [...plain, { name: ATTRIBUTES, value: { kind: 'set', entries: clashing } }]
}

/**
 * Whether the children can be bindings: no name is reserved, and, if `isOrdered`, they already are in the
 * order of rendering.
 */
function isGroupable(element: XmlElement, isOrdered: boolean): boolean {
  const names = childElements(element).map(it => it.name)
  if (names.some(isReserved)) return false
  if (!isOrdered) return true
  const grouped = childrenInOrder(element.name, [...new Set(names)])
  const ranks = names.map(it => grouped.indexOf(it))
  return ranks.every((rank, i) => i === 0 || rank >= (ranks[i - 1] ?? 0))
}

function groupedChildren(element: XmlElement, inner: Surroundings): Entry[] {
  const groups = groupBy(withComments(element), it => it.child.name)
  return [...groups].map(([name, all]) => {
    const items = all.map(({ child, comments }) => {
      return { value: toValue(child, inner), ...commentsField(comments) }
    })
    const [only] = items
    if (only && items.length === 1 && !isListChild(element.name, name)) {
      const value = isTextChild(element.name, name) ? unwrapText(only.value) : only.value
      return { ...only, name, value }
    }
    const shortened = items.map(it => ({ ...it, value: unwrapText(it.value) }))
    return { name, value: { kind: 'list', items: shortened } }
  })
}

/** Reduces a set with only `_text` to its text. */
function unwrapText(value: DomainValue): DomainValue {
  if (value.kind !== 'set' || value.comments) return value
  const [only] = value.entries
  return only && value.entries.length === 1 && only.name === TEXT ? only.value : value
}

function orderedChildren(element: XmlElement, inner: Surroundings, isMixed: boolean): Entry {
  const comments = new Map(withComments(element).map(it => [it.child, it.comments]))
  const parts = isMixed ? withoutComments(element) : childElements(element)
  const items = parts.map((part): Item => {
    if (typeof part === 'string') return { value: textValue(part) }
    const entry = { name: part.name, value: toValue(part, inner) }
    return { value: { kind: 'set', entries: [entry] }, ...commentsField(comments.get(part)) }
  })
  return { name: CHILDREN, value: { kind: 'list', items } }
}

/** The child elements, each with the comments directly before it. */
function withComments(element: XmlElement): { child: XmlElement; comments: string[] }[] {
  const all: { child: XmlElement; comments: string[] }[] = []
  let comments: string[] = []
  for (const node of element.children) {
    if (node.kind === 'comment') comments.push(node.text)
    if (node.kind !== 'element') continue
    all.push({ child: node, comments })
    comments = []
  }
  return all
}

/** The comments after the last child element; all comments if the element has no child elements. */
function lastComments(element: XmlElement): string[] {
  const last = element.children.findLastIndex(it => it.kind === 'element')
  return element.children.slice(last + 1).flatMap(it => (it.kind === 'comment' ? [it.text] : []))
}
