// The result of a command as plain data. The output for people and --json is made from it.

import { EXIT } from './exitCodes.ts'
import { type DefinitionReport, exitOf, type Message } from './message.ts'
import type { ScanBody } from './output/scan.ts'

/** Machine-readable outcome; `EXIT` has the matching exit codes. */
type Outcome =
  /** The change is made; `-with-warnings`: something went wrong after that. */
  | 'written'
  | 'written-with-warnings'
  /** A change was shown, and not written. */
  | 'planned'
  /** There is nothing to change. */
  | 'unchanged'
  /** The user answered no, or stopped the command. */
  | 'declined'
  /** The command can't do it safely. */
  | 'refused'
  /** The command could not do it. */
  | 'failed'
  /** The search found something, or nothing. */
  | 'found'
  | 'not-found'
  /** The domain was converted, or its two formats were found equal. */
  | 'converted'
  /** The configuration has problems, or has none. */
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
  /** When the run started; null if its record does not have the time. */
  started: string | null
  /** `pending` until a command that writes recovers it. */
  outcome: 'finished' | 'taken-back' | 'pending'
  /** The files of the run; empty while it is pending. */
  files: readonly string[]
}

/** The report of a command that changes files, or would change them. */
export interface PlanBody {
  kind: 'plan'
  /** The root of the system; the paths below begin with it. */
  root: string
  /** The specialisation with the options of an `apply`; null if every boot entry has them. */
  specialisation: string | null
  /** `apply` and `diff`: each replacement in the user's files, with its reason. */
  replaced: readonly ReplacedReport[]
  /** `apply` and `diff` with `--domain`: the guest, and what was changed in its XML. */
  guest?: GuestReport
  /** The files in the order in which they are written. */
  files: readonly FileReport[]
  /** What git does after the files are written. */
  actions: readonly ActionReport[]
  /** Notes for the user, in sentences. */
  notes: readonly string[]
  checks: readonly CheckReport[]
  /** The backup that `undo` restores. */
  backup: { id: string; dir: string } | null
}

export interface GuestReport {
  name: string
  /** The file that defines the guest, even if the run does not change it. */
  path: string
  changes: DomainBody['changes']
  remarks: DomainBody['remarks']
}

/** A replaced value from an old guide, or a replaced import of a module. */
export interface ReplacedReport {
  code: string
  message: string
  at: { path: string; line: number; column: number }
}

export interface FileReport {
  /** The path as the user named it; in `realpath` symlinks are resolved. */
  path: string
  realpath: string
  action: 'create' | 'modify' | 'delete'
  before: FileState | null
  after: { sha256: string; size: number } | null
  edits: readonly EditReport[]
  /** A unified diff for `patch -p1`. */
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
  /** The line of `offset` in the text before the edit. */
  line: number
  offset: number
  length: number
  content: string
  /** The options that the edit changes, and the rule for each: a flag, `modules`, or the command. */
  reasons: readonly { option: string; rule: string }[]
}

export interface ActionReport {
  /** `git-add-intent` registers a new file, `git-forget` removes the registration of a deleted one. */
  kind: 'git-add-intent' | 'git-forget'
  path: string
  /** The user that git runs as. */
  uid: number
}

export interface CheckReport {
  /** `proof`: vfio-patch's own; `nix-parse`: `nix-instantiate --parse`; `eval`: the command passed to `--eval`. */
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
   * `current`: the last run in effect; `edited`: the same, but its file was edited since; `earlier`: in effect,
   * but not the last one; `undone`: can be redone; `dropped`: can't be redone; `step`: undoes or redoes another
   * run; `interrupted`: changed nothing.
   */
  state: 'current' | 'edited' | 'earlier' | 'undone' | 'dropped' | 'step' | 'interrupted'
  /** The run that this run undoes or redoes. */
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

/** The report of `domain`. */
export interface DomainBody {
  kind: 'domain'
  /** The file that was read; `-` for standard input. */
  path: string
  /** The format of `text`; both are null if XML and Nix were only compared. */
  to: 'nix' | 'xml' | null
  text: string | null
  /** The name of the guest. */
  guest: string | null
  /** The changes for a current NixOS. `path` names the element, which begins in `line` of the file. */
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
  /** The NixOS release that the check assumed, such as `25.11`; null if it is not known. */
  release: string | null
  /** The files that were checked, the configuration first. */
  files: readonly string[]
  findings: readonly FindingReport[]
  /** What is active on the machine; null if the machine was not read. */
  running: RunningReport | null
}

interface RunningReport {
  /** Whether everything whose state is known is active, or only a part, or nothing. */
  state: 'active' | 'partial' | 'not-active'
  /** The boot entry that was checked; null for the default one. */
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
  /** The range in the file, in UTF-16 units. */
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
