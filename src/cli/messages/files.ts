// Why a file can't be read, written or restored.

import { dirname, join } from 'node:path'
import type { CommitProblem } from '../../storage/commit.ts'
import type { FileProblem, LockedProblem } from '../../storage/problem.ts'
import type { OnDisk } from '../../storage/work.ts'
import { type Context, callOn, stateFolderHere, undoCallOn } from '../context.ts'
import { type Message, shellWord, type Wording, type Words, wordsOf } from '../message.ts'

/** What a message says about the files: that nothing was written, or the state of each file. */
type Effect = Pick<Message, 'nothingWritten' | 'onDisk'>

const STATES: Record<OnDisk['state'], string> = {
  before: 'as before',
  after: 'with the change',
  other: 'with other content',
  unknown: 'unreadable'
}

/** A problem with reading, before there was anything to write. */
export function readMessage(problem: FileProblem, context: Context): Message {
  return fileMessage(problem, context, {})
}

/** A problem with writing that was found before anything was written. */
export function obstacleMessage(problem: FileProblem, context: Context): Message {
  return fileMessage(problem, context, { nothingWritten: true })
}

/** A problem with writing, with what the files contained afterwards. */
export function commitMessage(problem: CommitProblem, context: Context): Message {
  // Before the run began, only somebody else can have changed a file.
  const isBegun = problem.code !== 'LOCKED' && problem.code !== 'INTERRUPTED'
  const isUntouched = ({ state }: OnDisk) =>
    !isBegun || state === 'before' || (state === 'other' && problem.code === 'STALE')
  const effect = problem.onDisk.every(isUntouched)
    ? { nothingWritten: true }
    : { onDisk: problem.onDisk.map(it => `${it.path} (${STATES[it.state]})`) }
  const message = fileMessage(problem, context, effect)
  if (problem.leftovers.length === 0) return message
  const left = `not deleted: ${problem.leftovers.join(', ')}; the next command that writes deletes this`
  return { ...message, remedy: message.remedy ? `${message.remedy}\n${left}` : left }
}

/** A problem after the change was made. */
export function warningMessage(problem: FileProblem, context: Context): Message {
  // The backup itself was saved before the change.
  const cause = problem.code === 'BACKUP_FAILED' ? problem.cause : problem
  const { code, what, remedy } = readMessage(cause, context)
  const warning: Message = { code, isWarning: true, what }
  return code === 'IMMUTABLE' && remedy !== undefined ? { ...warning, remedy } : warning
}

/** Files that a run could not delete after the change was made. */
export function leftMessage(left: readonly string[]): Message {
  return {
    code: 'LEFT_BEHIND',
    isWarning: true,
    what: `could not delete ${left.join(', ')}.`,
    remedy:
      'fix the cause; the next time a command writes, it also finishes this run and deletes these files'
  }
}

/** Why a file has too many bytes; `size` is undefined if it is not known. */
function tooBig(name: string, size: number | undefined, most: number): Words {
  const limit = `the limit for a Nix file is ${inMiB(most)}`
  const has = size === undefined ? '' : `it is ${inMiB(size)}, and `
  return {
    what: `${name} is too big: ${has}${limit}.`,
    nothingWritten: true,
    why: 'editing a bigger file and proving the edit would take minutes and gigabytes of memory; files that people write are far smaller.',
    remedy:
      'check that this is the right file; move big tables or texts into separate files, and read these with import or builtins.readFile'
  }
}

/** Standard input has more than `most` bytes. */
export function tooBigInput(most: number): Message {
  return { code: 'TOO_BIG', ...tooBig('standard input', undefined, most) }
}

/** A number of bytes in MiB, rounded up: a file that is too big never seems to fit. */
export function inMiB(bytes: number): string {
  return `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MiB`
}

interface About {
  context: Context
  command: string
  /** The command of the run that is undone. */
  undone: string
  /** The current command as its record has it. */
  record: string
  /** The same call with sudo. */
  sudo: string
}

function fileMessage(problem: FileProblem, context: Context, effect: Effect): Message {
  const { command, undoes: undone = 'apply', record = command } = context
  const about = { context, command, undone, record, sudo: `sudo ${context.line}` }
  const words = wordsOf(FILE_WORDS, problem, about)
  // A restore that failed may already have written some files.
  const isStuck = problem.code === 'INTERRUPTED' && problem.why === 'STUCK'
  return { code: problem.code, ...words, ...(isStuck ? {} : effect) }
}

