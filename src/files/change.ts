import type { Ownership } from './snapshot.ts'

/** What is to become of one file. */
export interface FileChange {
  /** The file itself: absolute, with no link in it (`readTarget` and `locateTarget` give it). */
  realpath: string
  /** What the plan was made for; null when the file must not exist. */
  before: { sha256: string } | null
  /** The whole new content; null when the file goes. */
  after: Uint8Array | null
  /**
   * Whose owner and mode a new file takes: those of an existing file, or these. Without it, its
   * folder's owner and 0644. A file that exists keeps its own.
   */
  like?: string | Ownership
  /** Folders that go after all that, if nothing is left in them. */
  emptied?: string[]
}
