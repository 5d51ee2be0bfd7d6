import { dirname, join } from 'node:path'
import type { PlannedFile } from '../planApply.ts'
import { type FolderListing, freeName } from './modulesFolder.ts'
import { stampOf } from './stamp.ts'

/** What becomes of a folder with modules of ours. */
export interface DroppedModules {
  /** The files that go, and for edited ones the copies that stay; new files first. */
  files: PlannedFile[]
  /** Files of ours that were edited, and the names that they are kept under. */
  kept: KeptModule[]
  /** Paths of what else is in the folder, and stays. */
  strangers: string[]
}

export interface KeptModule {
  path: string
  as: string
}

/**
 * Takes our modules out of a folder: those that are as we wrote them go, edited ones get a name that
 * nothing takes for a module, and what is not ours stays. The folder goes if that leaves nothing.
 */
export function dropModules(folder: string, listing: FolderListing): DroppedModules {
  const dropped: DroppedModules = { files: [], kept: [], strangers: [] }
  if (typeof listing === 'string') return dropped
  const gone: PlannedFile[] = []
  for (const [name, text] of listing) {
    const state = text === null ? 'none' : stampOf(text)
    // What is kept aside by an earlier run is no module any more.
    if (text === null || state === 'none' || !name.endsWith('.nix')) {
      dropped.strangers.push(join(folder, name))
      continue
    }
    const path = join(folder, name)
    gone.push({ path, before: text, after: undefined, emptied: dirname(path) })
    if (state === 'intact') continue
    const as = join(folder, freeName(`${name}.edited`, listing))
    dropped.files.push({ path: as, before: undefined, after: text, like: path })
    dropped.kept.push({ path, as })
  }
  // default.nix imports the others, so it goes before them.
  gone.sort(
    (a, b) => Number(b.path.endsWith('/default.nix')) - Number(a.path.endsWith('/default.nix'))
  )
  dropped.files.push(...gone)
  return dropped
}
