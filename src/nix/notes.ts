import type { Place } from './text/lines.ts'

/**
 * What a note is about. Each code has one meaning:
 *
 * - `COMMENT_DROPPED` the comment of an `annotated` value is not written, because code follows on its line
 * - `FORMAL_ADDED` an input of a flake was added to the formals of its `outputs` as well
 * - `FORMAL_REMOVED` an input of a flake was removed from the formals of its `outputs` as well
 * - `COMPUTED` an item to remove is part of a value whose items can't be read, such as an argument or a variable
 * - `IN_STRING` a string contains an item to remove among other text
 * - `OTHER_NAME` a name may stand for an item to remove, but a `let`, a function or another `with` may define it
 */
export type NoteCode =
  | 'COMMENT_DROPPED'
  | 'FORMAL_ADDED'
  | 'FORMAL_REMOVED'
  | 'COMPUTED'
  | 'IN_STRING'
  | 'OTHER_NAME'

/** Something that a plan does besides what was asked, or that it leaves out. */
export interface Note {
  code: NoteCode
  /** The place in the text before the edits. */
  at: Place
  /** One sentence without a period. */
  message: string
}
