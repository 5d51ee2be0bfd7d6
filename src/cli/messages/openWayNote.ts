import { knownPeople } from '../../files/openFolder.ts'
import { findOpenParents } from '../../files/openWay.ts'
import type { TargetFile } from '../../files/target.ts'
import { shellWord } from '../arguments/shellWord.ts'

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
