import { sha256, type TargetFile } from '../storage/read.ts'
import type { FileChange } from '../storage/work.ts'

/** The planned files as changes for `commit`, in their order; new files belong to whom the configuration does. */
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

/** The configuration's owner as far as we may give files away: only root may, but to groups of ours. */
function ownerFor({ uid, gid, mode }: TargetFile): { uid: number; gid: number; mode: number } {
  const own = process.geteuid?.() ?? uid
  if (own === 0) return { uid, gid, mode }
  const mayGive = gid === process.getegid?.() || (process.getgroups?.() ?? []).includes(gid)
  return { uid: own, gid: mayGive ? gid : (process.getegid?.() ?? gid), mode }
}

export interface PlannedFile {
  path: string
  /** Undefined for a new file. */
  before: string | undefined
  /** Undefined for a file that goes. */
  after: string | undefined
  /** The file whose owner and mode a new one takes; those of the configuration unless given. */
  ownershipFrom?: string
  /** A folder that goes with it, if nothing is left in it. */
  emptied?: string
}
