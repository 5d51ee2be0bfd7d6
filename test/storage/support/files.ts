import { existsSync, readFileSync } from 'node:fs'
import { sha256 } from '../../../src/storage/read.ts'
import type { FileChange } from '../../../src/storage/work.ts'

/** The SHA-256 of a text. */
export function hashOf(text: string): string {
  return sha256(Buffer.from(text))
}

/** The change of the file at `realpath` from its current content to `text`; null deletes it. */
export function change(realpath: string, text: string | null): FileChange {
  return {
    realpath,
    before: existsSync(realpath) ? { sha256: sha256(readFileSync(realpath)) } : null,
    after: text === null ? null : Buffer.from(text)
  }
}

export function read(path: string): string {
  return readFileSync(path, 'utf8')
}
