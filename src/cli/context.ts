import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { locateTarget, readSnapshot } from '../storage/read.ts'
import { stateFolder } from '../storage/stateFolder.ts'
import type { CommandRequest } from './args/request.ts'
import { shellWord } from './message.ts'

/** What messages refer to: the command as it was called, and its file. */
export interface Context {
  command: string
  file: string
  root: string
  /** The file that the command uses if the call names none; undefined if the call names one. */
  defaultFile: string | undefined
  /** The whole call as typed, so that a message can repeat it. */
  line: string
  /** The arguments after the file with their flags; may be empty. */
  tail: string
  /** The command of the run that is undone, if that run is known. */
  undoes?: string
  /** The command in the record of this run, if it differs from `command`. */
  record?: string
  color: boolean
  width: number
}

/** The context of a command on `file`, as the user wrote it; `tail` are the arguments after the file. */
export function contextOf(
  request: CommandRequest & { root: string },
  file: string,
  tail = ''
): Context {
  const { command, root, line, screens } = request
  const { color, width } = screens.err
  // If the call named a file, a repeated call must name it too: $NIXOS_CONFIG may be another file.
  const defaultFile =
    request.file === undefined ? join(root, 'etc/nixos/configuration.nix') : undefined
  return { command, file, root, defaultFile, line, tail, color, width }
}

/** The name of the file in a sentence. */
export function nameOfFile({ file }: Context): string {
  return file === '-' ? 'standard input' : file
}

/** The call of `undo` for this account's runs. */
export function undoCallOn(file: string | undefined, context: Context): string {
  return `${process.geteuid?.() === 0 ? 'sudo ' : ''}${callOn(file, context, 'undo')}`
}

/** The call of a command, by default the current one, on a file of the same system, or without a file. */
export function callOn(
  file: string | undefined,
  { root, defaultFile, command: own, tail }: Context,
  command = own
): string {
  const words = ['vfio-patch', command]
  if (file !== undefined && file !== defaultFile) words.push(shellWord(file))
  if (root !== '/') words.push('--root', shellWord(root))
  if (command === own && tail !== '') words.push(tail)
  return words.join(' ')
}

/** The folder in which this process keeps backups. */
export function stateFolderHere(root: string): string {
  const folder = stateFolder({
    root,
    uid: process.geteuid?.() ?? -1,
    home: homedir(),
    env: process.env
  })
  // Symlinks are resolved inside the root. A folder outside of the root is used as it is.
  const inside = root === '/' ? undefined : locateTarget(folder, { root })
  return inside?.ok ? inside.value.realpath : folder
}

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
) as { version: string }

/** The version of this package. */
export const VERSION = version

/** The files that this process is about to change, with their hashes when the plan was made; null if absent. */
const files = new Map<string, { name: string; before: string | null }>()

/** Remembers a file, so that an internal error reports whether it has changed. */
export function watch(realpath: string, name: string, before: { sha256: string } | null): void {
  if (!files.has(realpath)) files.set(realpath, { name, before: before?.sha256 ?? null })
}

/** The watched files, and whether they have changed. */
export function watchedFiles(): { name: string; hasChanged: boolean }[] {
  return [...files].map(([realpath, { name, before }]) => {
    const now = readSnapshot(realpath)
    return { name, hasChanged: !now.ok || (now.value?.sha256 ?? null) !== before }
  })
}
