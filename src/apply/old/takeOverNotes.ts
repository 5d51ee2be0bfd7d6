import type { SetValues } from './oldValues.ts'

/** What becomes different where our modules take the place of others, and a person has to know. */
export type TakeOverNote =
  /** `disableEFIfb` writes another parameter, which has an effect. */
  | { code: 'DARK_BOOT' }
  /** `applyACSpatch` no longer patches the kernel. */
  | { code: 'NO_ACS_PATCH' }
  /** The group `kvm` may no longer open what is under /dev/vfio. */
  | { code: 'NO_DEVICE_GROUP' }
  /** QEMU's own user stays in the group `input`, where the other module had put it. */
  | { code: 'INPUT_GROUP' }
  /** These files in /dev/shm get another group and mode, as none was set. */
  | { code: 'SHARED_BY_KVM'; names: readonly string[] }

/** What changes by what is set, and by what the modules that go did, `theirs`. */
export function takeOverNotes(
  { on, below }: Pick<SetValues, 'on' | 'below'>,
  theirs: readonly { text: string }[]
): TakeOverNote[] {
  const notes: TakeOverNote[] = []
  const vfio = (name: string) => on(`virtualisation.vfio.${name}`).length > 0
  if (vfio('disableEFIfb')) notes.push({ code: 'DARK_BOOT' })
  if (vfio('applyACSpatch')) notes.push({ code: 'NO_ACS_PATCH' })
  const group = /SUBSYSTEM=="vfio"[^\n]*GROUP="/
  if (vfio('enable') && theirs.some(it => group.test(it.text)))
    notes.push({ code: 'NO_DEVICE_GROUP' })
  const option = 'virtualisation.sharedMemoryFiles'
  const entries = below(option)
  const names = [...new Set(entries.map(it => it.path[2] ?? ''))].filter(
    file =>
      !['group', 'mode'].every(it => entries.some(({ path }) => path[2] === file && path[3] === it))
  )
  if (names.length > 0) notes.push({ code: 'SHARED_BY_KVM', names })
  return notes
}
