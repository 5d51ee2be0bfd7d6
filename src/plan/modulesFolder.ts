import { dirname, join } from 'node:path'
import type { FolderListing, SourceFile } from '../configuration/files.ts'
import { stampOf } from '../configuration/stamp.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { PlannedFile } from './changes.ts'
import type { ApplyProblem } from './problem.ts'

/**
 * The shipped files that differ from what is in the folder. Other files in a folder of ours
 * (guests, the user's own) are left alone.
 *
 * Refuses with `FOREIGN_FOLDER` a folder that is not ours, with `MODULES_EDITED` files of ours that
 * were changed, unless `replaces` is set. Files that ours take the place of (`theirs`, whole paths) are no
 * obstacle; those that have a name of ours are kept aside.
 */
export function planModules(
  { path, listing }: { path: string; listing: FolderListing },
  shipped: ReadonlyMap<string, string>,
  replaces: boolean,
  theirs: ReadonlySet<string> = new Set()
): Result<PlannedFile[], ApplyProblem> {
  if (listing === 'not-a-folder') return err({ code: 'FOREIGN_FOLDER', path, found: path })
  const present: ReadonlyMap<string, SourceFile | null> = listing === 'absent' ? new Map() : listing
  const isOurs = stampOf(present.get('default.nix')?.text ?? '') !== 'none'
  // What `remove` kept aside is ours as well, and guests outlast it.
  const isGuests = (name: string, file: SourceFile | null) => name === 'guests' && file === null
  const isTheirs = (name: string) => theirs.has(join(path, name))
  const stranger = [...present].find(
    ([name, file]) =>
      stampOf(file?.text ?? '') === 'none' && !isTheirs(name) && !isGuests(name, file)
  )
  if (!isOurs && stranger !== undefined)
    return err({ code: 'FOREIGN_FOLDER', path, found: stranger[0] })

  const files: PlannedFile[] = []
  const edited: string[] = []
  for (const [name, after] of shipped) {
    const before = present.get(name)?.text
    if (before === after) continue
    const module = { path: join(path, name), before, after }
    if (before !== undefined && isTheirs(name)) {
      const aside = join(path, freeName(`${name}.old`, present))
      files.push({ path: aside, before: undefined, after: before, ownershipFrom: module.path })
    } else if (present.has(name) && (before === undefined || stampOf(before) === 'none')) {
      return err({ code: 'FOREIGN_FOLDER', path, found: name })
    } else if (before !== undefined && stampOf(before) === 'edited') edited.push(name)
    files.push(module)
  }
  if (edited.length > 0 && !replaces) return err({ code: 'MODULES_EDITED', path, names: edited })
  return ok(files)
}

/** The name, with a number behind it if it is taken. */
function freeName(name: string, taken: ReadonlyMap<string, unknown>): string {
  if (!taken.has(name)) return name
  let number = 2
  while (taken.has(`${name}.${number}`)) number++
  return `${name}.${number}`
}

/** What becomes of folders with modules of ours. */
export interface DroppedModules {
  /** The files that go, and for edited ones the copies that stay. */
  files: PlannedFile[]
  /** Files of ours that were edited, and the paths that they are kept under. */
  kept: { path: string; as: string }[]
  /** Paths of what else is in the folders, and stays. */
  strangers: string[]
}

/**
 * Takes our modules out of folders: those that are as we wrote them go, edited ones get a name that
 * nothing takes for a module, and what is not ours stays. A folder goes if that leaves nothing.
 */
export function dropModules(
  folders: readonly (readonly [string, FolderListing])[]
): DroppedModules {
  const dropped: DroppedModules = { files: [], kept: [], strangers: [] }
  for (const [folder, listing] of folders) {
    if (typeof listing === 'string') continue
    const gone: PlannedFile[] = []
    for (const [name, file] of listing) {
      const path = join(folder, name)
      const text = file?.text
      const state = stampOf(text ?? '')
      // What is kept aside by an earlier run is no module any more.
      if (text === undefined || state === 'none' || !name.endsWith('.nix')) {
        dropped.strangers.push(path)
        continue
      }
      // default.nix imports the others, so it goes before them.
      const isFirst = path.endsWith('/default.nix')
      const drop = { path, before: text, after: undefined, emptied: dirname(path) }
      if (isFirst) gone.unshift(drop)
      else gone.push(drop)
      if (state === 'intact') continue
      const as = join(folder, freeName(`${name}.edited`, listing))
      dropped.files.push({ path: as, before: undefined, after: text, ownershipFrom: path })
      dropped.kept.push({ path, as })
    }
    dropped.files.push(...gone)
  }
  return dropped
}
