import { lstatSync } from 'node:fs'
import { visibleJson } from '../../nix/text/visible.ts'
import type { ParseCheck } from '../../plan/evaluate.ts'
import type { Registration } from '../../storage/git.ts'
import { sha256 } from '../../storage/read.ts'
import { VERSION } from '../context.ts'
import type { Message } from '../message.ts'
import {
  type ActionReport,
  type CheckReport,
  type EditReport,
  emptyBody,
  type FileReport,
  type FileState,
  type Report
} from '../report.ts'
import { patchOf } from './diff.ts'

const SCHEMA_VERSION = 1

/** What a command does, so that also its failures have the fields of its document. */
export type DocumentKind = 'scan' | 'plan' | 'runs' | 'option' | 'domain' | 'check' | 'error'

const EMPTY = {
  plan: { ...emptyBody('/'), root: null },
  runs: { kind: 'runs', runs: [], damaged: [] },
  option: { kind: 'option', path: null, definitions: [] },
  scan: { kind: 'scan' },
  domain: {
    ...{ kind: 'domain', path: null, to: null, guest: null, text: null },
    ...{ changes: [], remarks: [] }
  },
  check: { kind: 'check', release: null, files: [], findings: [], running: null },
  error: { kind: 'error' }
} as const

/**
 * The document that `--json` prints, and a line end. Its fields are described in docs/json.md; they
 * only ever become more. What could control a terminal is escaped.
 */
export function jsonDocument(report: Report, command: string | null, kind: DocumentKind): string {
  const { exit, outcome, error, warnings = [], earlierRuns = [], body } = report
  const { kind: schema, ...facts } = body ?? EMPTY[kind]
  const document = {
    schema: `vfio-patch/${schema}`,
    schemaVersion: SCHEMA_VERSION,
    tool: VERSION,
    command,
    outcome,
    exit,
    ...facts,
    earlierRuns,
    warnings: warnings.map(plain),
    error: error === undefined ? null : plain(error)
  }
  return `${visibleJson(JSON.stringify(document, null, 2))}\n`
}

function plain({ code, exit, what, why, remedy, at, excerpt }: Message) {
  return {
    code,
    exit,
    message: what,
    excerpt: excerpt ?? null,
    why: why ?? null,
    hint: remedy ?? null,
    at: at ?? null
  }
}

// From what is planned to what is told of it. Nothing here needs the parser: an undo has to work where
// it can't be loaded.

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
    before: before === undefined ? null : fileState(realpath, before),
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

function fileState(path: string, text: string): FileState {
  const bytes = Buffer.from(text)
  const content = { sha256: sha256(bytes), size: bytes.length }
  // Standard input is none, and what has gone since then is found out when it is written.
  const stat = path === '-' ? undefined : lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return content
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0')
  return { ...content, mode, uid: stat.uid, gid: stat.gid }
}
