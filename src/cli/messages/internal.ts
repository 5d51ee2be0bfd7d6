// Errors of the program itself, and output that can't be written.

import type { Message } from '../message.ts'

/** A file that this process was about to change. */
interface WatchedFile {
  name: string
  hasChanged: boolean
}

/** A bug. `line` is the call as typed, `stack` is shown with `-v`. */
export function bugMessage(
  reason: string,
  files: readonly WatchedFile[],
  { line, stack, isVerbose }: { line: string; stack: string | undefined; isVerbose: boolean }
): Message {
  return {
    code: 'INTERNAL',
    what: `internal error: ${reason}.${stateOf(files)}`,
    ...(stack === undefined ? {} : { why: stack }),
    remedy: `please report it, with the output of: vfio-patch ${line}${isVerbose ? '' : ' -v'}`
  }
}

/** The state of the files, as a sentence; empty without files. */
function stateOf(files: readonly WatchedFile[]): string {
  const [first] = files
  if (first === undefined) return ''
  const changed = files.filter(it => it.hasChanged).map(it => it.name)
  return changed.length > 0 ? ` Changed: ${changed.join(', ')}.` : ` ${first.name} is unchanged.`
}

/** Standard output can't be written; `isWritten` is whether the change was made before. */
export function outputLost(errno: string | undefined, isWritten: boolean): Message {
  return {
    code: 'IO_ERROR',
    isWarning: isWritten,
    what: `the output could not be written (${errno}).`,
    remedy: 'check whether the output device has space left'
  }
}

/** No command was given, with `--json`. */
export const NO_COMMAND = { what: 'a command is missing.', remedy: 'vfio-patch --help' } as const
