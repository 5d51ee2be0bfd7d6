// What the commands read from their arguments, once, as plain values.

import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, normalize } from 'node:path'
import type { CheckMode } from '../../plan/evaluate.ts'
import type { Settings } from '../../settings/settings.ts'
import { CommandError, usage } from '../message.ts'
import type { Screens } from '../output/output.ts'
import { CHECK_MODES } from './flags.ts'
import { type Arguments, isGiven, readChoice } from './parse.ts'
import { readSettings, readSpecialisation } from './settings.ts'

/** What every command reads. */
export interface CommandRequest {
  /** As messages name it: `apply`, `option set`. */
  command: string
  /** The file as it was named. */
  file: string | undefined
  /** The whole call as it was typed, to be typed again. */
  line: string
  /** Whether nothing but errors is printed while it runs; `--json` prints all at the end. */
  quiet: boolean
  json: boolean
  verbose: boolean
  screens: Screens
}

/** Reads what every command takes. */
export function readCommand(args: Arguments, screens: Screens): CommandRequest {
  const { command = '', action, file, line } = args
  const json = args.on('json') === true
  return {
    command: action === undefined ? command : `${command} ${action}`,
    file,
    line: `vfio-patch ${line}`,
    quiet: args.on('quiet') === true || json,
    json,
    verbose: args.on('verbose') === true,
    screens
  }
}

/** How a change is shown and written. */
export interface WriteOptions {
  writes: boolean
  /** Whether `--yes` answers the question. */
  isConfirmed: boolean
  /** Whether questions are allowed, but for `--json`. */
  mayAsk: boolean
  /** Lines of context in the diff. */
  lines: number
  /** Where the patch goes as well. */
  output: string | undefined
  /** The command that evaluates the system with the change. */
  evaluate: string | undefined
  backup: boolean
  /** Whether git is informed of files that come and go. */
  gitAdd: boolean
}

/** The request of a command that may write. */
export type WritingRequest = CommandRequest & { write: WriteOptions }

/** Reads how a change is written; `mayWrite` is whether the command writes at all. */
export function readWriteOptions(args: Arguments, mayWrite: boolean): WriteOptions {
  const writes = mayWrite && args.on('dry-run') !== true
  const isConfirmed = args.on('yes') === true
  const backup = args.on('backup') !== false
  if (args.on('quiet') === true && writes && !isConfirmed) {
    const remedy = 'add --yes, or leave --quiet away'
    throw new CommandError(usage('--quiet does not go with a question.', { remedy }))
  }
  if (!backup && !isConfirmed) {
    throw new CommandError(
      usage('--no-backup needs --yes.', {
        why: 'without a backup there is no undo, so it has to be meant.',
        remedy: 'add --yes, or leave --no-backup away'
      })
    )
  }
  const lines = args.text('unified') ?? '3'
  if (!/^\d{1,4}$/.test(lines)) {
    const remedy = 'e.g. -U 5'
    throw new CommandError(usage(`-U needs a number of lines, got "${lines}".`, { remedy }))
  }
  return {
    writes,
    isConfirmed,
    mayAsk: args.on('input') !== false,
    lines: Number(lines),
    output: args.text('output'),
    evaluate: args.text('eval'),
    backup,
    gitAdd: args.on('git-add') !== false
  }
}