const AS_PATCH = 'keep the change as a patch: add --dry-run -o vfio.patch'

/** Codes of problems with reading that only matter to commands that write have `nothingWritten`. */
const FILE_WORDS: Wording<FileProblem, About, Words> = {
  NOT_FOUND: ({ path, hops }, { context, command }) => {
    const mnt = context.root === '/' ? '/mnt' : shellWord(context.root)
    if (command.startsWith('option ')) {
      return { what: `${path} does not exist.`, remedy: 'check the file name' }
    }
    return {
      what:
        hops.length > 1
          ? `${path} is a dangling symlink (${hops.join(' -> ')}).`
          : `${path} does not exist.`,
      remedy: [
        `pass the file: vfio-patch ${command} PATH`,
        `or, in an installer: nixos-generate-config --root ${mnt}, then vfio-patch ${command} --root ${mnt}`
      ].join('\n')
    }
  },
  IS_DIRECTORY: ({ path }, { context }) => ({
    what: `${path} is a folder.`,
    remedy: `pass a file: ${callOn(`${path}/configuration.nix`, context)}`
  }),
  NOT_DIRECTORY: ({ path }) => ({
    what: `${path} is not a folder.`,
    remedy:
      'check the path; if vfio-patch has to create a folder with this name, rename the file first'
  }),
  NOT_REGULAR: ({ path }) => ({
    what: `${path} is not a regular file.`,
    remedy: 'pass a regular file'
  }),
  TOO_BIG: ({ path, size, limit }) => tooBig(path, size, limit),
  NOT_READABLE: ({ path }, { sudo }) => ({
    what: `cannot read ${path}: permission denied.`,
    remedy: sudo
  }),
  NOT_WRITABLE: ({ path }, { command, sudo }) => ({
    what: `cannot write to ${path}: permission denied.`,
    remedy: command === 'undo' ? sudo : `${sudo}\nor ${AS_PATCH}`
  }),
  READ_ONLY_FS: ({ path }, { command }) => ({
    what: `${path} is on a read-only file system.`,
    remedy: command === 'undo' ? 'remount it read-write' : `remount it read-write, or ${AS_PATCH}`
  }),
  STORE_LINK: ({ path, hops }) => ({
    what: `${path} is a symlink into the Nix store (${hops.join(' -> ')}) and cannot be edited.`,
    why: 'it is generated, e.g. by home-manager or environment.etc.',
    remedy: 'find the source file in your repository and pass that file'
  }),
  LINK_LOOP: ({ path, hops }) => ({
    what: `${path} is a symlink that leads back to itself.`,
    why: hops.slice(0, firstRepetition(hops) + 1).join(' -> '),
    remedy: 'fix the symlink'
  }),
  OUTSIDE_ROOT: ({ path, root }) => ({
    what: `${path} is not inside ${root}.`,
    remedy: `pass a file below ${root}, or omit --root`
  }),
  IMMUTABLE: ({ path, mark }) => ({
    what: `${path} is ${mark === 'i' ? 'immutable' : 'append-only'} (chattr +${mark}).`,
    remedy: `sudo chattr -${mark} ${shellWord(path)}, then run this again`
  }),
  MOUNT_POINT: ({ path, source }, { context }) => ({
    what: `${path} is a mount point and cannot be replaced safely.`,
    why: 'the file itself is bind-mounted, e.g. by impermanence.',
    remedy:
      source === null
        ? 'edit the file that is mounted there'
        : `edit the original: ${callOn(source, context)}`
  }),
  HARD_LINKS: ({ path, count }) => {
    const [from, to] = [shellWord(path), shellWord(`${path}.new`)]
    return {
      what: `${path} has ${count} hard links; replacing it would separate them.`,
      remedy: `copy it first: cp ${from} ${to} && mv ${to} ${from}`
    }
  },
  OPEN_FOLDER: ({ path, uid, mode }) => {
    const isByMode = (mode & 0o022) !== 0
    return {
      what: isByMode
        ? `other users can write to the folder ${path} (mode ${mode.toString(8)}).`
        : `the folder ${path} belongs to another user (${uid}).`,
      why: 'another user could replace files in it while this runs.',
      remedy: isByMode
        ? `sudo chmod go-w ${shellWord(path)}`
        : `log in as that user and run this with sudo, or change the owner: sudo chown root: ${shellWord(path)}`
    }
  },
  NOT_PRIVATE: ({ path, uid, mode }) => {
    const isOwn = uid === process.geteuid?.()
    return {
      what: isOwn
        ? `other users have access to ${path}, the folder with your backups (mode ${mode.toString(8)}).`
        : `${path}, the folder for your backups, belongs to another user (${uid}).`,
      why: 'undo restores files from this folder.',
      remedy: isOwn ? `chmod 700 ${shellWord(path)}` : 'rename that folder'
    }
  },
  NO_SPACE: ({ path, needed }) => ({
    what: `no space left for ${path} (needs ${Math.ceil(needed / 1024)} KB).`,
    remedy: 'free space (nix-collect-garbage), then run this again'
  }),
  IO_ERROR: ({ path, syscall, errno }) => ({
    what: `error on ${path} (${syscall}: ${errno}).`,
    remedy: 'check the disk (dmesg) before trying again'
  }),
  NOT_AS_WRITTEN: ({ path }) => ({
    what: `${path} could not be written: reading it back returned other bytes.`,
    remedy: 'check the disk (dmesg) before trying again'
  }),
  BACKUP_FAILED: (problem, { context, command }) => {
    const cause = fileMessage(problem.cause, context, {})
    const remedy = backupRemedy(problem.cause, cause.remedy)
    return {
      what: `could not save a backup in ${problem.path}: ${cause.what}`,
      remedy:
        command === 'undo'
          ? `${remedy}, then run this again`
          : `${remedy}, or repeat with --no-backup --yes`
    }
  },
  BACKUP_DAMAGED: ({ path, run }) => ({
    what: `the backup ${path} of run ${run} is damaged or missing.`,
    nothingWritten: true,
    remedy: 'restore the file from a backup of your own'
  }),
  STALE: ({ path }, { command }) => ({
    what: `${path} changed while you were deciding.`,
    remedy: `run vfio-patch ${command} again to see the new diff`
  }),
  LOCKED: (problem, { context }) => lockedWords(problem, context),
  EDITED_SINCE: ({ path, found }, about) => {
    const isRedo = about.record === 'undo --redo'
    return {
      what:
        found === null
          ? `${path} was removed after the last ${about.undone}.`
          : `${path} was edited after the last ${about.undone}, so ${isRedo ? 'redo' : 'undo'} would lose those edits.`,
      nothingWritten: true,
      remedy: found === null ? 'restore the file, then run this again' : remedyForEdit(about)
    }
  },
  INTERRUPTED: (problem, { context }) => interruptedWords(problem, context),
  RECORD_DAMAGED: ({ path, run }, { context }) => ({
    what: `the record of run ${run} is damaged or from another version: ${path}.`,
    nothingWritten: true,
    why: 'this may be the last run that changed the file, and only its record lists the files it changed.',
    remedy: [
      `undo another run by its ID: ${undoCallOn(undefined, context)} --list`,
      `or discard that run: rm -r ${shellWord(dirname(path))}`
    ].join('\n')
  }),
  NO_RUN: ({ path }, { context }) => ({
    what: `there is nothing to undo for ${path}.`,
    remedy: otherRuns(context)
  })
}

