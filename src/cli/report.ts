// The result of a command as plain data, from which the output for people and --json is made.

import { EXIT } from './exitCodes.ts'
import { exitOf, type Message } from './message.ts'
import type { ScanBody } from './output/scan.ts'

/** Machine-readable outcome; `EXIT` has the matching exit codes. */
type Outcome =
  /** The change is made; with 8, something else went wrong after that. */
  | 'written'
  | 'written-with-warnings'
  /** There is a change that was only shown. */
  | 'planned'
  /** There is nothing to change. */
  | 'unchanged'
  /** The user said no, or stopped it. */
  | 'declined'
  /** It can't be done safely. */
  | 'refused'
  /** It could not be done. */
  | 'failed'
  /** The search found something, or nothing. */
  | 'found'
  | 'not-found'
  /** The domain was converted, or both forms are equal. */
  | 'converted'
  /** The configuration has problems, or none. */
  | 'problems'
  | 'clean'

export interface Report {
  exit: number
  outcome: Outcome
  /** Why the command ended. */
  error?: Message
  warnings?: readonly Message[]
  /** Called after everything is printed, if the exit code is 0. */
  onReported?: () => void
  /** Interrupted runs that had to be recovered first. */
  earlierRuns?: readonly EarlierRunReport[]
  body?: PlanBody | RunsBody | OptionBody | ScanBody | DomainBody | CheckBody
}

export interface EarlierRunReport {
  /** Null if the record does not have it. */
  started: string | null
  /** `pending` until a command that writes recovers it. */
  outcome: 'finished' | 'taken-back' | 'pending'
  /** Its files, if it was recovered. */
  files: readonly string[]
}

/** The report of a command that changes files, or would. */
export interface PlanBody {
  kind: 'plan'
  /** The root of the system; the paths below begin with it. */
  root: string
  /** The specialisation with the options of an `apply`; null if every boot entry has them. */
  specialisation: string | null
  /** `apply` and `diff`: what is replaced in the user's files, each with the reason. */
  replaced: readonly ReplacedReport[]
  /** `apply` and `diff` with `--domain`: the guest, and what was modernized in it. */
  guest?: GuestReport
  /** In the order in which they are written. */
  files: readonly FileReport[]
  /** What git does after the files are written. */
  actions: readonly ActionReport[]
  /** Notes for the user, in sentences. */
  notes: readonly string[]
  checks: readonly CheckReport[]
  /** The run that `undo` undoes. */
  backup: { id: string; dir: string } | null
}

export interface GuestReport {
  name: string
  /** The file that defines it, even if it does not change. */
  path: string
  changes: DomainBody['changes']
  remarks: DomainBody['remarks']
}

/** A value of old guides, or the import of a module, that is replaced. */
export interface ReplacedReport {
  code: string
  message: string
  at: { path: string; line: number; column: number }
}

export interface FileReport {
  /** As the user named it; `realpath` is without symlinks. */
  path: string
  realpath: string
  action: 'create' | 'modify' | 'delete'
  before: FileState | null
  after: { sha256: string; size: number } | null
  edits: readonly EditReport[]
  /** A unified diff, for `patch -p1` in the folder of the plan. */
  patch: string
}

/** The state of a file: size in bytes, mode in octal as for `chmod`; standard input has no owner. */
export interface FileState {
  sha256: string
  size: number
  mode?: string
  uid?: number
  gid?: number
}

/** One replacement in a text (in UTF-16 units), and its reasons. */
export interface EditReport {
  /** The line of `offset` in the text before. */
  line: number
  offset: number
  length: number
  content: string
  /** The options that it changes, and the rule for each: a flag, `modules`, or the command. */
  reasons: readonly { option: string; rule: string }[]
}

export interface ActionReport {
  /** `git-add-intent` registers a new file, `git-forget` removes such an entry. */
  kind: 'git-add-intent' | 'git-forget'
  path: string
  /** The user that git runs as. */
  uid: number
}

export interface CheckReport {
  /** The proof of vfio-patch, `nix-instantiate --parse`, and the command of `--eval`. */
  name: 'proof' | 'nix-parse' | 'eval'
  status: 'ok' | 'failed' | 'skipped'
  detail: string
}

/** The report of `undo --list`, the newest run first. */
interface RunsBody {
  kind: 'runs'
  runs: readonly RunReport[]
  /** The names of runs whose records can't be read. */
  damaged: readonly string[]
}

