import { type InnerModule, innerModule } from '../configuration/bootEntries.ts'
import type { FolderListing, SourceFile } from '../configuration/files.ts'
import { type ForeignKind, kindOf } from '../configuration/kind.ts'
import type { Configuration } from '../configuration/load.ts'
import { type Fix, planFixes } from '../lints/index.ts'
import { expr, type NixDocument, type NixError, type Plan, type Transaction } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { applyOptionChanges } from '../settings/edit.ts'
import { type OptionChange, type SettingsContext, VFIO } from '../settings/options.ts'
import { isEmpty, type Settings, wantedOptions } from '../settings/settings.ts'
import type { ExpectedDevice } from '../settings/values.ts'
import { notInherited, pathsFor, prefixOf, profilesOf, targetOf } from './bootEntry.ts'
import type { PlannedFile } from './changes.ts'
import type { GuestPlan } from './guest.ts'
import {
  changesFor,
  conflictAfter,
  type ObsoleteSetting,
  obsoleteSettingsIn
} from './legacy/replaced.ts'
import { type TakeOver, takeOverProblem } from './legacy/takeOver.ts'
import { planModules } from './modulesFolder.ts'
import type { ApplyProblem } from './problem.ts'

/** Everything that a plan of `apply` is based on. */
export interface ApplyInput {
  configuration: Configuration
  settings: Settings
  /** The folder for vfio-patch's modules as the import names it, relative to the configuration: `vfio`. */
  modulesDir: string
  /** The same folder, with symlinks resolved. */
  modulesFolder: string
  /** The contents of that folder. */
  listing: FolderListing
  /** Whether edited modules of vfio-patch may be replaced. */
  replaceModules: boolean
  /** How to replace other modules that declare the same options, if there are any. */
  takeOver?: TakeOver | undefined
  /** IDs outside vfio-patch's options that devices of the host have too, each with the devices to pass through. */
  byAddress?: ReadonlyMap<string, readonly ExpectedDevice[]>
  /** Kernel modules to add to the initrd of the boot entry. */
  initrdModules?: readonly string[]
  /** Names of devices by ID. */
  names: ReadonlyMap<string, string>
  /** The release of NixOS that is built next, if known. */
  release?: string | undefined
  /** Whether to keep settings of old guides instead of replacing them with vfio-patch's options. */
  keepObsolete?: boolean
  /** The requested specialisation, for options in a separate boot entry. */
  specialisation?: string | undefined
  /** The planned file of the requested guest. */
  guest?: GuestPlan | undefined
}

/** The changes of a run. */
export interface ApplyPlan {
  /** In the order of writing: other files, then the configuration, then deletions. */
  files: PlannedFile[]
  /** The change to the configuration itself, without edits if only modules change. */
  configuration: Plan
  /** The obsolete settings that are removed or moved into options. */
  replaced?: readonly ObsoleteSetting[]
  /** The obsolete settings outside the specialisation, which are kept. */
  keptObsolete?: readonly ObsoleteSetting[]
  /** For `apply`: the specialisation with the options; null if they are for every boot entry. */
  specialisation?: string | null
}

/**
 * Plans the modules, the import and the options for the settings. Without settings, the modules of an existing
 * setup are updated. The plan has no files if nothing has to change.
 */
export function planApply(input: ApplyInput): Result<ApplyPlan, ApplyProblem> {
  const { configuration, takeOver, guest } = input
  const { path, text } = configuration.target
  const start = entryFor(input)
  if (!start.ok) return start
  const specialisation = start.value
  const modules = planModules(
    { path: input.modulesFolder, listing: input.listing },
    configuration.shipped.texts,
    input.replaceModules,
    new Set(takeOver?.modules)
  )
  if (!modules.ok) return modules
  const planned = planTarget(input, specialisation)
  if (!planned.ok) return err({ code: 'NIX', path, error: planned.error })
  const { plan, replaced, keptObsolete } = planned.value

  const files = [...modules.value]
  if (guest && guest.before !== guest.after) {
    files.push({ path: guest.path, before: guest.before, after: guest.after })
  }
  files.push(...(takeOver?.files ?? []))
  if (plan.changed) files.push({ path, before: text, after: plan.text })
  return ok({
    files,
    configuration: plan,
    replaced,
    keptObsolete,
    specialisation: specialisation ?? null
  })
}

const INITRD_MODULES = ['boot', 'initrd', 'kernelModules']

