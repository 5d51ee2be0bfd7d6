// The words for what keeps a file from being read, written or taken back.

import { dirname, join } from 'node:path'
import type { CommitProblem } from '../../storage/commit.ts'
import type { FileProblem, LockedProblem } from '../../storage/problem.ts'
import type { OnDisk } from '../../storage/work.ts'
import { type Context, callOn, stateFolderHere, undoCallOn } from '../context.ts'
import { EXIT, type Message, shellWord, type Wording, wordsOf } from '../message.ts'

const NOTHING = 'Nothing was written.'

const STATES: Record<OnDisk['state'], string> = {
  before: 'as before',
  after: 'with the change',
  other: 'something else',
  unknown: 'can not be read'
}

/** A problem with reading, where nothing was to be written. */
export function readMessage(problem: FileProblem, context: Context): Message {
  return fileMessage(problem, context, '')
}

/** A problem with writing that was found before anything was tried. */
export function obstacleMessage(problem: FileProblem, context: Context): Message {
  return fileMessage(problem, context, ` ${NOTHING}`)
}

/** A problem with writing. What it says of the disk is what was found there afterwards. */
export function commitMessage(problem: CommitProblem, context: Context): Message {
  // Then somebody else changed what is not as before.
  const isBegun = problem.code !== 'LOCKED' && problem.code !== 'INTERRUPTED'
  const isUntouched = ({ state }: OnDisk) =>
    !isBegun || state === 'before' || (state === 'other' && problem.code === 'STALE')
  const found = problem.onDisk.map(it => `${it.path} (${STATES[it.state]})`)
  const truth = problem.onDisk.every(isUntouched)
    ? NOTHING
    : `Now on the disk: ${found.join(', ')}.`
  const message = fileMessage(problem, context, ` ${truth}`)
  if (problem.leftovers.length === 0) return message
  const left = `left behind: ${problem.leftovers.join(', ')}; the next command that writes sees to it`
  return { ...message, remedy: message.remedy ? `${message.remedy}\n${left}` : left }
}

/** What went wrong after the change was made. */
export function warningMessage(problem: FileProblem, context: Context): Message {
  // The backup itself is kept by then.
  const cause = problem.code === 'BACKUP_FAILED' ? problem.cause : problem
  const { code, what, remedy } = readMessage(cause, context)
  const warning = {
    code,
    exit: EXIT.followUp,
    what: `warning: the change is written, but: ${what}`
  }
  return code === 'IMMUTABLE' && remedy !== undefined ? { ...warning, remedy } : warning
}

/** What should be gone after the change, and is still there. */
export function leftMessage(left: readonly string[]): Message {
  return {
    code: 'LEFT_BEHIND',
    exit: EXIT.followUp,
    what: `warning: the change is written, but this is left behind: ${left.join(', ')}.`,
    remedy: 'see to the cause; the next command that writes does the rest and deletes it'
  }
}

/** What, what to do and why, of a file with too many bytes; `size` is undefined where it has not ended. */
function tooBig(name: string, size: number | undefined, most: number, unsaid: string) {
  const limit = `a Nix file may have ${inMiB(most)}`
  return [
    size === undefined
      ? `${name} is too big: ${limit}.${unsaid}`
      : `${name} is too big: it has ${inMiB(size)}, and ${limit}.${unsaid}`,
    'see whether it is the right file; move big tables or texts into files of their own, which import or builtins.readFile reads',
    'to edit a bigger one and to prove the edit would take minutes and gigabytes of memory; files that people write are far smaller.'
  ] as const
}

/** The message about standard input with more than `most` bytes. */
export function tooBigInput(most: number): Message {
  const [what, remedy, why] = tooBig('standard input', undefined, most, ` ${NOTHING}`)
  return { code: 'TOO_BIG', exit: EXIT.refused, what, why, remedy }
}

/** A number of bytes in MiB, rounded up so that what is too big never looks as if it fits. */
export function inMiB(bytes: number): string {
  return `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MiB`
}

type Say = (what: string, remedy: string, why?: string) => Message

interface About {
  context: Context
  command: string
  /** The command whose run is taken back, and the command as its record says it. */
  done: string
  record: string
  /** The same call with sudo. */
  sudo: string
  /** What the disk is like after the problem; empty where nothing was to be written. */
  truth: string
  /** Said where `truth` is empty, and reading is a part of writing. */
  unsaid: string
  io: Say
  refused: Say
  stale: Say
}

