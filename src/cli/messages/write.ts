// Confirming, evaluating and writing a plan.

import type { evalCheck } from '../../plan/evaluate.ts'
import type { Message } from '../message.ts'
import { dateOf } from './files.ts'

export const WRITE_QUESTION = 'Write these changes? [y/N] '

export const NOTHING_WRITTEN = 'Nothing was written.'

export const CANCELLED = 'Cancelled. Nothing was written.'

/** Why nobody can be asked. */
export const NO_QUESTION = {
  json: '--json was given',
  noInput: '--no-input was given',
  stdin: 'standard input is not a terminal',
  stderr: 'standard error is not a terminal'
} as const

/** `Wrote FOLDER/ (new) and FILE.`, `Wrote FILE. Removed the modules in FOLDER/.` */
export function writtenLine(names: readonly string[], removed: readonly string[]): string {
  return [
    ...(names.length > 0 ? [`Wrote ${names.join(' and ')}.`] : []),
    ...(removed.length > 0 ? [`Removed the modules in ${removed.join(' and ')}.`] : [])
  ].join(' ')
}

/** Where the backup is, and the call that undoes the run. */
export function backupLine(folder: string, call: string): string {
  return `Backup: ${folder}   Undo: ${call}`
}

/** The folder of the configuration belongs to another user. */
export function folderOwnerNote(folder: string, uid: number): string {
  return `${folder} belongs to user ${uid}, who can change it while this runs.`
}

// `--eval`

export const EVALUATES = 'Checked: evaluates.'

export function evaluatingLine(command: string): string {
  return `Evaluating a copy: ${command}`
}

/** The system does not evaluate with the change; `isOld` is whether it does not evaluate without the change either. */
export function failedMessage(output: string, isOld: boolean): Message {
  return {
    code: 'EVAL_FAILED',
    what: 'the system does not evaluate with this change.',
    nothingWritten: true,
    ...(output === '' ? {} : { excerpt: output }),
    ...(isOld ? { why: 'it does not evaluate without the change either.' } : {}),
    remedy: isOld
      ? 'fix that error first, or omit --eval; -v shows the whole output of the command'
      : 'fix the error; -v shows the whole output of the command'
  }
}

/** The configuration can't be copied for `--eval`. */
export function notCopiedMessage(
  problem: Extract<Awaited<ReturnType<typeof evalCheck>>, { status: 'not-copied' }>['problem'],
  file: string
): Message {
  return problem.code === 'TOO_MANY'
    ? {
        code: 'EVAL_NOT_COPIED',
        what: `${problem.path} contains more than ${problem.limit} files, too many to copy for --eval.`,
        nothingWritten: true,
        remedy: 'keep the configuration in a folder or git repository of its own, or omit --eval'
      }
    : {
        code: 'EVAL_NOT_COPIED',
        what: `could not copy ${file} and the files around it to ${problem.path} (${problem.syscall}: ${problem.errno}).`,
        nothingWritten: true,
        remedy: 'set TMPDIR to a folder with more space, or omit --eval'
      }
}

// Other runs.

/** A run on another configuration holds the lock. */
export function waitingNote(pid: number): string {
  return `waiting for another vfio-patch (pid ${pid}), which is writing another configuration.`
}

/** An interrupted run that this command does not recover. */
export function pendingNote(started: string | null): string {
  const when = started === null ? '' : ` (${dateOf(started)})`
  return `an earlier run was interrupted${when}; the next command that writes recovers it.`
}

/** An interrupted run that was recovered. */
export function recoveredNote(started: string, outcome: 'finished' | 'reverted'): string {
  const done = outcome === 'finished' ? 'finished' : 'rolled back'
  return `an earlier run was interrupted (${dateOf(started)}); it was ${done}.`
}
