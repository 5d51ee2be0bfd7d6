import { lstatSync } from 'node:fs'
import type { Edit, NixDocument } from '../../nix/index.ts'
import { formatPathPattern } from '../../nix/path.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { visibleJson } from '../../nix/text/visible.ts'
import type { ParseCheck } from '../../plan/evaluate.ts'
import { ruleFor } from '../../settings/settings.ts'
import type { Registration } from '../../storage/git.ts'
import { sha256 } from '../../storage/read.ts'
import { VERSION } from '../context.ts'
import { exitOf, type Message, sentenceOf } from '../message.ts'
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

/** The kind of a command's document. If the command fails, its document still has all fields of this kind. */
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
 * The document that `--json` prints, with a line ending. docs/json.md describes its fields; new ones may be added,
 * but none may change. Characters that could control a terminal are escaped.
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

function plain(message: Message) {
  const { code, why, remedy, at, excerpt, definitions, places } = message
  return {
    code,
    exit: exitOf(message),
    message: sentenceOf(message),
    excerpt: excerpt ?? null,
    why: why ?? null,
    hint: remedy ?? null,
    at: at ?? null,
    ...(definitions === undefined ? {} : { definitions }),
    ...(places === undefined ? {} : { places })
  }
}

// From a plan to its report. None of this may need the parser: undo has to work without the parser.

/** A file that changes: `before` is undefined for a new file, `after` for a deleted one. */
export interface ChangedFile {
  /** The path as the user typed it; `realpath` is without symlinks. */
  path: string
  realpath: string
  /** The name in the patch. */
  name: string
  before: string | undefined
  after: string | undefined
  /** Its edits; none if the whole file is replaced. */
  edits?: readonly EditReport[]
}

/** The report of a file; `lines` is the number of context lines in the patch. */
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
    patch: patchOf({ name, before, after }, lines)
  }
}

/** What git will do. */
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
  // Standard input has no status. A file that was deleted since is noticed when it is written.
  const stat = path === '-' ? undefined : lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return content
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0')
  return { ...content, mode, uid: stat.uid, gid: stat.gid }
}

/** What the reasons for edits are derived from. */
interface EditReasons {
  /** The command; it is the rule of an edit that has no other. */
  command: string
  /** The options whose values come from `--gpu`. */
  byCard?: readonly string[] | undefined
  /** The options whose values, or those below them, come from `--domain`. */
  byGuest?: readonly string[] | undefined
  /** The settings that are replaced, and the options that each replacement edits. */
  replaced?: readonly { code: string; options: readonly string[]; at: { line: number } }[]
}

/** The options whose values overlap a range of the text. */
function optionsAt(document: NixDocument, start: number, length: number): string[] {
  const end = start + length
  return document
    .leaves()
    .filter(({ value }) =>
      length === 0
        ? value.start < start && start < value.end
        : value.start < end && start < value.end
    )
    .map(it => formatPathPattern(it.path))
}

/** The rules for an edit of this option: a flag, the codes of the replaced settings, else the command. */
function rulesOf(option: string, reasons: EditReasons): string[] {
  const { command, byCard = [], byGuest = [], replaced = [] } = reasons
  if (command !== 'apply' && command !== 'diff') return [command]
  const own = option.replace(/^specialisation\.(?:"[^"]*"|[^.]+)\.configuration\./, '')
  if (byCard.includes(own)) return ['--gpu']
  if (byGuest.some(it => own === it || own.startsWith(`${it}.`))) return ['--domain']
  const isAbout = (it: string) => option === it || own === it || option.startsWith(`${it}.`)
  const codes = replaced.filter(it => it.options.some(isAbout)).map(it => it.code)
  const rule = ruleFor(own)
  const ofImport = own === 'imports' && rule !== undefined ? [rule] : []
  if (codes.length > 0) return [...new Set([...ofImport, ...codes])]
  return [rule ?? command]
}

/** The edits of a plan with their reasons: the options that each edit changes, and the rules for them (`rulesOf`). */
export function reportEdits(
  before: NixDocument,
  edits: readonly Edit[],
  reasons: EditReasons
): EditReport[] {
  if (edits.length === 0) return []
  const after = before.edited(edits)
  // A rename changes no value.
  const renamed = (line: number) =>
    (reasons.replaced ?? [])
      .filter(it => it.at.line === line)
      .map(it => ({ option: it.options[0] ?? '', rule: it.code }))
  let shift = 0
  return edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    const options = new Set([
      ...optionsAt(before, offset, length),
      ...optionsAt(after, start, content.length)
    ])
    const found = [...options].flatMap(option =>
      rulesOf(option, reasons).map(rule => ({ option, rule }))
    )
    const { line } = placeOf(before.text, offset)
    return { line, offset, length, content, reasons: found.length > 0 ? found : renamed(line) }
  })
}
