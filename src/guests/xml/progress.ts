// How far a text was checked, and how a fault in it is placed.

import type { Fault } from '../problem.ts'
import type { FaultText } from './messages.ts'
import type { Scope } from './namespaces.ts'

/** An element and the offset of its start tag. */
export interface StartTag {
  name: string
  start: number
}

/** How far a text was checked, and what was found in it. */
export interface Progress {
  readonly text: string
  /** The offset that is checked next. */
  at: number
  /** The elements whose end tags were not reached yet, outermost first. */
  readonly open: (StartTag & { scope: Scope })[]
  root: StartTag | undefined
  /** The offsets of the processing instructions (`<?…?>`). */
  readonly instructions: number[]
}

/** A fault with its range in the text, by default one character. */
export function faultAt(fault: FaultText, start: number, end = start + 1): Fault {
  return { ...fault, range: { start, end } }
}

/** A fault that was found in a part of the text, where `by` is the offset of that part. */
export function shifted(fault: Fault, by: number): Fault {
  const { start, end } = fault.range ?? { start: 0, end: 0 }
  return { ...fault, range: { start: start + by, end: end + by } }
}
