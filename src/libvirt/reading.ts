import type { Fault } from './problem.ts'
import type { Scope } from './scope.ts'
import type { XmlElement, XmlNode } from './tree.ts'

/** An element whose end was not read yet. */
export interface Open {
  element: XmlElement & { children: XmlNode[]; start: number }
  scope: Scope
}

/** How far a text was read, and what was found in it. */
export interface Reading {
  text: string
  at: number
  open: Open[]
  root: XmlElement | undefined
  before: string[]
  after: string[]
  instructions: number[]
}

/** What is wrong with a text that is to be XML; the range is one character where no end is given. */
export function notXml(message: string, start: number, end = start + 1, hint?: string): Fault {
  return {
    code: 'NOT_XML',
    message,
    range: { start, end },
    ...(hint === undefined ? {} : { hint })
  }
}

/** A fault that was found in a part of the text, which begins at `by`. */
export function shifted(fault: Fault, by: number): Fault {
  const { start, end } = fault.range ?? { start: 0, end: 0 }
  return { ...fault, range: { start: start + by, end: end + by } }
}
