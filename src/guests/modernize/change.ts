import { childElements, type XmlElement } from '../xml/tree.ts'

/** Something that was changed in a domain. */
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
  /** The element that it is about, by names from below the domain: `devices/emulator`. */
  path: string
  /** What was there, and what is there now; null for nothing. */
  before: string | null
  after: string | null
  /** Why, and what to look out for; a sentence without a period. */
  why: string
  /** Where the element begins in the file, as an offset; undefined where it is new. */
  start?: number | undefined
}

/** Something that a person should look at, and that was not changed. */
export interface Warning {
  code: 'STORE_PATH' | 'FIRMWARE' | 'ARGUMENT' | 'RUNNING' | 'PASSWORD' | 'UUID'
  path: string
  what: string
  start?: number | undefined
}

/** What the steps have changed, and what they have found, so far. */
export interface Modernized {
  changes: Change[]
  warnings: Warning[]
}

/** Sets an attribute, a new one after the others; undefined removes it. */
export function setAttribute(element: XmlElement, name: string, value: string | undefined): void {
  const found = element.attributes.find(it => it.name === name)
  if (value === undefined) element.attributes = element.attributes.filter(it => it !== found)
  else if (found) found.value = value
  else element.attributes.push({ name, value })
}

/** Replaces what an element holds by this text; comments in it stay. */
export function setText(element: XmlElement, text: string): void {
  const comments = element.children.filter(it => it.kind === 'comment')
  element.children = text === '' ? comments : [...comments, { kind: 'text', text }]
}

/** Removes a child, if it is there. */
export function removeChild(parent: XmlElement, child: XmlElement): void {
  parent.children = parent.children.filter(it => it !== child)
}

/** Adds a child after the last one of its name, else after the last one named `after`, else at the end. */
export function addChild(parent: XmlElement, child: XmlElement, after?: string): void {
  const behind =
    childElements(parent, child.name).at(-1) ?? childElements(parent, after ?? '').at(-1)
  const at = behind ? parent.children.indexOf(behind) + 1 : parent.children.length
  parent.children.splice(at, 0, child)
}