function fileMessage(problem: FileProblem, context: Context, truth: string): Message {
  const { command, undoes: done = 'apply', record = command } = context
  const say =
    (exit: number): Say =>
    (what, remedy, why) => ({
      code: problem.code,
      exit,
      what: `${what}${truth}`,
      ...(why === undefined ? {} : { why }),
      remedy
    })
  return wordsOf(FILE_WORDS, problem, {
    ...{ context, command, done, record, sudo: `sudo ${context.line}`, truth },
    unsaid: truth === '' ? ` ${NOTHING}` : '',
    ...{ io: say(EXIT.io), refused: say(EXIT.refused), stale: say(EXIT.stale) }
  })
}

const AS_PATCH = 'keep the change as a patch: add --dry-run -o vfio.patch'

const FILE_WORDS: Wording<FileProblem, About, Message> = {
  NOT_FOUND: ({ path, hops }, { context, command, io }) => {
    const mnt = context.root === '/' ? '/mnt' : shellWord(context.root)
    if (command.startsWith('option ')) {
      return io(`${path} does not exist.`, 'see whether the name is right')
    }
    return io(
      hops.length > 1
        ? `${path} leads to nothing (${hops.join(' -> ')}).`
        : `${path} does not exist.`,
      [
        `pass the file: vfio-patch ${command} PATH`,
        `In an installer: nixos-generate-config --root ${mnt}, then vfio-patch ${command} --root ${mnt}`
      ].join('\n')
    )
  },
  IS_DIRECTORY: ({ path }, { context, io }) =>
    io(`${path} is a folder.`, `pass a file: ${callOn(`${path}/configuration.nix`, context)}`),
  NOT_DIRECTORY: ({ path }, { io }) =>
    io(`${path} is not a folder.`, 'move it out of the way, then run this again'),
  NOT_REGULAR: ({ path }, { refused }) =>
    refused(`${path} is not a regular file.`, 'pass the file that it stands for'),
  TOO_BIG: ({ path, size, limit }, { unsaid, refused }) =>
    refused(...tooBig(path, size, limit, unsaid)),
  NOT_READABLE: ({ path }, { sudo, io }) => io(`cannot read ${path}: permission denied.`, sudo),
  NOT_WRITABLE: ({ path }, { command, sudo, io }) =>
    io(
      `cannot write to ${path}: permission denied.`,
      command === 'undo' ? sudo : `${sudo}\nor ${AS_PATCH}`
    ),
  READ_ONLY_FS: ({ path }, { command, io }) =>
    io(
      `${path} is on a read-only file system.`,
      command === 'undo' ? 'remount it read-write' : `remount it read-write, or ${AS_PATCH}`
    ),
  STORE_LINK: ({ path, hops }, { refused }) =>
    refused(
      `${path} is a link into the Nix store (${hops.join(' -> ')}) and cannot be edited.`,
      'find the source file in your repository and pass that file',
      'it is generated, e.g. by home-manager or environment.etc.'
    ),
  LINK_LOOP: ({ path, hops }, { refused }) =>
    refused(`${path} is a link that leads back to itself.`, 'mend the link', hops.join(' -> ')),
  OUTSIDE_ROOT: ({ path, root }, { refused }) =>
    refused(`${path} is not inside ${root}.`, `pass a file below ${root}, or leave --root away`),
  IMMUTABLE: ({ path, mark }, { refused }) =>
    refused(
      mark === 'i'
        ? `${path} is immutable (chattr +i).`
        : `${path} can only be added to (chattr +a).`,
      `sudo chattr -${mark} ${shellWord(path)}, then run this again`
    ),
  MOUNT_POINT: ({ path, source }, { context, refused }) =>
    refused(
      `${path} is a mount point of its own and cannot be replaced safely.`,
      source === null
        ? 'edit the file that is mounted there'
        : `edit the original: ${callOn(source, context)}`,
      'a single file is bind-mounted, as impermanence does.'
    ),
  HARD_LINKS: ({ path, count }, { refused }) => {
    const [from, to] = [shellWord(path), shellWord(`${path}.new`)]
    return refused(
      `${path} has ${count} hard links; replacing it would separate them.`,
      `copy it first: cp ${from} ${to} && mv ${to} ${from}`
    )
  },
  OPEN_FOLDER: ({ path, uid, mode }, { refused }) => {
    const byMode = (mode & 0o022) !== 0
    return refused(
      byMode
        ? `others may write to the folder ${path} (mode ${mode.toString(8)}).`
        : `the folder ${path} belongs to another user (${uid}).`,
      byMode
        ? `sudo chmod go-w ${shellWord(path)}`
        : `run this from that user's account with sudo, or: sudo chown root: ${shellWord(path)}`,
      'somebody else could put another file in its place while this runs.'
    )
  },
  NOT_PRIVATE: ({ path, uid, mode }, { refused }) => {
    const isOwn = uid === process.geteuid?.()
    return refused(
      isOwn
        ? `the folder ${path} keeps your backups, and others have rights to it (mode ${mode.toString(8)}).`
        : `the folder ${path} is to keep your backups, and belongs to another user (${uid}).`,
      isOwn ? `chmod 700 ${shellWord(path)}` : 'move it out of the way',
      'what lies in it is what an undo puts in place.'
    )
  },
  NO_SPACE: ({ path, needed }, { io }) =>
    io(
      `no space left for ${path} (needs ${Math.ceil(needed / 1024)} KB).`,
      'free space (nix-collect-garbage), then run this again'
    ),
  IO_ERROR: ({ path, syscall, errno }, { io }) =>
    io(`error on ${path} (${syscall}: ${errno}).`, 'check the disk (dmesg) before trying again'),
  NOT_AS_WRITTEN: ({ path }, { io }) =>
    io(
      `${path} could not be written: what was read back is not what was written.`,
      'check the disk (dmesg) before trying again'
    ),
  BACKUP_FAILED: (problem, { context, command, io }) => {
    const { path } = problem
    const cause = fileMessage(problem.cause, context, '')
    const isUnsafe = cause.code === 'NOT_PRIVATE' || cause.code === 'OPEN_FOLDER'
    const isFull = cause.code === 'NO_SPACE'
    const isOthers = problem.cause.code === 'OPEN_FOLDER' && (problem.cause.mode & 0o022) === 0
    const mend = isOthers
      ? 'keep backups where nobody else can replace them, e.g. VFIO_PATCH_STATE=/var/lib/vfio-patch'
      : (isUnsafe && cause.remedy) || (isFull ? 'free space there' : 'see to that folder')
    return io(
      `could not save a backup in ${path}: ${cause.what}`,
      command !== 'undo'
        ? `${mend}, or repeat with --no-backup --yes`
        : `${mend}, then run this again`
    )
  },
  BACKUP_DAMAGED: ({ path, run }, { unsaid, io }) =>
    io(
      `the copy ${path} that run ${run} kept is damaged or gone.${unsaid}`,
      'restore the file from a backup of your own'
    ),
  STALE: ({ path }, { command, stale }) =>
    stale(
      `${path} changed while you were deciding.`,
      `run vfio-patch ${command} again to see a fresh diff`
    ),
  LOCKED: (problem, { context, unsaid, truth }) => lockedMessage(problem, context, truth || unsaid),
  EDITED_SINCE: ({ path, found }, { context, done, record, unsaid, stale }) =>
    stale(
      found === null
        ? `${path} was removed after the last ${done}.${unsaid}`
        : `${path} was edited after the last ${done}, so ${record === 'undo --redo' ? 'redo' : 'undo'} would lose those edits.${unsaid}`,
      found === null
        ? 'put the file back as it was, then run this again'
        : record === 'undo --redo'
          ? 'take your edit out by hand, or run the command again that was undone'
          : done === 'apply'
            ? `take it out and keep your edits: ${process.geteuid?.() === 0 ? 'sudo ' : ''}${callOn(context.file, context, 'remove')}`
            : 'take the change out by hand'
    ),
  INTERRUPTED: (problem, { context, unsaid, truth }) =>
    interruptedMessage(problem, context, truth || unsaid),
  RECORD_DAMAGED: ({ path, run }, { context, unsaid, io }) =>
    io(
      `the record of run ${run} is damaged, or of another version: ${path}.${unsaid}`,
      [
        `take another run back by its name: ${undoCallOn(undefined, context)} --list`,
        `or leave that run out for good: rm -r ${shellWord(dirname(path))}`
      ].join('\n'),
      'it may have changed the files last, and nobody knows which ones.'
    ),
  NO_RUN: ({ path }, { context, io }) =>
    io(`there is nothing to undo for ${path}.`, otherRuns(context))
}

