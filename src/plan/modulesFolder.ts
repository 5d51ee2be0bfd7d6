import { dirname, join } from 'node:path'
import type { FolderListing, SourceFile } from '../configuration/files.ts'
import { stampOf } from '../configuration/stamp.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { PlannedFile } from './changes.ts'
import type { ApplyProblem } from './problem.ts'

/**
 * The shipped files that differ from the files in the folder. Other files in the folder (guests, the user's files) are
 * not changed. `replaced` has the paths of the user's earlier modules that vfio-patch replaces. They may be in the
 * folder; a replaced module with the name of a shipped file is saved under another name.
 *
 * `FOREIGN_FOLDER` if the folder is not vfio-patch's; `MODULES_EDITED` if installed files were edited, unless
 * `mayReplace` is set.
 */
export function planModules(
  { path, listing }: { path: string; listing: FolderListing },
  shipped: ReadonlyMap<string, string>,
  mayReplace: boolean,
  replaced: ReadonlySet<string> = new Set()
): Result<PlannedFile[], ApplyProblem> {
  if (listing === 'not-a-folder') return err({ code: 'FOREIGN_FOLDER', path, found: path })
  const present: ReadonlyMap<string, SourceFile | null> = listing === 'absent' ? new Map() : listing
  const isInstalled = stampOf(present.get('default.nix')?.text ?? '') !== 'none'
  // `remove` keeps guests, and copies of edited modules, which have a stamp.
  const isGuests = (name: string, file: SourceFile | null) => name === 'guests' && file === null
  const isReplaced = (name: string) => replaced.has(join(path, name))
  const foreign = [...present].find(
    ([name, file]) =>
      stampOf(file?.text ?? '') === 'none' && !isReplaced(name) && !isGuests(name, file)
  )
  if (!isInstalled && foreign !== undefined)
    return err({ code: 'FOREIGN_FOLDER', path, found: foreign[0] })

  const files: PlannedFile[] = []
  const edited: string[] = []
  for (const [name, after] of shipped) {
    const before = present.get(name)?.text
    if (before === after) continue
    const module = { path: join(path, name), before, after }
    if (before !== undefined && isReplaced(name)) {
      const copy = join(path, freeName(`${name}.old`, present))
      files.push({ path: copy, before: undefined, after: before, ownershipFrom: module.path })
    } else if (present.has(name) && (before === undefined || stampOf(before) === 'none')) {
      return err({ code: 'FOREIGN_FOLDER', path, found: name })
    } else if (before !== undefined && stampOf(before) === 'edited') edited.push(name)
    files.push(module)
  }
  if (edited.length > 0 && !mayReplace) return err({ code: 'MODULES_EDITED', path, names: edited })
  return ok(files)
}

/** The name, with a number at the end if it is taken. */
function freeName(name: string, taken: ReadonlyMap<string, unknown>): string {
  if (!taken.has(name)) return name
  let number = 2
  while (taken.has(`${name}.${number}`)) number++
  return `${name}.${number}`
}

/** The changes that remove installed modules. */
export interface DroppedModules {
  /** The files to delete, and copies of the edited ones. */
  files: PlannedFile[]
  /** The edited files with the paths of their copies. */
  kept: { path: string; as: string }[]
  /** The paths of other files in the folders, which are not changed. */
  otherFiles: string[]
}

/**
 * Removes the installed modules from folders. Edited modules are saved under a name that does not end in `.nix`. Other
 * files do not change. A folder is deleted if it is then empty.
 */
export function dropModules(
  folders: readonly (readonly [string, FolderListing])[]
): DroppedModules {
  const dropped: DroppedModules = { files: [], kept: [], otherFiles: [] }
  for (const [folder, listing] of folders) {
    if (typeof listing === 'string') continue
    const deleted: PlannedFile[] = []
    for (const [name, file] of listing) {
      const path = join(folder, name)
      const text = file?.text
      const state = stampOf(text ?? '')
      // Copies that an earlier run saved are not modules.
      if (text === undefined || state === 'none' || !name.endsWith('.nix')) {
        dropped.otherFiles.push(path)
        continue
      }
      // default.nix imports the others, so it is deleted before them.
      const isFirst = path.endsWith('/default.nix')
      const drop = { path, before: text, after: undefined, emptied: dirname(path) }
      if (isFirst) deleted.unshift(drop)
      else deleted.push(drop)
      if (state === 'intact') continue
      const as = join(folder, freeName(`${name}.edited`, listing))
      dropped.files.push({ path: as, before: undefined, after: text, ownershipFrom: path })
      dropped.kept.push({ path, as })
    }
    dropped.files.push(...deleted)
  }
  return dropped
}
