/**
 * What can keep a file from being read, written or taken back: a code and facts, never a sentence.
 *
 * `path` is the file or folder that the problem is about. `errno` is the name that the system gave
 * (`EACCES`, `EIO`, …), `syscall` the call that failed, sizes are bytes, `uid`, `gid` and `mode`
 * are as in `stat` (the mode without the file type).
 */
export type FileProblem =
  /**
   * Nothing is there. `hops` is the chain of links that ends in nothing: `path` alone where there
   * is no link.
   */
  | { code: 'NOT_FOUND'; path: string; hops: string[] }
  | { code: 'IS_DIRECTORY'; path: string }
  /** A parent of a file that was to be made is no folder; `path` is that parent. */
  | { code: 'NOT_DIRECTORY'; path: string }
  /** A device, a socket, a pipe, or a link where the real file was expected. */
  | { code: 'NOT_REGULAR'; path: string }
  | { code: 'NOT_READABLE'; path: string; errno: string }
  /** The file has more than the `most` bytes that the caller takes; `size` is what it has. */
  | { code: 'TOO_BIG'; path: string; size: number; most: number }
  /** `path` is the folder when it is the folder that can't be written to. */
  | { code: 'NOT_WRITABLE'; path: string; errno: string }
  | { code: 'READ_ONLY_FS'; path: string }
  /**
   * `hops` are the paths from the one that was named to the one in the store, each link followed.
   */
  | { code: 'STORE_LINK'; path: string; hops: string[] }
  | { code: 'LINK_LOOP'; path: string; hops: string[] }
  | { code: 'OUTSIDE_ROOT'; path: string; root: string }
  /** `chattr +i` or `+a`, on the file or on the folder that `path` names. */
  | { code: 'IMMUTABLE'; path: string; mark: 'i' | 'a' }
  /**
   * A single file is mounted there. `source` is another path of the same file that is no mount
   * point, where one is known.
   */
  | { code: 'MOUNT_POINT'; path: string; source: string | null }
  | { code: 'HARD_LINKS'; path: string; count: number }
  /**
   * The folder can be written to by someone who is neither root, nor the one who runs this, nor the
   * one who called sudo.
   */
  | { code: 'OPEN_FOLDER'; path: string; uid: number; gid: number; mode: number }
  /**
   * A folder of the backups that isn't the caller's alone: another owner, or rights for others.
   */
  | { code: 'NOT_PRIVATE'; path: string; uid: number; mode: number }
  /** `needed` is what the file at `path` takes. */
  | { code: 'NO_SPACE'; path: string; needed: number }
  | { code: 'IO_ERROR'; path: string; errno: string; syscall: string }
  /** The system took the bytes without an error, and reading gave others. */
  | { code: 'NOT_AS_WRITTEN'; path: string }
  | { code: 'BACKUP_FAILED'; path: string; cause: FileProblem }
  /** The copy that a run kept is missing or isn't what the run kept. */
  | { code: 'BACKUP_DAMAGED'; path: string; run: string }
  /**
   * The file isn't the one that was planned for. `found` is the hash of what is there now, null for
   * nothing.
   */
  | { code: 'STALE'; path: string; found: string | null }
  | LockedProblem
  /**
   * The file isn't what the run left. `found` is the hash of what is there now, null for nothing.
   */
  | { code: 'EDITED_SINCE'; path: string; run: string; found: string | null }
  | { code: 'NO_RUN'; path: string }
  /**
   * The record of a run at `path` is not one that this version can read, so nobody knows what that run
   * changed.
   */
  | { code: 'RECORD_DAMAGED'; path: string; run: string }
  /**
   * An earlier run was stopped in the middle and can't be finished or taken back: `path` is neither
   * what it was before that run nor what it was to be (EDITED), or can't be restored (STUCK); the
   * run is another user's (OTHERS); the journal is damaged; or it came up just now (PENDING), so
   * that `recover` has to be called first. `journal` is the file that says what was under way;
   * without it, everything counts as it is. `started` is when, where that is known, and `cause` what
   * kept it from being restored.
   */
  | {
      code: 'INTERRUPTED'
      path: string
      why: 'EDITED' | 'STUCK' | 'OTHERS' | 'DAMAGED' | 'PENDING'
      journal: string
      started: string | null
      cause?: FileProblem
    }

/** A lock that another run holds. */
export interface LockedProblem {
  code: 'LOCKED'
  path: string
  /** The folder that is locked. */
  folder: string
  /** The process that holds the lock; 0 where that can't be read. */
  pid: number
  /** How that process was called; null where it is no vfio-patch or can't be read. */
  command: string | null
  /** Since when it has the lock, in ISO 8601; null where that can't be read. */
  since: string | null
}
