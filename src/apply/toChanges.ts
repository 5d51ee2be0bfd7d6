import type { FileChange } from '../files/change.ts'
import { sha256 } from '../files/hash.ts'
import type { TargetFile } from '../files/target.ts'
import type { PlannedFile } from './planApply.ts'

/** The planned files as changes for `commit`, in their order; new files belong to whom the configuration does. */
export function toChanges(files: readonly PlannedFile[], configuration: TargetFile): FileChange[] {
  const { uid, gid, mode } = configuration
  return files.map(({ path, before, after }) => ({
    realpath: path,
    before: before === undefined ? null : { sha256: sha256(Buffer.from(before)) },
    after: Buffer.from(after),
    like: { uid, gid, mode }
  }))
}
