import { parseDocument } from '../../nix/index.ts'
import type { Settings } from '../../vfio/settings.ts'
import { list } from './deviceWords.ts'

/**
 * What to know where shared memory becomes root's because no user is known, which is of no use to whoever
 * looks at the guest; nothing where one of the files seems to put somebody into its group. Options have
 * `prefix` before them.
 */
export function ownerNotes(
  { sharedMemoryFiles = [] }: Settings,
  before: string,
  after: string,
  files: readonly { text: string }[],
  prefix: readonly string[]
): string[] {
  const isRoots = (text: string, name: string) =>
    parseDocument(text)
      .getIn([...prefix, 'virtualisation', 'sharedMemoryFiles', name, 'user'])
      .some(it => it.source === '"root"')
  const names = sharedMemoryFiles
    .filter(it => it.user === undefined && !isRoots(before, it.name) && isRoots(after, it.name))
    .map(it => it.name)
  if (names.length === 0 || files.some(it => /"kvm"/.test(it.text))) return []
  const [verb, them] = names.length === 1 ? ['belongs', 'it'] : ['belong', 'them']
  return [
    `Note: ${list(names)} ${verb} to root, so nobody else can open ${them}. Name who looks at the guest: --user NAME.`
  ]
}
