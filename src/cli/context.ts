import { join } from 'node:path'
import type { Arguments } from './arguments/parseArguments.ts'
import { shellWord } from './arguments/shellWord.ts'
import type { Screen } from './show/terminal.ts'

/** What the sentences have to name: the command as it was called, and on which file. */
export interface Context {
  command: string
  file: string
  root: string
  /** The file that is meant where none is named. */
  unnamed: string | undefined
  /** The whole call as it was typed, to be typed again. */
  line: string
  /** What stands behind the file in the call, with the flags that belong to it; blank if nothing. */
  tail: string
  /** Whose run an undo takes back, once that is known. */
  undoes?: string
  /** The command as the record of its run says it, where that is not `command`. */
  record?: string
  color: boolean
  width: number
}

/** What a command on a file has to name; `file` as the person knows it, `tail` what stands behind it. */
export function contextOf(
  command: string,
  file: string,
  root: string,
  given: Arguments,
  screen: Screen,
  tail = ''
): Context {
  const { color, width } = screen
  // Where one was named, $NIXOS_CONFIG may stand for another.
  const unnamed = given.file === undefined ? join(root, 'etc/nixos/configuration.nix') : undefined
  return { command, file, root, unnamed, line: `vfio-patch ${given.line}`, tail, color, width }
}

/** The file as a sentence names it. */
export function nameOfFile({ file }: Context): string {
  return file === '-' ? 'standard input' : file
}

/** How `undo` is called about the runs of this account, as each account has runs of its own. */
export function undoCallOn(file: string | undefined, context: Context): string {
  return `${process.geteuid?.() === 0 ? 'sudo ' : ''}${callOn(file, context, 'undo')}`
}

/** How the command, or another one, is called on a file (or on none) of the same system. */
export function callOn(
  file: string | undefined,
  { root, unnamed, command: same, tail }: Context,
  command = same
): string {
  const words = ['vfio-patch', command]
  if (file !== undefined && file !== unnamed) words.push(shellWord(file))
  if (root !== '/') words.push('--root', shellWord(root))
  if (command === same && tail !== '') words.push(tail)
  return words.join(' ')
}