/** `/`, or the folder that `--root` names, which is there. */
export function readRoot(args: Arguments): string {
  const root = args.text('root')
  if (root === undefined) return '/'
  const remedy = 'give the folder where the system is mounted, e.g. --root /mnt'
  if (!isAbsolute(root)) {
    throw new CommandError(usage(`--root needs an absolute directory, got "${root}".`, { remedy }))
  }
  if (!isFolder(root)) {
    throw new CommandError(usage(`--root: there is no directory ${root}.`, { remedy }))
  }
  return normalize(`${root}/.`)
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** Reads `--parse-check`. */
export function readCheckMode(args: Arguments): CheckMode {
  const mode = readChoice(args, 'parse-check')
  return CHECK_MODES.find(it => it === mode) ?? 'auto'
}

/** The folder that `--modules-dir` names, relative to that of the configuration. */
function readModulesDir(args: Arguments): string | undefined {
  const named = args.text('modules-dir')
  if (named === undefined) return undefined
  const path = normalize(named).replace(/\/$/, '')
  if (isAbsolute(path) || path.startsWith('..') || path === '.') {
    const remedy = 'e.g. --modules-dir modules/vfio'
    throw new CommandError(
      usage(`--modules-dir needs a folder beside the configuration, got "${named}".`, { remedy })
    )
  }
  return path
}

/**
 * The release of NixOS that `--release` names, else that of the system below the root; undefined
 * where that is no NixOS, or does not say.
 */
function readRelease(args: Arguments, root: string): string | undefined {
  const named = args.text('release')
  if (named === undefined) return releaseOf(root)
  if (/^\d\d\.(?:05|11)$/.test(named)) return named
  if (named === 'unstable') return undefined
  const remedy = 'give it like 26.05, or unstable'
  throw new CommandError(usage(`--release takes a release of NixOS, got "${named}".`, { remedy }))
}

function releaseOf(root: string): string | undefined {
  try {
    const text = readFileSync(join(root, 'etc/os-release'), 'utf8')
    if (!/^ID="?nixos"?$/m.test(text)) return undefined
    return /^VERSION_ID="?(\d\d\.(?:05|11))"?$/m.exec(text)?.[1]
  } catch {
    return undefined
  }
}

/** `apply` and `diff`. */
export interface ApplyRequest extends WritingRequest {
  /** All words as they came, to which answers are added. */
  words: readonly string[]
  settings: Settings
  root: string
  sysfs: string | undefined
  modulesDir: string | undefined
  release: string | undefined
  specialisation: string | undefined
  checkMode: CheckMode
  /** Addresses as they were typed, of cards and of those that may go although they show the screen. */
  gpus: readonly string[]
  confirmed: readonly string[]
  assumesIsolated: boolean
  /** The file of a guest. */
  domain: string | undefined
  keepsObsolete: boolean
  replacesModules: boolean
}

/** Reads the arguments of `apply` and `diff`. */
export function readApplyRequest(args: Arguments, screens: Screens): ApplyRequest {
  const request = readCommand(args, screens)
  const write = readWriteOptions(args, request.command === 'apply')
  const settings = readSettings(args)
  const root = readRoot(args)
  return {
    ...request,
    write,
    words: args.words,
    settings,
    root,
    sysfs: args.text('sysfs'),
    modulesDir: readModulesDir(args),
    release: readRelease(args, root),
    specialisation: readSpecialisation(args),
    checkMode: readCheckMode(args),
    gpus: args.texts('gpu') ?? [],
    confirmed: args.texts('confirm') ?? [],
    assumesIsolated: args.on('assume-isolated') === true,
    domain: args.text('domain'),
    keepsObsolete: args.on('keep-obsolete') === true,
    replacesModules: args.on('replace-modules') === true
  }
}

export interface CheckRequest extends CommandRequest {
  root: string
  sysfs: string | undefined
  release: string | undefined
  /** What `--fix` takes; read once there is something to fix, as the file is looked at first. */
  fix: (() => { write: WriteOptions; checkMode: CheckMode }) | undefined
}

/** Reads the arguments of `check`. */
export function readCheckRequest(args: Arguments, screens: Screens): CheckRequest {
  const root = readRoot(args)
  const release = readRelease(args, root)
  const fixes = args.on('fix') === true
  const misplaced = ['yes', 'dry-run', 'output', 'eval'].find(it => !fixes && isGiven(args, it))
  if (misplaced !== undefined) {
    const remedy = 'add --fix, or leave it away'
    throw new CommandError(usage(`--${misplaced} goes with --fix only.`, { remedy }))
  }
  const readFix = () => ({
    write: readWriteOptions(args, true),
    checkMode: readCheckMode(args)
  })
  return {
    ...readCommand(args, screens),
    ...{ root, release, sysfs: args.text('sysfs') },
    fix: fixes ? readFix : undefined
  }
}

export interface RemoveRequest extends WritingRequest {
  root: string
  modulesDir: string | undefined
  checkMode: CheckMode
}

/** Reads the arguments of `remove`. */
export function readRemoveRequest(args: Arguments, screens: Screens): RemoveRequest {
  return {
    ...readCommand(args, screens),
    write: readWriteOptions(args, true),
    root: readRoot(args),
    modulesDir: readModulesDir(args),
    checkMode: readCheckMode(args)
  }
}

export interface UndoRequest extends WritingRequest {
  root: string
  kind: 'undo' | 'redo'
  /** The run that is named. */
  run?: string
  /** Whether runs are only listed, and whether all of them. */
  list: boolean
  all: boolean
}

/** Reads the arguments of `undo`. */
export function readUndoRequest(args: Arguments, screens: Screens): UndoRequest {
  const root = readRoot(args)
  const run = args.text('run')
  const isRedo = args.on('redo') === true
  const list = args.on('list') === true
  const all = args.on('all') === true
  if (isRedo && run !== undefined) {
    throw new CommandError(
      usage('--redo does not go with --run.', {
        why: '--redo makes the run again that was taken back last.',
        remedy: 'leave one of them away'
      })
    )
  }
  if (all && !list) {
    const remedy = 'vfio-patch undo --list --all'
    throw new CommandError(usage('--all goes with --list only.', { remedy }))
  }
  return {
    ...readCommand(args, screens),
    write: readWriteOptions(args, !list),
    ...{ root, kind: isRedo ? 'redo' : 'undo', list, all },
    ...(run === undefined ? {} : { run })
  }
}

export interface ScanRequest extends CommandRequest {
  sysfs: string | undefined
  /** The folder that a dump is saved in. */
  dump: string | undefined
}

/** Reads the arguments of `scan`. */
export function readScanRequest(args: Arguments, screens: Screens): ScanRequest {
  if (args.file !== undefined) {
    const what = `"scan" looks at the machine, not at a file: "${args.file}" is one too many.`
    throw new CommandError(usage(what, { remedy: 'vfio-patch scan' }))
  }
  return { ...readCommand(args, screens), sysfs: args.text('sysfs'), dump: args.text('dump') }
}

export interface DomainRequest extends CommandRequest {
  file: string
  to: 'nix' | 'xml'
  modernizes: boolean
  /** Whether it is only compared with the other form. */
  compares: boolean
}

/** Reads the arguments of `domain`. */
export function readDomainRequest(args: Arguments, screens: Screens): DomainRequest {
  const { file } = args
  if (file === undefined) {
    const remedy = 'e.g. virsh dumpxml --inactive win10 | vfio-patch domain -'
    throw new CommandError(usage('the file of a guest is missing.', { remedy }))
  }
  const to = readChoice(args, 'to', 'vfio-patch domain --help') === 'xml' ? 'xml' : 'nix'
  const modernizes = args.on('mend') === true
  const compares = args.on('check') === true
  if (compares && (modernizes || args.text('to') !== undefined)) {
    throw new CommandError(
      usage(`--check does not go with ${modernizes ? '--mend' : '--to'}.`, {
        why: 'it only says whether the file comes through unchanged, and prints nothing else.',
        remedy: 'leave one of them away'
      })
    )
  }
  return { ...readCommand(args, screens), file, to, modernizes, compares }
}

/** What a command tells about the runs that were interrupted before it. */
export interface RecoveryRequest extends CommandRequest {
  root: string
  /** Whether the command may write, so that these runs are finished or taken back first. */
  writes: boolean
  gitAdd: boolean
  /** The run that `undo` names. */
  run: string | undefined
}

/** Undefined for a command that works on no file, and where the command is going to refuse `--root`. */
export function readRecoveryRequest(
  args: Arguments,
  screens: Screens
): RecoveryRequest | undefined {
  const { command, action, file } = args
  if (command === undefined || command === 'scan' || command === 'domain' || file === '-') {
    return undefined
  }
  const named = args.text('root')
  if (named !== undefined && !(isAbsolute(named) && isFolder(named))) return undefined
  const writes =
    command !== 'diff' &&
    action !== 'get' &&
    (command !== 'check' || args.on('fix') === true) &&
    args.on('dry-run') !== true &&
    args.on('list') !== true
  return {
    ...readCommand(args, screens),
    ...{ root: readRoot(args), writes, run: args.text('run') },
    gitAdd: args.on('git-add') !== false
  }
}
