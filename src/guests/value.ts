// A domain as data in Nix. A set stands for an element: a string in it is an attribute, or a child
// that holds a text where the table says so; a set is a child, a list several of one name. `_attrs`
// holds attributes that could be taken for children, `_text` the text, `_children` the children in
// their order where that counts.

import { groupBy } from '../collections.ts'
import type { Range } from '../nix/index.ts'
import { childrenInOrder, isListChild, isTextChild } from './tables.ts'
import {
  childElements,
  contentOf,
  inside,
  ROOT,
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
  /** Comments behind the last entry. */
  comments?: readonly string[]
  range?: Range
}

export interface Entry {
  name: string
  value: DomainValue
  /** Comments that belong to it. */
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

/** What can't stand in XML, or has to be computed: only in what was read from Nix. */
interface OtherValue {
  kind: 'null' | 'boolean' | 'float' | 'computed'
  range: Range
}

export const ATTRIBUTES = '_attrs'
export const TEXT = '_text'
export const CHILDREN = '_children'

/** Whether a name is one of ours, or may become one; no attribute or child is found under it. */
export function isReserved(name: string): boolean {
  return name.startsWith('_')
}

/** The data in Nix that an element is. Comments belong to what follows them. */
export function toValue(element: XmlElement, surroundings: Surroundings = ROOT): SetValue {
  const entries = [...attributeEntries(element), ...contentEntries(element, surroundings)]
  return { kind: 'set', entries, ...commented(lastComments(element)) }
}

function contentEntries(element: XmlElement, surroundings: Surroundings): Entry[] {
  const content = contentOf(element, surroundings)
  const within = inside(element, surroundings)
  if (content.kind === 'empty') return []
  if (content.kind === 'text') return [{ name: TEXT, value: textValue(content.text) }]
  return content.kind === 'elements' && isGroupable(element, within.isOpaque)
    ? groupedChildren(element, within)
    : [orderedChildren(element, within, content.kind === 'mixed')]
}

function commented(comments: readonly string[] = []): { comments?: readonly string[] } {
  return comments.length > 0 ? { comments } : {}
}

function textValue(it: string): DomainValue {
  return { kind: 'text', text: it }
}

/** Attributes under their names, or in `_attrs` where a child would be looked for under them. */
function attributeEntries(element: XmlElement): Entry[] {
  const children = new Set(childElements(element).map(it => it.name))
  const entries = element.attributes.map(({ name, value }) => ({ name, value: textValue(value) }))
  const isHidden = ({ name }: Entry) =>
    children.has(name) || isTextChild(element.name, name) || isReserved(name)
  const hidden = entries.filter(isHidden)
  const plain = entries.filter(it => !isHidden(it))
  return hidden.length === 0
    ? plain
    : [...plain, { name: ATTRIBUTES, value: { kind: 'set', entries: hidden } }]
}

/**
 * Whether children can be told by their names alone: none is called like one of our own names, and
 * where the order counts it is the one in which they will be written.
 */
function isGroupable(element: XmlElement, isOrdered: boolean): boolean {
  const names = childElements(element).map(it => it.name)
  if (names.some(isReserved)) return false
  if (!isOrdered) return true
  const grouped = childrenInOrder(element.name, [...new Set(names)])
  const ranks = names.map(it => grouped.indexOf(it))
  return ranks.every((rank, i) => i === 0 || rank >= (ranks[i - 1] ?? 0))
}

function groupedChildren(element: XmlElement, within: Surroundings): Entry[] {
  const groups = groupBy(withComments(element), it => it.child.name)
  return [...groups].map(([name, all]) => {
    const items = all.map(({ child, comments }) => {
      return { value: toValue(child, within), ...commented(comments) }
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

/** A text alone instead of a set that holds nothing but it. */
function unwrapText(value: DomainValue): DomainValue {
  if (value.kind !== 'set' || value.comments) return value
  const [only] = value.entries
  return only && value.entries.length === 1 && only.name === TEXT ? only.value : value
}

function orderedChildren(element: XmlElement, within: Surroundings, isMixed: boolean): Entry {
  const comments = new Map(withComments(element).map(it => [it.child, it.comments]))
  const parts = isMixed ? withoutComments(element) : childElements(element)
  const items = parts.map((part): Item => {
    if (typeof part === 'string') return { value: textValue(part) }
    const entry = { name: part.name, value: toValue(part, within) }
    return { value: { kind: 'set', entries: [entry] }, ...commented(comments.get(part)) }
  })
  return { name: CHILDREN, value: { kind: 'list', items } }
}

/** The elements in an element, each with the comments between it and the one before. */
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

/** The comments behind the last element, or all where there is none. */
function lastComments(element: XmlElement): string[] {
  const last = element.children.findLastIndex(it => it.kind === 'element')
  return element.children.slice(last + 1).flatMap(it => (it.kind === 'comment' ? [it.text] : []))
}
