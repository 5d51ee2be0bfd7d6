import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { locateTarget, readSnapshot } from '../storage/read.ts'
import { stateFolder } from '../storage/stateFolder.ts'
import type { CommandRequest } from './args/request.ts'
import { shellWord } from './message.ts'

/** What messages have to name: the command as it was called, and on which file. */
export interface Context {
  command: string
  file: string
  root: string
  /** The file that is meant where none is named. */
  unnamed: string | undefined
  /** The whole call as it was typed, to be typed again. */
  line: string
  /** The words after the file in the call, with the flags that belong to them; may be empty. */
  tail: string
  /** Whose run an undo takes back, once that is known. */
  undoes?: string
  /** The command as the record of its run says it, where that is not `command`. */
  record?: string
  color: boolean
  width: number
}

/**
 * What a command on a file has to name: `file` as the user wrote it, and `tail`, the words after it that
 * belong to it.
 */
export function contextOf(
  request: CommandRequest & { root: string },
  file: string,
  tail = ''
): Context {
  const { command, root, line, screens } = request
  const { color, width } = screens.err
  // Where one was named, $NIXOS_CONFIG may stand for another.
  const unnamed = request.file === undefined ? join(root, 'etc/nixos/configuration.nix') : undefined
  return { command, file, root, unnamed, line, tail, color, width }
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

/** The folder with the backups that this process uses. */
export function stateFolderHere(root: string): string {
  const folder = stateFolder({
    root,
    uid: process.geteuid?.() ?? -1,
    home: homedir(),
    env: process.env
  })
  // Links on the way lead where they lead in that system; a folder elsewhere is meant as it is.
  const inside = root === '/' ? undefined : locateTarget(folder, { root })
  return inside?.ok ? inside.value.realpath : folder
}

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
) as { version: string }

/** The version of this package. */
export const VERSION = version

/** What this process is about to change, by what it was when the plan was made; null for nothing. */
const files = new Map<string, { name: string; before: string | null }>()

/** Remembers a file, so that a message about an internal error can say what became of it. */
export function watch(realpath: string, name: string, before: { sha256: string } | null): void {
  if (!files.has(realpath)) files.set(realpath, { name, before: before?.sha256 ?? null })
}

/** What is on the disk now, as a sentence; empty where no file is watched. */
export function stateOfWatched(): string {
  const changed = [...files].filter(([realpath, { before }]) => {
    const now = readSnapshot(realpath)
    return !now.ok || (now.value?.sha256 ?? null) !== before
  })
  const [first] = files.values()
  if (first === undefined) return ''
  return changed.length > 0
    ? ` Not as before any more: ${changed.map(([, it]) => it.name).join(', ')}.`
    : ` ${first.name} is unchanged.`
}
