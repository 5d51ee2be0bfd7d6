import { readFileSync, statSync } from 'node:fs'
import { membersOf, uidOf } from './accounts.ts'
import { attempt, tried } from './attempt.ts'
import { reading } from './errno.ts'
import type { FileProblem } from './problem.ts'

/** What is known about the people on this machine. */
export interface People {
  /** The users whose folders are safe to write in. */
  trusted: ReadonlySet<number>
  passwd: string
  group: string
}

/** Root, the user this runs as and, when that is root, the user who called sudo or doas. */
export function knownPeople(env: NodeJS.ProcessEnv = process.env): People {
  const passwd = textOf('/etc/passwd')
  const self = process.geteuid?.() ?? -1
  const trusted = new Set([0, self, ...(self === 0 ? callersOf(env, passwd) : [])])
  return { trusted, passwd, group: textOf('/etc/group') }
}

/** The user who called sudo or doas, as these say in the environment of what they start. */
export function callersOf(env: NodeJS.ProcessEnv, passwd: string): number[] {
  const bySudo = /^\d+$/.test(env.SUDO_UID ?? '') ? [Number(env.SUDO_UID)] : []
  const byDoas = uidOf(env.DOAS_USER ?? '', passwd)
  return [...bySudo, ...(byDoas === null ? [] : [byDoas])]
}

/**
 * OPEN_FOLDER when someone who isn't trusted can put files into the folder: its owner, a member of
 * its group, or everyone. Null when it is safe. Access lists aren't looked at, except that they
 * show in the group's rights.
 */
export function findOpenFolder(path: string, people: People): FileProblem | null {
  const looked = attempt(() => statSync(path), reading(path))
  if (!looked.ok) return looked.error
  const { uid, gid, mode } = looked.value
  return isOpen({ uid, gid, mode }, people)
    ? { code: 'OPEN_FOLDER', path, uid, gid, mode: mode & 0o7777 }
    : null
}

/**
 * The owner of a folder that is safe only because its owner called sudo: to be told rather than
 * refused, as a configuration in one's home is the usual case. Null for any other folder.
 */
export function lenderOf(path: string, people: People): number | null {
  const looked = attempt(() => statSync(path).uid, reading(path))
  if (!looked.ok || !people.trusted.has(looked.value)) return null
  return [0, process.geteuid?.()].includes(looked.value) ? null : looked.value
}

/** The same of a folder whose facts are known. */
export function isOpen(
  folder: { uid: number; gid: number; mode: number },
  people: People
): boolean {
  if (!people.trusted.has(folder.uid) || (folder.mode & 0o002) !== 0) return true
  if ((folder.mode & 0o020) === 0 || folder.gid === 0) return false
  const members = membersOf(folder.gid, people.passwd, people.group)
  return members === null || [...members].some(uid => !people.trusted.has(uid))
}

function textOf(path: string): string {
  let text = ''
  tried(() => {
    text = readFileSync(path).toString()
  })
  return text
}