/** What to do so that backups can be saved. */
function backupRemedy(cause: FileProblem, remedy: string | undefined): string {
  switch (cause.code) {
    case 'OPEN_FOLDER':
      if ((cause.mode & 0o022) === 0) {
        return 'keep backups where nobody else can replace them, e.g. VFIO_PATCH_STATE=/var/lib/vfio-patch'
      }
      return remedy ?? 'check that folder'
    case 'NOT_PRIVATE':
      return remedy ?? 'check that folder'
    case 'NO_SPACE':
      return 'free space there'
    default:
      return 'check that folder'
  }
}

function remedyForEdit({ context, undone, record }: About): string {
  if (record === 'undo --redo') return 'revert your edit, or run the undone command again'
  if (undone !== 'apply') return 'revert the change in an editor'
  const sudo = process.geteuid?.() === 0 ? 'sudo ' : ''
  return `remove vfio-patch and keep your edits: ${sudo}${callOn(context.file, context, 'remove')}`
}

/** Another run holds a lock: its process, the locked folder, the start time, and its command line. */
function lockedWords({ folder, pid, command, since }: LockedProblem, context: Context): Words {
  const isShared = folder === stateFolderHere(context.root)
  const who = `another vfio-patch (pid ${pid})`
  const when = since === null ? '' : ` since ${secondOf(since)} UTC`
  const holds = since === null ? 'holds' : 'has held'
  const called = command === null ? '' : `, and runs: ${command}`
  const lock = shellWord(join(folder, '.vfio-patch.lock'))
  return {
    // The lock is on a folder, and the file in the context may be a module that does not exist yet.
    what: isShared
      ? `${who} is writing another configuration, and did not finish within ${WAITED} seconds.`
      : `${who} is working on ${context.file}.`,
    nothingWritten: true,
    why: isShared
      ? `all configurations share the backup folder ${folder}; it ${holds} the lock${when}${called}`
      : `it ${holds} the lock of ${folder}${when}${called}`,
    remedy:
      command === null
        ? `wait until it ends, then run this again; if process ${pid} is not vfio-patch: rm ${lock}`
        : 'wait until it ends, then run this again'
  }
}

