// The result of a command as plain data: what people read and what --json prints are made from it.

import { EXIT } from './exitCodes.ts'
import { exitOf, type Message } from './message.ts'
import type { ScanBody } from './output/scan.ts'

/** In one word; each goes with few exit codes. */
type Outcome =
  /** The change is made; with 8, something else went wrong after that. */
  | 'written'
  | 'written-with-warnings'
  /** There is a change, and it was only to be shown. */
  | 'planned'
  /** There is nothing to change. */
  | 'unchanged'
  /** The person said no, or stopped it. */
  | 'declined'
  /** It can't be done safely. */
  | 'refused'
  /** It could not be done. */
  | 'failed'
  /** What was looked for was found, or not. */
  | 'found'
  | 'not-found'
  /** It is there in the other form, or was compared with it and says the same. */
  | 'converted'
  /** What was looked through has problems, or none. */
  | 'problems'
  | 'clean'

export interface Report {
  exit: number
  outcome: Outcome
  /** Why it went no further. */
  error?: Message
  warnings?: readonly Message[]
  /** What is left to do when all of this is printed, and the exit code is 0. */
  onReported?: () => void
  /** Runs that were stopped in the middle and lay in the way. */
  earlierRuns?: readonly EarlierRunReport[]
  body?: PlanBody | RunsBody | OptionBody | ScanBody | DomainBody | CheckBody
}

export interface EarlierRunReport {
  /** Null where its record does not say. */
  started: string | null
  /** `pending` until a command that writes sees to it. */
  outcome: 'finished' | 'taken-back' | 'pending'
  /** Its files, where it was seen to. */
  files: readonly string[]
}

/** What the commands say that change files, or would. */
export interface PlanBody {
  kind: 'plan'
  /** The root of the system that is worked on; the paths below begin with it. */
  root: string
  /** The specialisation that `apply` puts the options into; null where every boot entry has them. */
  specialisation: string | null
  /** `apply` and `diff`: what gives way in the person's own files, each with the reason. */
  replaced: readonly ReplacedReport[]
  /** `apply` and `diff` with `--domain`: the guest, and what was mended in it. */
  guest?: GuestReport
  /** In the order in which they are written. */
  files: readonly FileReport[]
  /** What is done besides writing files. */
  actions: readonly ActionReport[]
  /** What a person has to know of it, in sentences. */
  notes: readonly string[]
  checks: readonly CheckReport[]
  /** The run that `undo` takes back. */
  backup: { id: string; dir: string } | null
}

export interface GuestReport {
  name: string
  /** The file that defines it, also where nothing changes in it. */
  path: string
  changes: DomainBody['changes']
  remarks: DomainBody['remarks']
}

/** A value of old guides, or the import of a module that ours take the place of. */
export interface ReplacedReport {
  code: string
  message: string
  at: { path: string; line: number; column: number }
}

export interface FileReport {
  /** As the person knows it; `realpath` is without links. */
  path: string
  realpath: string
  action: 'create' | 'modify' | 'delete'
  before: FileState | null
  after: { sha256: string; size: number } | null
  edits: readonly EditReport[]
  /** A unified diff, for `patch -p1` in the folder that the plan is about. */
  patch: string
}

/** A file as it is: size in bytes, mode in octal as `chmod` takes it; no owner of standard input. */
export interface FileState {
  sha256: string
  size: number
  mode?: string
  uid?: number
  gid?: number
}

/** One replacement in a text, as the toolkit has it (UTF-16 units), and what it is there for. */
export interface EditReport {
  /** The line of `offset` in the text before. */
  line: number
  offset: number
  length: number
  content: string
  /** The options that it touches, and what asked for each: a flag, `modules`, or the command. */
  reasons: readonly { option: string; rule: string }[]
}

export interface ActionReport {
  /** `git-add-intent` registers a new file, `git-forget` takes such an entry back. */
  kind: 'git-add-intent' | 'git-forget'
  path: string
  /** As whom git is run. */
  uid: number
}

export interface CheckReport {
  /** Our own proof, `nix-instantiate --parse`, and the command of `--eval`. */
  name: 'proof' | 'nix-parse' | 'eval'
  status: 'ok' | 'failed' | 'skipped'
  detail: string
}

/** What `undo --list` says, the newest run first. */
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
   * What has become of it: the file of the command is as it left it (`current`), or was edited since;
   * `earlier` runs are in effect below that; one that was `undone` can be made again, one that was
   * `dropped` can't; a `step` takes another run back or makes it again; one that was `interrupted` came to
   * nothing.
   */
  state: 'current' | 'edited' | 'earlier' | 'undone' | 'dropped' | 'step' | 'interrupted'
  /** The run that it takes back, or makes again. */
  undoes: string | null
  redoes: string | null
  /** The file that the command was called on, where that is known. */
  target: string | null
  files: readonly string[]
}

/** What `option get` says. */
interface OptionBody {
  kind: 'option'
  /** The file that was looked into; `-` for standard input. */
  path: string
  definitions: readonly DefinitionReport[]
}

export interface DefinitionReport {
  /** The option as it is spelt; `${…}` stands for a computed name. */
  option: string
  names: readonly (string | null)[]
  line: number
  column: number
  source: string
  /** What has to hold, the `mkForce` and its like around, whether it is inherited: not with `--flat`. */
  conditions?: readonly string[]
  priorities?: readonly string[]
  inherited?: boolean
}

/** What `domain` says. */
export interface DomainBody {
  kind: 'domain'
  /** The file that was read; `-` for standard input. */
  path: string
  /** What `text` is; both null where it was only compared. */
  to: 'nix' | 'xml' | null
  text: string | null
  /** The name of the guest. */
  guest: string | null
  /** What was mended. `path` leads to the element, `line` is where it begins in the file. */
  changes: readonly {
    code: string
    path: string
    line: number | null
    before: string | null
    after: string | null
    why: string
  }[]
  /** What a person should look at, in sentences. */
  remarks: readonly { code: string; path: string; line: number | null; what: string }[]
}

/** What `check` says. */
export interface CheckBody {
  kind: 'check'
  /** The release of NixOS that it is for, such as `25.11`; null where none is known. */
  release: string | null
  /** The files that were looked through, the configuration first. */
  files: readonly string[]
  findings: readonly FindingReport[]
  /** What of it is at work on its machine; null where that was not looked at. */
  running: RunningReport | null
}

interface RunningReport {
  /** Whether all of it is at work, as far as it can be seen, some, or nothing. */
  state: 'active' | 'partial' | 'not-active'
  /** The boot entry that was looked at; null for that of the system itself. */
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
  /** A `note` is worth knowing and does no harm. */
  level: 'problem' | 'note'
  message: string
  why: string
  /** What to do. */
  hint: string
  at: { path: string; line: number; column: number }
  /** The place in UTF-16 units. */
  offset: number
  length: number
  /** Whether `--fix` can mend it. */
  fixable: boolean
}

/** The report of a command that goes no further. */
export function fail(error: Message, body?: PlanBody): Report {
  const exit = exitOf(error)
  const isRefusal = [EXIT.refused, EXIT.stale, EXIT.invalid, EXIT.hardware].some(it => it === exit)
  const outcome = isRefusal ? 'refused' : 'failed'
  return { exit, outcome, error, ...(body === undefined ? {} : { body }) }
}

/** Ends the command at a question that was not answered; only `main` catches it. */
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

/** A plan that has nothing to do yet, or nothing at all. */
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
