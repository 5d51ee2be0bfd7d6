import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync
} from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { err, ok, type Result } from '../nix/result.ts'
import { isSystemError, tried } from './attempt.ts'

/** Why a folder could not be copied: it holds more than `most` files, or a call failed. */
export type CopyProblem =
  | { code: 'TOO_MANY'; path: string; most: number }
  | { code: 'IO_ERROR'; path: string; errno: string; syscall: string }

/** Far more than any configuration has; a home folder, or a cache, has more. */
const MOST_FILES = 50_000

/**
 * Copies files of the folder `from` into the folder `to`, both without links in their paths: those
 * that `names` lists, relative to it, with all that is below a folder, or all. `.git` is left out,
 * and what can't be read, is no file, folder or link, or is not there. Links lead to the copy where
 * they led into `from`, and else where they led. The copies belong to the caller. Now and then it
 * lets others run; it ends early, as if it were done, once `isStopped` says so.
 */
export async function copyTree(
  from: string,
  to: string,
  names: readonly string[] | undefined,
  isStopped: () => boolean
): Promise<Result<void, CopyProblem>> {
  // All are found first, so that a home folder is refused before it fills another place.
  const found = [...(names ?? [''])]
  const pause = async (count: number) => {
    if (count % 100 === 0) await setImmediate()
    return isStopped()
  }
  for (let i = 0; i < found.length; i++) {
    if (await pause(i)) return ok(undefined)
    const name = found[i] ?? ''
    for (const inner of namesIn(join(from, name))) found.push(join(name, inner))
    if (found.length > MOST_FILES) return err({ code: 'TOO_MANY', path: from, most: MOST_FILES })
  }
  for (const [i, name] of found.entries()) {
    if (await pause(i)) return ok(undefined)
    try {
      copyOne(from, to, name)
    } catch (error) {
      if (!isSystemError(error)) throw error
      const { code: errno, syscall } = error
      if (errno === 'EACCES' || errno === 'ENOENT') continue
      return err({ code: 'IO_ERROR', path: join(to, name), errno, syscall })
    }
  }
  return ok(undefined)
}

/** What stands in a folder; nothing in what is none, or can't be read. */
function namesIn(path: string): string[] {
  let names: string[] = []
  tried(() => {
    if (lstatSync(path).isDirectory()) names = readdirSync(path).filter(it => it !== '.git')
  })
  return names
}

/** Copies a file or a link, or makes a folder. */
function copyOne(from: string, to: string, name: string): void {
  const [source, target] = [join(from, name), join(to, name)]
  const stat = lstatSync(source)
  mkdirSync(stat.isDirectory() ? target : dirname(target), { recursive: true, mode: 0o700 })
  if (stat.isSymbolicLink()) symlinkSync(leadOf(source, from, to), target)
  else if (stat.isFile()) {
    copyFileSync(source, target, constants.COPYFILE_FICLONE)
    chmodSync(target, (stat.mode & 0o777) | 0o600)
  }
}

function leadOf(link: string, from: string, to: string): string {
  const lead = readlinkSync(link)
  const absolute = resolve(dirname(link), lead)
  const inside = relative(from, absolute)
  const isInside = inside !== '..' && !inside.startsWith('../')
  if (!isInside) return absolute
  return lead.startsWith('/') ? join(to, inside) : lead
}
