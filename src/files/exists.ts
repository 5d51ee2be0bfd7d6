import { lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { isSystemError } from './attempt.ts'

/** Whether anything has this name. When that can't be told, it counts as there. */
export function isThere(path: string): boolean {
  try {
    // Not `throwIfNoEntry: false`: what it does for a child of a file depends on Node's version.
    lstatSync(path)
    return true
  } catch (error) {
    if (isSystemError(error)) return !['ENOENT', 'ENOTDIR'].includes(error.code)
    throw error
  }
}

/** The longest part of an absolute path that exists: the path itself, or the nearest parent. */
export function nearestExisting(path: string): string {
  let at = path
  while (at !== dirname(at) && !isThere(at)) at = dirname(at)
  return at
}

/** Whether the name is that of a link; false where that can't be told. */
export function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink()
  } catch (error) {
    if (isSystemError(error)) return false
    throw error
  }
}
