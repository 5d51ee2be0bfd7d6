import { dirname } from 'node:path'
import { knownPeople } from '../../files/openFolder.ts'
import { findOpenParents, isLedToRoots, isOutOfReach } from '../../files/openWay.ts'
import type { TargetFile } from '../../files/target.ts'
import { shellWord } from '../arguments/shellWord.ts'
import { type Context, callOn } from '../context.ts'
import { EXIT, type Message } from '../message.ts'

/** The refusal of a file that another user's folder or link leads to; undefined where that is not so. */
export function ledToRootsMessage(context: Context, realpath: string): Message | undefined {
  if (!isLedToRoots(context.file, realpath)) return undefined
  return {
    code: 'LED_TO_ROOT',
    exit: EXIT.refused,
    what: `${context.file} leads through another user's folder or link to ${realpath}, which only root can change. Nothing was written.`,
    why: "that user could make it lead to any file of root's.",
    remedy: `name the file itself: sudo ${callOn(realpath, context)}`
  }
}

/**
 * The refusal of a change that would reach from a configuration in another user's folder into a folder of
 * root's; undefined where none of these paths does.
 */
export function reachesRootsMessage(
  { file }: Context,
  { realpath }: TargetFile,
  paths: readonly string[]
): Message | undefined {
  const folder = dirname(realpath)
  const path = paths.find(it => isOutOfReach(it, folder))
  if (path === undefined) return undefined
  return {
    code: 'LED_TO_ROOT',
    exit: EXIT.refused,
    what: `${file} is in another user's folder, and a link or an import there leads to ${path}, which only root can change. Nothing was written.`,
    why: "that user could make it lead to any folder of root's.",
    remedy: `put a folder of that user's in place of the link, or run this without sudo`
  }
}

/**
 * A note where somebody else can put another configuration in the place of this one, by a folder that
 * leads to it; undefined where nobody can.
 */
export function openWayNote({ realpath, uid }: TargetFile): string | undefined {
  const open = findOpenParents(realpath, uid, knownPeople())
  const [first] = open
  if (first === undefined) return undefined
  const folders = open.map(
    it =>
      `${it.path} (${(it.mode & 0o022) === 0 ? `of user ${it.uid}` : `mode ${it.mode.toString(8)}`})`
  )
  const isByMode = (first.mode & 0o022) !== 0
  const remedy = isByMode
    ? `chmod go-w ${shellWord(first.path)}`
    : `chown root: ${shellWord(first.path)}`
  return `others can write to ${folders.join(' and ')} and so replace ${realpath}, which root builds: sudo ${remedy}`
}
