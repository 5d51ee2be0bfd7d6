import { lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt } from './attempt.ts'
import { reading } from './errno.ts'
import type { FileProblem } from './problem.ts'

/** Where a path leads. */
export interface Resolved {
  /** The path without links; its last parts need not exist. */
  realpath: string
  exists: boolean
  /** The path that was asked for and, after each link that was followed, the path to go on with. */
  hops: string[]
  /** The root that was resolved in, without links. */
  root: string
}

/** As many as Linux follows. */
const MOST_HOPS = 40

/**
 * Follows the links of an absolute path the way a process whose root folder is `root` would see
 * them: absolute links start at `root`, and `..` doesn't leave it. The path itself is the one that
 * this process sees, and lies in `root`. Parts that don't exist are kept as they are. Problems:
 * OUTSIDE_ROOT, LINK_LOOP, NOT_DIRECTORY, NOT_READABLE, NOT_FOUND (the root is missing, or `..`
 * after a missing part), IO_ERROR.
 */
export function resolveLinks(path: string, root = '/'): Result<Resolved, FileProblem> {
  const base = resolve(root)
  const inside = pathInside(path, base)
  if (inside === null) return err({ code: 'OUTSIDE_ROOT', path, root: base })
  const top = attempt(() => realpathSync(base), reading(base))
  if (!top.ok) return top
  const hops = [path]
  let pending = parts(inside)
  let at = top.value
  let exists = true
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === '..') {
      if (!exists) return err({ code: 'NOT_FOUND', path, hops })
      if (at !== top.value) at = dirname(at)
      continue
    }
    const next = join(at, part)
    const looked = exists ? look(next) : ok(null)
    if (!looked.ok) return looked
    if (looked.value === null) exists = false
    if (looked.value?.isFile() && pending.length > 0)
      return err({ code: 'NOT_DIRECTORY', path: next })
    if (!looked.value?.isSymbolicLink()) {
      at = next
      continue
    }
    if (hops.length > MOST_HOPS) return err({ code: 'LINK_LOOP', path, hops })
    const link = attempt(() => readlinkSync(next), reading(next))
    if (!link.ok) return link
    if (link.value.startsWith('/')) at = top.value
    pending = [...parts(link.value), ...pending]
    hops.push(join(at, ...pending))
  }
  return ok({ realpath: at, exists, hops, root: top.value })
}

function look(path: string): Result<ReturnType<typeof lstatSync> | null, FileProblem> {
  const looked = attempt(() => lstatSync(path), reading(path))
  return looked.ok || looked.error.code !== 'NOT_FOUND' ? looked : ok(null)
}

function pathInside(path: string, base: string): string | null {
  if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`)
  if (base === '/' || path === base) return base === '/' ? path : '/'
  return path.startsWith(`${base}/`) ? path.slice(base.length) : null
}

function parts(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}