/** The change to the configuration itself, with the obsolete settings that it replaces and those that it keeps. */
function planTarget(
  input: ApplyInput,
  specialisation: string | undefined
): Result<Required<Pick<ApplyPlan, 'replaced' | 'keptObsolete'>> & { plan: Plan }, NixError> {
  const { settings, names, byAddress, takeOver, keepObsolete, initrdModules = [] } = input
  const { doc } = input.configuration.target
  const hasSettings = !isEmpty(settings)
  const prefix = prefixOf(specialisation)
  const inner = innerModule(doc, prefix)
  const readable = inner?.doc ?? doc
  const isEdited = hasSettings || takeOver !== undefined
  const all = isEdited && !keepObsolete ? obsoleteSettingsIn(readable, input.release, prefix) : []
  const [obsolete, keptObsolete] = [all.filter(it => !it.isOutside), all.filter(it => it.isOutside)]
  const wanted = wantedOptions(settings, contextOf(readable, prefix, names))
  const needed = notInherited(readable, wanted, prefix)
  if (!needed.ok) return needed
  const chosen = [
    ...(hasSettings ? needed.value : []),
    ...(takeOver ? passthroughDMAOff(readable, prefix) : [])
  ]

  const [edited, below] = inner ? [inner.part, []] : [doc, prefix]
  const planned = planFixes(
    edited,
    obsolete.map(it => (inner ? fixWithin(it.fix, prefix) : it.fix)),
    accepted => {
      const edit = inner ? edited.edit() : editWithImport(doc, input)
      const moved = accepted.flatMap(it => obsolete[it] ?? [])
      const options = [
        ...chosen,
        ...changesFor(moved, settings, names, byAddress),
        { kind: 'items' as const, path: INITRD_MODULES, items: initrdModules }
      ]
      applyOptionChanges(edited, edit, options, below)
      return edit
    }
  )
  if (!planned.ok) return planned
  const { plan, refused } = planned.value
  const conflict = keepObsolete ? undefined : conflictAfter(readable, plan)
  if (conflict) return err(conflict)
  const whole = inner ? planAround(editWithImport(doc, input), prefix, inner, plan) : ok(plan)
  if (!whole.ok) return whole
  const replaced = obsolete.filter((_, i) => !refused.some(it => it.index === i))
  return ok({ plan: whole.value, replaced, keptObsolete })
}

/** A transaction that imports the modules, removes replaced imports, and preserves the meaning of the settings. */
function editWithImport(doc: NixDocument, { modulesDir, takeOver }: ApplyInput): Transaction {
  const importPath = `./${modulesDir}`
  const edit = doc.edit()
  // An existing import of the folder is kept, even if it imported other modules until now.
  const kept = doc.importOf(importPath)?.text
  if (takeOver)
    edit.removeIn(
      'imports',
      takeOver.items.filter(it => it.source !== kept)
    )
  edit.import(importPath)
  if (takeOver) applyOptionChanges(doc, edit, takeOver.changes)
  return edit
}

/** The specialisation to which the options are written, or why they can't be written. */
function entryFor({
  configuration,
  settings,
  modulesDir,
  modulesFolder,
  takeOver,
  specialisation
}: ApplyInput): Result<string | undefined, ApplyProblem> {
  const { path, doc } = configuration.target
  const problem = whyNotEditable(configuration.target)
  if (problem) return err(problem)
  if (configuration.foreignDeclaration && !takeOver) {
    const { option, importedAs: importer } = configuration.foreignDeclaration
    const declaration = configuration.foreignDeclaration.path
    return err({ code: 'DECLARED_ELSEWHERE', path, declaration, importer, option })
  }
  const other = configuration.installedFolders.find(it => it.path !== modulesFolder)
  if (other) {
    return err({ code: 'IMPORTED_ELSEWHERE', path, folder: other.path, importer: other.importer })
  }
  const hasSettings = !isEmpty(settings)
  const conflict = takeOverProblem(takeOver, path, specialisation)
  if (conflict) return err(conflict)
  const target = targetOf(configuration, specialisation, hasSettings)
  if (!target.ok) return target
  const isSetUp = doc.importOf(`./${modulesDir}`) !== undefined
  const isNew =
    specialisation !== undefined &&
    !profilesOf(configuration.files).specialisations.includes(specialisation)
  if (!hasSettings && !takeOver && (!isSetUp || isNew)) return err({ code: 'NOTHING_CHOSEN', path })
  return target
}

/** Why a file can't be edited as a NixOS module. Also accepts files of the kind `also`. */
export function whyNotEditable(
  { path, doc }: Pick<SourceFile, 'path' | 'doc'>,
  also?: ForeignKind
): ApplyProblem | undefined {
  const module = doc.module()
  const unread: ApplyProblem | undefined = module.ok
    ? undefined
    : { code: 'NIX', path, error: module.error }
  if (unread && doc.errors.length > 0) return unread
  const kind = kindOf(doc)
  return kind === 'module' || kind === also ? unread : { code: 'WRONG_KIND', path, kind }
}

/** Converts a plan for a module inside the file to a plan for the file. */
function planAround(
  edit: Transaction,
  path: readonly string[],
  inner: InnerModule,
  { edits, changed }: Plan
): Result<Plan, NixError> {
  if (changed) edit.setIn(path, expr(inner.valueAfter(edits)))
  return edit.plan()
}

/** Converts a fix for the file to a fix for the module at `prefix`. */
function fixWithin(fix: Fix, prefix: readonly string[]): Fix {
  const within = (path: readonly string[]) => path.slice(prefix.length)
  return fix.map(it =>
    it.op === 'rename'
      ? { ...it, path: within(it.path), to: within(it.to) }
      : { ...it, path: within(it.path) }
  )
}

/** The values on which the settings depend: the boot entry's own values and those that it inherits. */
function contextOf(
  doc: NixDocument,
  prefix: readonly string[],
  names: SettingsContext['names']
): SettingsContext {
  const strings = (...option: string[]) =>
    pathsFor(prefix, option)
      .flatMap(it => doc.itemsIn(it))
      .filter(it => typeof it === 'string')
  return { kernelParams: strings('boot', 'kernelParams'), users: strings(...VFIO, 'users'), names }
}

/**
 * The change to `passthroughDMA = false` if the user turned DMA passthrough off (no iommu=pt): unlike the replaced modules, vfio-patch's
 * modules turn it on by default.
 */
function passthroughDMAOff(doc: NixDocument, prefix: readonly string[]): OptionChange[] {
  return wantedOptions({}, contextOf(doc, prefix, new Map())).filter(
    it => it.path.at(-1) === 'passthroughDMA'
  )
}
