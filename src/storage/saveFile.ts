import { realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ok, type Result } from '../nix/result.ts'
import { knownPeople } from './access.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { type Ownership, readFacts } from './read.ts'
import { attempt, problemIn, reading, writing } from './system.ts'
import { removeFile, renameBeside, temporaryName, writeNewFile } from './tempFiles.ts'

/** A file that is made or replaced, which is no part of the configuration. */
interface SaveTarget {
  /** The folder is without links; the file itself is no link. */
  path: string
  /** What it belongs to now; null where it does not exist. */
  before: (Ownership & { dev: number; ino: number }) | null
}

/**
 * Where the absolute `path` leads, if a file can be made or replaced there. Links to the folder are
 * followed; a link with the name of the file is not.
 * Problems: NOT_FOUND (the folder is missing), NOT_DIRECTORY, IS_DIRECTORY, NOT_REGULAR (a link,
 * too), NOT_READABLE, IO_ERROR.
 */
export function locateSaved(path: string): Result<SaveTarget, FileProblem> {
  const folder = attempt(() => realpathSync(dirname(path)), reading(dirname(path)))
  if (!folder.ok) return folder
  const target = join(folder.value, basename(path))
  const facts = readFacts(target)
  return facts.ok ? ok({ path: target, before: facts.value }) : facts
}

/**
 * Makes or replaces the file with these bytes, as the files of a run are: a new file beside it, whole
 * and on the disk, takes its place, so that on a problem the old one is as it was. Nobody can read it
 * who can't read a file with the owner and mode `source`, which the bytes come from. Within that it
 * keeps its mode and, as root, its owner. A new one gets what `ownerOfSaved` says. Problems: those of
 * writing.
 */
export function saveFile(
  { path, before }: SaveTarget,
  bytes: Uint8Array,
  source: Ownership
): FileProblem | null {
  const fresh = ownerOfSaved(dirname(path))
  if (!fresh.ok) return fresh.error
  // Only root can give a file away.
  const isRoot = process.geteuid?.() === 0
  const wanted =
    before === null ? fresh.value : isRoot ? before : { ...fresh.value, mode: before.mode }
  const temp = temporaryName(path)
  const problem =
    writeNewFile(temp, bytes, narrowed(wanted, source), { about: path }) ??
    problemIn(() => renameBeside(temp, path), writing(path, bytes.length))
  if (problem === null) return syncFolder(dirname(path))
  removeFile(temp)
  return problem
}

/**
 * To whom a new file in this folder belongs: to the caller or, for root in a folder of whoever called
 * sudo, to the owner of the folder. The mode is 0666 without what the umask takes.
 */
export function ownerOfSaved(folder: string): Result<Ownership, FileProblem> {
  const looked = attempt(() => statSync(folder), reading(folder))
  if (!looked.ok) return looked
  const [self, group] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
  const isLent = self === 0 && knownPeople().trusted.has(looked.value.uid)
  const { uid, gid } = isLent ? looked.value : { uid: self, gid: group }
  return ok({ mode: 0o666 & ~process.umask(), uid, gid })
}

/** An owner and a mode with which nobody can read who can't read the source. */
function narrowed({ mode, uid, gid }: Ownership, source: Ownership): Ownership {
  const others = source.mode & 0o007
  // Who is in another group is one of the others.
  const group = gid === source.gid ? source.mode & 0o070 : others << 3
  const isReadable = uid === source.uid || uid === 0 || (others & 0o004) !== 0
  const most = 0o600 | group | others
  return { mode: mode & most & 0o666, uid: isReadable ? uid : source.uid, gid }
}
