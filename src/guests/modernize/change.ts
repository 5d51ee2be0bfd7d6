import type { XmlElement, XmlNode } from '../xml/tree.ts'

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
  /** What stood there, and what stands there now; null where there was or is nothing. */
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

/** An element that may be changed. */
export interface Draft {
  kind: 'element'
  name: string
  attributes: { name: string; value: string }[]
  children: (Draft | Exclude<XmlNode, XmlElement>)[]
  start?: number
}

/** A copy of an element that can be changed. */
export function draftOf(root: XmlElement): Draft {
  return structuredClone(root) as Draft
}

/** Sets an attribute, a new one behind the others; undefined takes it away. */
export function setAttribute(element: Draft, name: string, value: string | undefined): void {
  const found = element.attributes.find(it => it.name === name)
  if (value === undefined) element.attributes = element.attributes.filter(it => it !== found)
  else if (found) found.value = value
  else element.attributes.push({ name, value })
}

/** Puts this text in the place of what an element holds; comments in it stay. */
export function setText(element: Draft, text: string): void {
  const comments = element.children.filter(it => it.kind === 'comment')
  element.children = text === '' ? comments : [...comments, { kind: 'text', text }]
}

/** The children of this name. */
export function draftsIn(parent: Draft | undefined, name: string): Draft[] {
  return (parent?.children ?? []).filter(
    (it): it is Draft => it.kind === 'element' && it.name === name
  )
}

/** Takes a child out; one that is not there is no error. */
export function removeChild(parent: Draft, child: Draft): void {
  parent.children = parent.children.filter(it => it !== child)
}

/** Puts a child behind the last one of its name, else behind the last one of `after`, else last. */
export function addChild(parent: Draft, child: XmlElement, after?: string): void {
  const behind = draftsIn(parent, child.name).at(-1) ?? draftsIn(parent, after ?? '').at(-1)
  const at = behind ? parent.children.indexOf(behind) + 1 : parent.children.length
  parent.children.splice(at, 0, draftOf(child))
}
