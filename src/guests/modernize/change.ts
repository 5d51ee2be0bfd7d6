import { childElements, type XmlElement } from '../xml/tree.ts'

/** A change to a domain. */
export interface Change {
  code:
    | 'EMULATOR'
    | 'FIRMWARE'
    | 'PROGRAM'
    | 'MACHINE'
    | 'EVDEV'
    | 'SHMEM'
    | 'MANAGED'
    | 'UUID'
    | 'MAC'
  /** The element names below the domain: `devices/emulator`. */
  path: string
  /** The text in the domain. `before` is null for an addition, and `after` for a removal. */
  before: string | null
  after: string | null
  /** Why, and what to watch for; a sentence without a period. */
  why: string
  /** The offset of the element in the file; undefined if it is new. */
  start?: number | undefined
}

/** A part of a domain that was not changed, but that the user should check. */
export interface Warning {
  code: 'STORE_PATH' | 'FIRMWARE' | 'ARGUMENT' | 'RUNNING' | 'PASSWORD' | 'UUID'
  /** As in `Change`. */
  path: string
  /** A sentence without a period. */
  what: string
  start?: number | undefined
}

/** The changes and warnings that the steps of `modernize` have collected. */
export interface Modernized {
  changes: Change[]
  warnings: Warning[]
}

/** Sets an attribute; a new one is appended. `undefined` removes it. */
export function setAttribute(element: XmlElement, name: string, value: string | undefined): void {
  const found = element.attributes.find(it => it.name === name)
  if (value === undefined) element.attributes = element.attributes.filter(it => it !== found)
  else if (found) found.value = value
  else element.attributes.push({ name, value })
}

/** Replaces the content of an element with this text, but keeps its comments. */
export function setText(element: XmlElement, text: string): void {
  const comments = element.children.filter(it => it.kind === 'comment')
  element.children = text === '' ? comments : [...comments, { kind: 'text', text }]
}

/** Removes a child if the element has it. */
export function removeChild(parent: XmlElement, child: XmlElement): void {
  parent.children = parent.children.filter(it => it !== child)
}

/** Adds a child after the last child of the same name, else after the last child named `after`, else at the end. */
export function addChild(parent: XmlElement, child: XmlElement, after?: string): void {
  const previous =
    childElements(parent, child.name).at(-1) ?? childElements(parent, after ?? '').at(-1)
  const at = previous ? parent.children.indexOf(previous) + 1 : parent.children.length
  parent.children.splice(at, 0, child)
}
