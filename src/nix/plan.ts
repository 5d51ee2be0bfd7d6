import type { Note } from './notes.ts'
import { diffTexts } from './text/diff.ts'
import { applyEdits, type Edit, invertEdits } from './text/edits.ts'

/** What a plan consists of: plain data, which can be written as JSON and read again with `planFrom`. */
export interface PlanData {
  /** The changes to the document's text, for `applyEdits`; empty if there is nothing to do. */
  edits: readonly Edit[]
  /** The edits that turn `text` back into the document's text. */
  inverse: readonly Edit[]
  /** The text after the edits. */
  text: string
  /** Whether the list of edits is not empty. */
  changed: boolean
  /** What the plan does besides what was asked, and what it leaves out, in the order of the edits. */
  notes: readonly Note[]
}

/** A verified change from one text to another. Plain data: nothing is written. */
export interface Plan extends PlanData {
  /** The change as a unified diff; empty if nothing changed. `file` names it in the header. */
  diff(options?: { file?: string; context?: number }): string
}

/** The plan of edits that turn a text into another. */
export function makePlan(
  before: string,
  after: string,
  edits: readonly Edit[],
  notes: readonly Note[]
): Plan {
  const inverse = invertEdits(before, edits)
  return withDiff(before, { edits, inverse, text: after, changed: edits.length > 0, notes })
}

/**
 * The plan with this data, which may come from JSON. Throws a TypeError if it is not the data of a plan: its
 * edits must lead from one text to the other, and back.
 *
 * The text of the document is `applyEdits(plan.text, plan.inverse)`. A file that has another text by now must not
 * be edited with the plan.
 */
export function planFrom(data: PlanData): Plan {
  const before = textBefore(data)
  if (before === undefined) throw new TypeError('this is not the data of a plan')
  const { edits, inverse, text, notes } = data
  return withDiff(before, { edits, inverse, text, changed: edits.length > 0, notes })
}

/** The text that a plan edits; undefined if the data is not that of a plan. */
function textBefore(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  const { text, edits, inverse, notes } = data as Partial<Record<keyof PlanData, unknown>>
  const isPlan = typeof text === 'string' && areEdits(edits) && areEdits(inverse)
  if (!isPlan || !Array.isArray(notes)) return undefined
  try {
    const before = applyEdits(text, inverse)
    return applyEdits(before, edits) === text ? before : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function areEdits(edits: unknown): edits is readonly Edit[] {
  const isEdit = (it: unknown) =>
    typeof it === 'object' &&
    it !== null &&
    Number.isInteger((it as Edit).offset) &&
    Number.isInteger((it as Edit).length) &&
    typeof (it as Edit).content === 'string'
  return Array.isArray(edits) && edits.every(isEdit)
}

/** Adds `diff`. It is not enumerable, so that a plan can also be cloned, for example for a worker. */
function withDiff(before: string, data: PlanData): Plan {
  const diff: Plan['diff'] = options => diffTexts(before, data.text, options)
  return Object.defineProperty(data, 'diff', { value: diff }) as Plan
}
