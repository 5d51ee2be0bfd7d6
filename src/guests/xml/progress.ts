// The progress of a check, and the ranges of faults.

import type { Fault } from '../problem.ts'
import type { FaultText } from './messages.ts'
import type { Scope } from './namespaces.ts'

/** An element and the offset of its start tag. */
export interface StartTag {
  name: string
  start: number
}

/** How far a text was checked, and what the check found. */
export interface Progress {
  readonly text: string
  /** The offset that is checked next. */
  at: number
  /** The elements without an end tag so far, outermost first. */
  readonly open: (StartTag & { scope: Scope })[]
  root: StartTag | undefined
  /** The offsets of the processing instructions (`<?…?>`). */
  readonly instructions: number[]
}

/** A fault with its range in the text, by default one character. */
export function faultAt(fault: FaultText, start: number, end = start + 1): Fault {
  return { ...fault, range: { start, end } }
}

/** Converts the range of a fault in a part of the text, at offset `by`, to a range in the whole text. */
export function shiftFault(fault: Fault, by: number): Fault {
  const { start, end } = fault.range ?? { start: 0, end: 0 }
  return { ...fault, range: { start: start + by, end: end + by } }
}
