import { join } from 'node:path'
import { planFixes } from '../lints/index.ts'
import { type NixDocument, type Plan, parseDocument } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { isEmpty, type Settings } from '../vfio/settings.ts'
import { type Circumstances, wantedOptions } from '../vfio/wanted.ts'
import { editOptions } from './editOptions.ts'
import type { ImportClosure } from './importClosure.ts'
import { kindOf } from './kind.ts'
import { type FolderListing, planModules } from './modulesFolder.ts'
import { type Obsolete, obsoleteIn, wantedFor } from './obsolete.ts'
import type { ApplyProblem } from './problem.ts'

/** All that a run of `apply` knows; nothing else is looked at. */
export interface ApplyInput {
  /** The configuration's own path, links resolved. */
  path: string
  text: string
  settings: Settings
  /** The folder for our modules as the import spells it, relative to the configuration's: `vfio`. */
  modulesDir: string
  /** The same folder, links resolved. */
  modulesFolder: string
  /** What stands in that folder. */
  listing: FolderListing
  /** The modules by file name, as they are to be installed. */
  shipped: ReadonlyMap<string, string>
  /** Whether modules of ours that were changed may be replaced. */
  replaceModules: boolean
  closure: ImportClosure
  /** Names of devices by their IDs. */
  names: ReadonlyMap<string, string>
  /** The release of NixOS that is built next, where it is known. */
  release?: string | undefined
  /** Whether values of old guides stay that our options take the place of. */
  keepObsolete?: boolean
}

/**
 * What is to be written, in the order in which it has to be: the configuration comes last, and after
 * it what goes.
 */
export interface ApplyPlan {
  files: PlannedFile[]
  /** The change to the configuration alone; it has no edits if only modules change. */
  configuration: Plan
  /** What gives way in it to our options, or because it is of no use any more. */
  replaced?: readonly Obsolete[]
}

export interface PlannedFile {
  path: string
  /** Undefined for a new file. */
  before: string | undefined
  /** Undefined for a file that goes. */
  after: string | undefined
  /** The file whose owner and mode a new one takes; those of the configuration unless given. */
  like?: string
  /** A folder that goes with it, if nothing is left in it. */
  emptied?: string
}

/**
 * Works out what makes a configuration say what the settings ask for: our modules beside it, one
 * import, and the options. Without settings a configuration that has them already is brought up to
 * date. A configuration that says it all gives a plan without files.
 */
export function planApply(input: ApplyInput): Result<ApplyPlan, ApplyProblem> {
  const { path, settings, modulesDir, closure } = input
  const doc = parseDocument(input.text)
  const module = doc.module()
  if (doc.errors.length > 0 && !module.ok) return err({ code: 'NIX', path, error: module.error })
  const kind = kindOf(doc)
  if (kind !== 'module') return err({ code: 'WRONG_KIND', path, kind })
  if (!module.ok) return err({ code: 'NIX', path, error: module.error })

  const importPath = `./${modulesDir}`
  const isOurs = doc.importOf(importPath) !== undefined
  if (closure.foreign) {
    const { option, importer } = closure.foreign
    const declaration = closure.foreign.path
    return err({ code: 'DECLARED_ELSEWHERE', path, declaration, importer, option })
  }
  const folder = input.modulesFolder
  const other = closure.ours.find(it => it.path !== folder)
  if (other) {
    return err({ code: 'IMPORTED_ELSEWHERE', path, folder: other.path, importer: other.importer })
  }
  if (isEmpty(settings) && !isOurs) return err({ code: 'NOTHING_CHOSEN', path })

  const { listing, shipped, replaceModules } = input
  const modules = planModules(folder, listing, shipped, replaceModules)
  if (!modules.ok) return modules

  const isAsked = !isEmpty(settings)
  const obsolete = isAsked && !input.keepObsolete ? obsoleteIn(doc, input.release) : []
  const planned = planFixes(
    doc,
    obsolete.map(it => it.fix),
    accepted => {
      const edit = doc.edit().import(importPath)
      const moved = accepted.flatMap(it => obsolete[it] ?? [])
      const wanted = wantedOptions(settings, circumstancesOf(doc), input.names)
      if (isAsked) editOptions(doc, edit, [...wanted, ...wantedFor(moved, settings)])
      return edit
    }
  )
  if (!planned.ok) return err({ code: 'NIX', path, error: planned.error })
  const { plan, refused } = planned.value
  const replaced = obsolete.filter((_, i) => !refused.some(it => it.index === i))

  const files: PlannedFile[] = modules.value.map(({ name, before, after }) => ({
    path: join(folder, name),
    before,
    after
  }))
  if (plan.changed) files.push({ path, before: input.text, after: plan.text })
  return ok({ files, configuration: plan, replaced })
}

function circumstancesOf(doc: NixDocument): Circumstances {
  const strings = (path: string) => doc.itemsIn(path).filter(it => typeof it === 'string')
  return {
    kernelParams: strings('boot.kernelParams'),
    users: strings('virtualisation.vfio.users')
  }
}
