import { lstatSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** A git work tree, and as whom git has to run in it. */
export interface WorkTree {
  /** Its topmost folder. */
  top: string
  /** To whom the repository belongs. */
  uid: number
  gid: number
}

/**
 * The work tree that the absolute `path`, which has no links in it, lies or would lie in: the
 * nearest folder upwards with a `.git`, be that a folder or the file that a submodule or a further
 * work tree has. Undefined if there is none, or it can't be told.
 */
export function findWorkTree(path: string): WorkTree | undefined {
  for (let at = dirname(path); ; at = dirname(at)) {
    const owner = ownerOf(join(at, '.git'))
    if (owner) return { top: at, ...owner }
    if (at === dirname(at)) return undefined
  }
}

/** The owner of the repository behind a `.git`; for a file, of the folder that it points to. */
function ownerOf(path: string): { uid: number; gid: number } | undefined {
  try {
    const found = lstatSync(path)
    const pointed = found.isFile()
      ? /^gitdir: (.+?)\r?\n?$/.exec(readFileSync(path, 'utf8'))?.[1]
      : undefined
    const { uid, gid } = statSync(pointed === undefined ? path : resolve(dirname(path), pointed))
    return { uid, gid }
  } catch {
    return undefined
  }
}