export interface RunReport {
  id: string
  command: string
  tool: string
  started: string
  done: boolean
  /**
   * `current`: the file of the command is as the run left it; `edited`: it was edited since; `earlier`: in
   * effect before these; `undone`: can be redone; `dropped`: can't be redone; `step`: undoes or redoes another
   * run; `interrupted`: changed nothing.
   */
  state: 'current' | 'edited' | 'earlier' | 'undone' | 'dropped' | 'step' | 'interrupted'
  /** The run that it undoes, or redoes. */
  undoes: string | null
  redoes: string | null
  /** The file that the command was called on, if that is known. */
  target: string | null
  files: readonly string[]
}

/** The report of `option get`. */
interface OptionBody {
  kind: 'option'
  /** The file that was searched; `-` for standard input. */
  path: string
  definitions: readonly DefinitionReport[]
}

export interface DefinitionReport {
  /** The option as written; `${…}` for a computed name. */
  option: string
  names: readonly (string | null)[]
  line: number
  column: number
  source: string
  /** Its conditions, its priorities (such as `mkForce`), and whether it is inherited. All are absent with `--flat`. */
  conditions?: readonly string[]
  priorities?: readonly string[]
  inherited?: boolean
}

/** The report of `domain`. */
export interface DomainBody {
  kind: 'domain'
  /** The file that was read; `-` for standard input. */
  path: string
  /** The form of `text`; both null if the forms were only compared. */
  to: 'nix' | 'xml' | null
  text: string | null
  /** The name of the guest. */
  guest: string | null
  /** What was modernized. `path` is that of the element, `line` is where it begins in the file. */
  changes: readonly {
    code: string
    path: string
    line: number | null
    before: string | null
    after: string | null
    why: string
  }[]
  /** Warnings, in sentences. */
  remarks: readonly { code: string; path: string; line: number | null; what: string }[]
}

/** The report of `check`. */
export interface CheckBody {
  kind: 'check'
  /** The release of NixOS that was checked for, such as `25.11`; null if none is known. */
  release: string | null
  /** The files that were checked, the configuration first. */
  files: readonly string[]
  findings: readonly FindingReport[]
  /** What is active on the machine; null if that was not read. */
  running: RunningReport | null
}

interface RunningReport {
  /** Whether everything is active, as far as it is known, some of it, or nothing. */
  state: 'active' | 'partial' | 'not-active'
  /** The boot entry that was checked; null for the usual one. */
  specialisation: string | null
  /** What is not active, and why, in sentences. */
  reasons: readonly string[]
  things: readonly {
    kind: 'system' | 'iommu' | 'kernel-parameter' | 'device' | 'module' | 'hugepages' | 'acs'
    name: string
    verdict: 'active' | 'after-reboot' | 'not-built' | 'not-active' | 'unknown'
    because: string | null
    device: { address: string; id: string; driver: string | null } | null
  }[]
}

export interface FindingReport {
  code: string
  /** A `note` does no harm. */
  level: 'problem' | 'note'
  message: string
  why: string
  /** What to do. */
  hint: string
  at: { path: string; line: number; column: number }
  /** The place in UTF-16 units. */
  offset: number
  length: number
  /** Whether `--fix` can fix it. */
  fixable: boolean
}

/** The report of a command that ends with an error. */
export function fail(error: Message, body?: PlanBody): Report {
  const exit = exitOf(error)
  const isRefusal = [EXIT.refused, EXIT.stale, EXIT.invalid, EXIT.hardware].some(it => it === exit)
  const outcome = isRefusal ? 'refused' : 'failed'
  return { exit, outcome, error, ...(body === undefined ? {} : { body }) }
}

/** Ends the command at a question that the user did not answer; only `main` catches it. */
export class CommandDeclined extends Error {
  readonly report: Report

  constructor(report: Report) {
    super('declined')
    this.report = report
  }
}

/** The report of a command that found nothing to change. */
export function unchanged(body: PlanBody): Report {
  return { exit: EXIT.done, outcome: 'unchanged', body }
}

/** A plan without changes. */
export function emptyBody(root: string): PlanBody {
  return {
    kind: 'plan',
    root,
    specialisation: null,
    replaced: [],
    files: [],
    actions: [],
    notes: [],
    checks: [],
    backup: null
  }
}
