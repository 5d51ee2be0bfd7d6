/**
 * Why a file can't be read, written or restored: a code and facts, never a sentence.
 *
 * `path` is the affected file or folder, `errno` the error name (`EACCES`, `EIO`, …), `syscall` the
 * failed call. Sizes are in bytes. `uid`, `gid` and `mode` are as in `stat`, the mode without file type.
 */
export type FileProblem =
  /** The file doesn't exist. `hops` is the chain of symlinks to it, or just `path`. */
  | { code: 'NOT_FOUND'; path: string; hops: string[] }
  | { code: 'IS_DIRECTORY'; path: string }
  /** A parent of the file, `path`, isn't a folder. */
  | { code: 'NOT_DIRECTORY'; path: string }
  /** A device, a socket, a pipe, or a symlink where a regular file is required. */
  | { code: 'NOT_REGULAR'; path: string }
  | { code: 'NOT_READABLE'; path: string; errno: string }
  /** The file has `size` bytes, more than the caller's `limit`. */
  | { code: 'TOO_BIG'; path: string; size: number; limit: number }
  /** `path` is the file, or its folder if the folder can't be written to. */
  | { code: 'NOT_WRITABLE'; path: string; errno: string }
  | { code: 'READ_ONLY_FS'; path: string }
  /** The file is in the Nix store. `hops` are the given path and the path after each symlink. */
  | { code: 'STORE_LINK'; path: string; hops: string[] }
  | { code: 'LINK_LOOP'; path: string; hops: string[] }
  | { code: 'OUTSIDE_ROOT'; path: string; root: string }
  /** `chattr +i` or `+a` on the file or folder at `path`. */
  | { code: 'IMMUTABLE'; path: string; mark: 'i' | 'a' }
  /** The file is a mount point. `source` is another path of it that isn't a mount point; null if unknown. */
  | { code: 'MOUNT_POINT'; path: string; source: string | null }
  | { code: 'HARD_LINKS'; path: string; count: number }
  /** Someone other than root, the current user and the sudo caller can write to the folder. */
  | { code: 'OPEN_FOLDER'; path: string; uid: number; gid: number; mode: number }
  /** A folder for backups, or a symlink on its path, has another owner, or others may access the folder. */
  | { code: 'NOT_PRIVATE'; path: string; uid: number; mode: number }
  /** The file at `path` takes `needed` bytes. */
  | { code: 'NO_SPACE'; path: string; needed: number }
  | { code: 'IO_ERROR'; path: string; errno: string; syscall: string }
  /** The write succeeded, but reading the file back gave different bytes. */
  | { code: 'NOT_AS_WRITTEN'; path: string }
  | { code: 'BACKUP_FAILED'; path: string; cause: FileProblem }
  /** A file in a run's backup is missing or has another hash. */
  | { code: 'BACKUP_DAMAGED'; path: string; run: string }
  /** The file changed after planning. `found` is its current hash; null if it doesn't exist. */
  | { code: 'STALE'; path: string; found: string | null }
  | LockedProblem
  /** The file changed after the run. `found` is its current hash; null if it doesn't exist. */
  | { code: 'EDITED_SINCE'; path: string; run: string; found: string | null }
  | { code: 'NO_RUN'; path: string }
  /** This version can't read the record of a run at `path`, so it is unknown what the run changed. */
  | { code: 'RECORD_DAMAGED'; path: string; run: string }
  /**
   * An earlier run was interrupted and can't be finished or rolled back:
   * EDITED: `path` is neither as before that run nor as the run would have left it;
   * STUCK: `path` can't be restored, because of `cause` if known;
   * OTHERS: the run belongs to another user;
   * DAMAGED: the journal is damaged;
   * PENDING: `commit` found the journal, so `recover` has to be called first.
   * `journal` is the path of the journal; deleting it accepts the files as they are. `started` is null
   * if unknown.
   */
  | {
      code: 'INTERRUPTED'
      path: string
      why: 'EDITED' | 'STUCK' | 'OTHERS' | 'DAMAGED' | 'PENDING'
      journal: string
      started: string | null
      cause?: FileProblem
    }

/** Another run holds a lock. */
export interface LockedProblem {
  code: 'LOCKED'
  path: string
  /** The locked folder. */
  folder: string
  /** The process that holds the lock; 0 if unknown. */
  pid: number
  /** The process's command line; null if the process isn't vfio-patch or the line can't be read. */
  command: string | null
  /** When the lock was taken, in ISO 8601; null if unknown. */
  since: string | null
}
