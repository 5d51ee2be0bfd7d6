import type { Edit } from '../nix/index.ts'
import { sha256, type TargetFile } from '../storage/read.ts'
import type { FileChange } from '../storage/work.ts'
import { trace } from '../trace.ts'

/**
 * The planned files as changes for `commit`, in the same order. By default, new files get the owner and mode of the
 * configuration.
 */
export function toChanges(files: readonly PlannedFile[], configuration: TargetFile): FileChange[] {
  const owner = ownerFor(configuration)
  return files.map(({ path, before, after, ownershipFrom = owner, emptied }) => ({
    realpath: path,
    before: before === undefined ? null : { sha256: sha256(Buffer.from(before)) },
    after: after === undefined ? null : Buffer.from(after),
    ownershipFrom,
    ...(emptied === undefined ? {} : { emptied: [emptied] })
  }))
}

/**
 * The configuration's owner and mode, as far as this process may set them: only root can set the user, and other users
 * can set only a group that they belong to.
 */
function ownerFor({ uid, gid, mode }: TargetFile): { uid: number; gid: number; mode: number } {
  const user = process.geteuid?.() ?? uid
  if (user === 0) return { uid, gid, mode }
  const isMember = gid === process.getegid?.() || (process.getgroups?.() ?? []).includes(gid)
  return { uid: user, gid: isMember ? gid : (process.getegid?.() ?? gid), mode }
}

/** Traces the files of a plan and, for the configuration at `path`, the place and size of each edit. */
export function tracePlan(
  files: readonly PlannedFile[],
  { path, edits }: { path: string; edits: readonly Edit[] }
): void {
  for (const file of files) {
    const kind =
      file.after === undefined ? 'delete' : file.before === undefined ? 'create' : 'change'
    trace(`plan: ${kind} ${file.path}`)
    if (file.path !== path) continue
    for (const { offset, length, content } of edits) {
      trace(`plan: at offset ${offset}: ${length} characters become ${content.length}`)
    }
  }
}

export interface PlannedFile {
  path: string
  /** Undefined for a new file. */
  before: string | undefined
  /** Undefined for a file that is deleted. */
  after: string | undefined
  /** The file whose owner and mode a new file gets; by default the configuration. */
  ownershipFrom?: string
  /** A folder that is deleted with the file if it is then empty. */
  emptied?: string
}
