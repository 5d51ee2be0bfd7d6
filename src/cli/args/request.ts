// The requests of the commands: their arguments, read once into plain values.

import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, normalize } from 'node:path'
import type { CheckMode } from '../../plan/evaluate.ts'
import type { Settings } from '../../settings/settings.ts'
import { CommandError } from '../message.ts'
import * as messages from '../messages/arguments.ts'
import type { Screens } from '../output/output.ts'
import { formatCommand } from './commands.ts'
import { CHECK_MODES } from './flags.ts'
import type { Arguments } from './parse.ts'
import { readSettings, readSpecialisation } from './settings.ts'

/** The arguments of every command. */
export interface CommandRequest {
  /** As in messages: `apply`, `option set`. */
  command: string
  /** The file, as typed. */
  file: string | undefined
  /** The whole call, quoted for a shell. */
  line: string
  /** Whether only errors are printed while the command runs; always true with `--json`. */
  quiet: boolean
  json: boolean
  verbose: boolean
  screens: Screens
}

/** Reads the arguments of every command. */
export function readCommand(args: Arguments, screens: Screens): CommandRequest {
  const { file, line } = args
  const json = args.on('json') === true
  return {
    command: formatCommand(args),
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
  /** False with `--no-input`. `--json` also forbids questions, but is not considered here. */
  mayAsk: boolean
  /** Lines of context in the diff. */
  lines: number
  /** The file for the patch. */
  output: string | undefined
  /** The command of `--eval`. */
  evalCommand: string | undefined
  backup: boolean
  /** Whether new and deleted files are registered with git. */
  gitAdd: boolean
}

/** The request of a command that may write. */
export type WritingRequest = CommandRequest & { write: WriteOptions }

/** Reads how a change is written; `mayWrite` is false for a command that never writes. */
export function readWriteOptions(args: Arguments, mayWrite: boolean): WriteOptions {
  const writes = mayWrite && args.on('dry-run') !== true
  const isConfirmed = args.on('yes') === true
  if (args.on('quiet') === true && writes && !isConfirmed) {
    throw new CommandError(messages.quietQuestion())
  }
  const lines = args.text('unified') ?? '3'
  if (!/^\d{1,4}$/.test(lines)) throw new CommandError(messages.badLineCount(lines))
  return {
    writes,
    isConfirmed,
    mayAsk: args.on('input') !== false,
    lines: Number(lines),
    output: args.text('output'),
    evalCommand: args.text('eval'),
    backup: args.on('backup') !== false,
    gitAdd: args.on('git-add') !== false
  }
}

/** The value of `--root`, which must be a folder; `/` by default. */
export function readRoot(args: Arguments): string {
  const root = args.text('root')
  if (root === undefined) return '/'
  if (!isAbsolute(root)) throw new CommandError(messages.relativeRoot(root))
  if (!isFolder(root)) throw new CommandError(messages.missingRoot(root))
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
  const mode = args.text('parse-check')
  return CHECK_MODES.find(it => it === mode) ?? 'auto'
}

/** The value of `--modules-dir`, relative to the folder of the configuration. */
function readModulesDir(args: Arguments): string | undefined {
  const folder = args.text('modules-dir')
  if (folder === undefined) return undefined
  const path = normalize(folder).replace(/\/$/, '')
  if (isAbsolute(path) || path.startsWith('..') || path === '.') {
    throw new CommandError(messages.badModulesDir(folder))
  }
  return path
}

/**
 * The release of NixOS: the value of `--release`, else the release of the system in `root`. Undefined for `unstable`,
 * and if that system is not NixOS or its release is unknown.
 */
function readRelease(args: Arguments, root: string): string | undefined {
  const release = args.text('release')
  if (release === undefined) return releaseOf(root)
  if (/^\d\d\.(?:05|11)$/.test(release)) return release
  if (release === 'unstable') return undefined
  throw new CommandError(messages.badRelease(release))
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
  /** The words of the call; the flags for answers to questions are added to them. */
  words: readonly string[]
  settings: Settings
  root: string
  sysfs: string | undefined
  modulesDir: string | undefined
  release: string | undefined
  specialisation: string | undefined
  checkMode: CheckMode
  /** The addresses of `--gpu`, as typed. */
  gpus: readonly string[]
  /** The addresses of `--confirm`, as typed: cards to pass through although they drive the screen. */
  confirmed: readonly string[]
  assumesIsolated: boolean
  /** The file that defines a guest. */
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
  /** Reads the flags for `--fix`; undefined without `--fix`. Called after the file was checked. */
  readFix: (() => { write: WriteOptions; checkMode: CheckMode }) | undefined
}

/** Reads the arguments of `check`. */
export function readCheckRequest(args: Arguments, screens: Screens): CheckRequest {
  const root = readRoot(args)
  const release = readRelease(args, root)
  const readFix = () => ({
    write: readWriteOptions(args, true),
    checkMode: readCheckMode(args)
  })
  return {
    ...readCommand(args, screens),
    ...{ root, release, sysfs: args.text('sysfs') },
    readFix: args.on('fix') === true ? readFix : undefined
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
  /** The value of `--run`. */
  run?: string
  /** Whether runs are listed instead of undone. */
  list: boolean
  /** Whether the list has all runs. */
  all: boolean
}

/** Reads the arguments of `undo`. */
export function readUndoRequest(args: Arguments, screens: Screens): UndoRequest {
  const root = readRoot(args)
  const run = args.text('run')
  const isRedo = args.on('redo') === true
  const list = args.on('list') === true
  const all = args.on('all') === true
  return {
    ...readCommand(args, screens),
    write: readWriteOptions(args, !list),
    ...{ root, kind: isRedo ? 'redo' : 'undo', list, all },
    ...(run === undefined ? {} : { run })
  }
}

export interface ScanRequest extends CommandRequest {
  sysfs: string | undefined
  /** The folder for a dump. */
  dump: string | undefined
}

/** Reads the arguments of `scan`. */
export function readScanRequest(args: Arguments, screens: Screens): ScanRequest {
  return { ...readCommand(args, screens), sysfs: args.text('sysfs'), dump: args.text('dump') }
}

export interface DomainRequest extends CommandRequest {
  file: string
  to: 'nix' | 'xml'
  /** Whether `--mend` was passed: the guest is fixed for NixOS before it is printed. */
  fixes: boolean
  /** Whether the guest is only converted back and compared. */
  compares: boolean
}

/** Reads the arguments of `domain`. */
export function readDomainRequest(args: Arguments, screens: Screens): DomainRequest {
  return {
    ...readCommand(args, screens),
    file: args.file ?? '',
    to: args.text('to') === 'xml' ? 'xml' : 'nix',
    fixes: args.on('mend') === true,
    compares: args.on('check') === true
  }
}

/** The arguments that decide how earlier, interrupted runs are recovered. */
export interface RecoveryRequest extends CommandRequest {
  root: string
  /** Whether the command may write. Otherwise it only reports interrupted runs. */
  writes: boolean
  gitAdd: boolean
  /** The value of `undo --run`. */
  run: string | undefined
}

/** Undefined for a command that edits no file, and if the command will refuse `--root`. */
export function readRecoveryRequest(
  args: Arguments,
  screens: Screens
): RecoveryRequest | undefined {
  const { command, action, file } = args
  if (command === undefined || command === 'scan' || command === 'domain' || file === '-') {
    return undefined
  }
  const root = args.text('root')
  if (root !== undefined && !(isAbsolute(root) && isFolder(root))) return undefined
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
