// From what is planned to what is told of it. Nothing here needs the parser: an undo has to work where
// it can't be loaded.

import { lstatSync } from 'node:fs'
import type { ParseCheck } from '../../apply/ask/parseCheck.ts'
import { sha256 } from '../../files/hash.ts'
import type { Registration } from '../../git/registration.ts'
import type { ActionReport, CheckReport, EditReport, FileReport, FileState } from '../report.ts'
import { patchOf } from './showDiff.ts'

/** A file that changes: its texts are undefined where there is none. */
export interface ChangedFile {
  /** As the person knows it; `realpath` is without links. */
  path: string
  realpath: string
  /** As the patch names it. */
  name: string
  before: string | undefined
  after: string | undefined
  /** What changes in it; nothing where it is taken as a whole. */
  edits?: readonly EditReport[]
}

/** What is told of a file; `lines` is how many the patch shows around a change. */
export function reportFile(file: ChangedFile, lines: number): FileReport {
  const { path, realpath, name, before, after, edits = [] } = file
  const bytes = after === undefined ? undefined : Buffer.from(after)
  return {
    path,
    realpath,
    action: before === undefined ? 'create' : after === undefined ? 'delete' : 'modify',
    before: before === undefined ? null : stateOf(realpath, before),
    after: bytes === undefined ? null : { sha256: sha256(bytes), size: bytes.length },
    edits,
    patch: patchOf([{ name, before, after }], lines)
  }
}

/** What git will be told. */
export function reportActions(registrations: readonly Registration[]): ActionReport[] {
  return registrations.flatMap(({ tree: { uid }, add, forget, problem }) => [
    ...(problem ? [] : add).map((path): ActionReport => ({ kind: 'git-add-intent', path, uid })),
    ...forget.map((path): ActionReport => ({ kind: 'git-forget', path, uid }))
  ])
}

/** The checks that every plan of an edit has passed. */
export function reportChecks(check: ParseCheck): CheckReport[] {
  return [
    { name: 'proof', status: 'ok', detail: '' },
    check.status === 'skipped'
      ? { name: 'nix-parse', status: 'skipped', detail: check.detail }
      : { name: 'nix-parse', status: 'ok', detail: '' }
  ]
}

function stateOf(path: string, text: string): FileState {
  const bytes = Buffer.from(text)
  const content = { sha256: sha256(bytes), size: bytes.length }
  // Standard input is none, and what has gone since then is found out when it is written.
  const stat = path === '-' ? undefined : lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return content
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0')
  return { ...content, mode, uid: stat.uid, gid: stat.gid }
}
