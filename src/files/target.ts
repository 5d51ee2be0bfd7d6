import { err, ok, type Result } from '../nix/result.ts'
import type { FileProblem } from './problem.ts'
import { resolveLinks } from './resolveLinks.ts'
import { type Ownership, readSnapshot } from './snapshot.ts'
import { isInStore } from './store.ts'

/** A file as it was read: what a plan is made for, and what `commit` compares with. */
export interface TargetFile extends Ownership {
  /** As it was asked for. */
  path: string
  /** Without links: the file that is replaced. */
  realpath: string
  bytes: Uint8Array
  sha256: string
}

/**
 * Reads the regular file that the absolute `path` leads to. Links are followed; with a `root` other
 * than `/` (which `path` begins with) absolute links start there. Nothing is changed and no right
 * to write is needed; `findObstacle` says whether it can be written. A file in the Nix store is
 * refused, as it is made from another one, unless `store` is true; so is one of more than `most` bytes.
 * Problems: those of `resolveLinks`, NOT_FOUND, STORE_LINK, IS_DIRECTORY, NOT_REGULAR, TOO_BIG,
 * NOT_READABLE, IO_ERROR.
 */
export function readTarget(
  path: string,
  options: { root?: string; store?: boolean; most?: number } = {}
): Result<TargetFile, FileProblem> {
  const resolved = resolveLinks(path, options.root)
  if (!resolved.ok) return resolved
  const { realpath, exists, hops, root } = resolved.value
  if (!options.store && isInStore(realpath, root)) return err({ code: 'STORE_LINK', path, hops })
  if (!exists) return err({ code: 'NOT_FOUND', path, hops })
  const read = readSnapshot(realpath, options.most)
  if (!read.ok) return read
  if (read.value === null) return err({ code: 'NOT_FOUND', path, hops })
  const { bytes, sha256, mode, uid, gid } = read.value
  return ok({ path, realpath, bytes, sha256, mode, uid, gid })
}

/**
 * Where the file would be that the absolute `path` names, whether it exists or not: the real path
 * to give to `commit` for a new file.
 * Problems: those of `resolveLinks`, STORE_LINK.
 */
export function locateTarget(
  path: string,
  options: { root?: string } = {}
): Result<{ realpath: string; exists: boolean }, FileProblem> {
  const resolved = resolveLinks(path, options.root)
  if (!resolved.ok) return resolved
  const { realpath, exists, hops, root } = resolved.value
  if (isInStore(realpath, root)) return err({ code: 'STORE_LINK', path, hops })
  return ok({ realpath, exists })
}