/** How many seconds a run waits for a run on another configuration. */
export const WAITED = 5

/** An interrupted run that can't be finished or rolled back now. */
function interruptedWords(
  problem: Extract<FileProblem, { code: 'INTERRUPTED' }>,
  context: Context
): Words {
  const { path, why, journal, started, cause } = problem
  const when = started === null ? '' : ` (${dateOf(started)})`
  const earlier = `an earlier run was interrupted${when}`
  const removeJournal = `rm ${shellWord(journal)}`
  const caused = cause === undefined ? undefined : readMessage(cause, context)
  switch (why) {
    case 'EDITED':
      return {
        what: `${earlier}, and ${path} was edited since.`,
        nothingWritten: true,
        remedy: `check that your files are as you want them (old versions: ${undoCallOn(undefined, context)} --list), then: ${removeJournal}`
      }
    case 'STUCK':
      return {
        what: `${earlier}, and ${path} could not be restored.`,
        ...(caused === undefined ? {} : { why: caused.what }),
        remedy: [
          caused?.remedy ?? 'make it readable and writable, then run this again',
          `or, to keep everything as it is: ${removeJournal}`
        ].join('\n')
      }
    case 'OTHERS':
      // Root can read every record, so this record is not trusted.
      return process.geteuid?.() === 0
        ? {
            what: `${earlier}, and another user could have written its record ${path}.`,
            nothingWritten: true,
            why: "with sudo, a record by another user is accepted only for that user's own folders.",
            remedy: `run this as that user without sudo; or check that your files are as you want them, then: ${removeJournal}`
          }
        : {
            what: `${earlier}; another user had started it.`,
            nothingWritten: true,
            remedy: `run this as that user, e.g. sudo ${context.line}`
          }
    case 'DAMAGED':
      return {
        what: `${earlier}, and its record ${path} is damaged.`,
        nothingWritten: true,
        remedy: `check that your files are as you want them, then: ${removeJournal}`
      }
    case 'PENDING':
      return {
        what: `${earlier} just now.`,
        nothingWritten: true,
        remedy: 'run this again; it first finishes that run or rolls it back'
      }
  }
}

/** An ISO 8601 time in local time: `2026-11-22 16:03`. */
export function dateOf(time: string): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return 'at an unknown time'
  const two = (value: number) => String(value).padStart(2, '0')
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

/** The date and the time with seconds of an ISO 8601 time, not converted. */
function secondOf(time: string): string {
  return time.replace('T', ' ').slice(0, 19)
}

function otherRuns(context: Context): string {
  const list = `list the runs: ${undoCallOn(undefined, context)} --list`
  // Each account has its own runs.
  const isRoot = process.geteuid?.() === 0
  return isRoot ? list : `${list}\nor, if it was run with sudo: sudo ${context.line}`
}

/** The index of the first item that is equal to an earlier one, or of the last item. */
function firstRepetition(items: readonly string[]): number {
  const index = items.findIndex((it, i) => items.indexOf(it) < i)
  return index === -1 ? items.length - 1 : index
}