/** Another run that holds a lock: who, of which folder, since when, and how it was called. */
function lockedMessage(
  { code, folder, pid, command, since }: LockedProblem,
  context: Context,
  truth: string
): Message {
  const isShared = folder === stateFolderHere(context.root)
  const who = `another vfio-patch (pid ${pid})`
  // The lock is that of the folder, and the file may be a module that is not there yet.
  const what = isShared
    ? `${who} is writing another configuration, and was not done after ${WAITED} seconds.`
    : `${who} is working on ${context.file}.`
  const when = since === null ? '' : ` since ${secondOf(since)} UTC`
  const called = command === null ? '' : `, by: ${command}`
  const lock = shellWord(join(folder, '.vfio-patch.lock'))
  return {
    code,
    exit: EXIT.stale,
    what: `${what}${truth}`,
    why: isShared
      ? `all configurations share the backups in ${folder}, which are locked${when}${called}`
      : `it holds the lock of ${folder}${when}${called}`,
    remedy:
      command === null
        ? `wait for it and run this again; if process ${pid} is something else: rm ${lock}`
        : 'wait for it and run this again'
  }
}

/** How long a run waits for one on another configuration, in seconds. */
export const WAITED = 5

/** An earlier run that this one can't finish or take back. */
function interruptedMessage(
  problem: Extract<FileProblem, { code: 'INTERRUPTED' }>,
  context: Context,
  truth: string
): Message {
  const { code, path, why, journal, started, cause } = problem
  const when = started === null ? '' : ` (${dateOf(started)})`
  const earlier = `an earlier run was interrupted${when}`
  const accept = `rm ${shellWord(journal)}`
  // Where a way back was begun, some of it may be done.
  const said = why === 'STUCK' ? '' : truth
  const caused = cause === undefined ? undefined : readMessage(cause, context)
  const message = (what: string, remedy: string, reason?: string): Message => ({
    code,
    exit: EXIT.stale,
    what: `${earlier}${what}.${said}`,
    ...(reason === undefined ? {} : { why: reason }),
    remedy
  })
  switch (why) {
    case 'EDITED':
      return message(
        `, and ${path} was edited since`,
        `see that your files are as you want them (old versions: ${undoCallOn(undefined, context)} --list), then: ${accept}`
      )
    case 'STUCK':
      return message(
        `, and ${path} could not be put right`,
        [
          caused?.remedy ?? 'see whether it can be read and written, then run this again',
          `to keep all as it is: ${accept}`
        ].join('\n'),
        caused?.what
      )
    case 'OTHERS':
      // Root can read every record: this one was not believed.
      return process.geteuid?.() === 0
        ? message(
            ` whose record ${path} another user could have put there`,
            `as that user run this without sudo; or see that your files are as you want them, then: ${accept}`,
            "with sudo such a record counts only for that user's own folders"
          )
        : message(
            ' that another user had started',
            `run this as that user, e.g. sudo ${context.line}`
          )
    case 'DAMAGED':
      return message(
        `, and its record ${path} is damaged`,
        `see that your files are as you want them, then: ${accept}`
      )
    case 'PENDING':
      return message(' just now', 'run this again; it finishes that run or takes it back first')
  }
}

/** A time of ISO 8601 as people read it, by their own clock: `2026-11-22 16:03`. */
export function dateOf(time: string): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return 'at an unknown time'
  const two = (value: number) => String(value).padStart(2, '0')
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

/** The same with seconds. */
function secondOf(time: string): string {
  return time.replace('T', ' ').slice(0, 19)
}

function otherRuns(context: Context): string {
  const list = `see the runs: ${undoCallOn(undefined, context)} --list`
  // Each user has runs of their own.
  const isRoot = process.geteuid?.() === 0
  return isRoot ? list : `${list}\nor, if it was run with sudo: sudo ${context.line}`
}
