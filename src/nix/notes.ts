import type { Place } from './text/lines.ts'

/**
 * What a note is about. Each code has one meaning:
 *
 * - `COMMENT_DROPPED` the comment of an `annotated` value is not written, because code follows on its line
 * - `FORMAL_ADDED` an input of a flake was added to the formals of its `outputs` as well
 * - `FORMAL_REMOVED` an input of a flake was removed from the formals of its `outputs` as well
 */
export type NoteCode = 'COMMENT_DROPPED' | 'FORMAL_ADDED' | 'FORMAL_REMOVED'

/** Something that a plan does besides what was asked, or that it leaves out. */
export interface Note {
  code: NoteCode
  /** The place in the text before the edits. */
  at: Place
  /** One sentence without a period. */
  message: string
}
