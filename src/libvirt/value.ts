// A domain as data in Nix. A set stands for an element: a string in it is an attribute, or a child
// that holds a text where the table says so; a set is a child, a list several of one name. `_attrs`
// holds attributes that could be taken for children, `_text` the text, `_children` the children in
// their order where that counts.

import type { Range } from './problem.ts'

export type DomainValue = TextValue | SetValue | ListValue | OtherValue

export interface TextValue {
  kind: 'text'
  text: string
  range?: Range
}

export interface SetValue {
  kind: 'set'
  entries: readonly Entry[]
  /** Comments behind the last entry. */
  remarks?: readonly string[]
  range?: Range
}

export interface Entry {
  name: string
  value: DomainValue
  /** Comments that belong to it. */
  remarks?: readonly string[]
  range?: Range
}

export interface ListValue {
  kind: 'list'
  items: readonly Item[]
  range?: Range
}

export interface Item {
  value: DomainValue
  remarks?: readonly string[]
}

/** What can't stand in XML, or has to be computed: only in what was read from Nix. */
export interface OtherValue {
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
