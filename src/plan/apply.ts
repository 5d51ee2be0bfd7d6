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
import { clashAfter, type Obsolete, obsoleteIn, wantedFor } from './legacy/replaced.ts'
import { notForOneEntry, type TakeOver } from './legacy/takeOver.ts'
import { planModules } from './modulesFolder.ts'
import type { ApplyProblem } from './problem.ts'

/** All that a run of `apply` knows; nothing else is looked at. */
export interface ApplyInput {
  configuration: Configuration
  settings: Settings
  /** The folder for our modules as the import spells it, relative to the configuration's: `vfio`. */
  modulesDir: string
  /** The same folder, links resolved. */
  modulesFolder: string
  /** What stands in that folder. */
  listing: FolderListing
  /** Whether modules of ours that were changed may be replaced. */
  replaceModules: boolean
  /** How ours take the place of other modules that declare the same options, where there are some. */
  takeOver?: TakeOver | undefined
  /** IDs in other places that the host needs as well, and the devices that are meant by them. */
  byAddress?: ReadonlyMap<string, readonly ExpectedDevice[]>
  /** Kernel modules that the initrd is to load, in the boot entry that the options go into. */
  initrdModules?: readonly string[]
  /** Names of devices by their IDs. */
  names: ReadonlyMap<string, string>
  /** The release of NixOS that is built next, where it is known. */
  release?: string | undefined
  /** Whether values of old guides stay that our options take the place of. */
  keepObsolete?: boolean
  /** The specialisation that was asked for, to have all options in a boot entry of its own. */
  specialisation?: string | undefined
  /** The file of the guest that is asked for, and what becomes of it. */
  guest?: GuestPlan | undefined
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
  /** What would give way, and stays, as it is outside the specialisation. */
  left?: readonly Obsolete[]
  /** Of `apply`: the specialisation that the options are in; null where they are for every boot entry. */
  specialisation?: string | null
}

/**
 * Works out what makes a configuration say what the settings ask for: our modules beside it, one
 * import, and the options. Without settings a configuration that has them already is brought up to
 * date. A configuration that says it all gives a plan without files.
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
  const { plan, replaced, left } = planned.value

  const files = [...modules.value]
  if (guest && guest.before !== guest.after) {
    files.push({ path: guest.path, before: guest.before, after: guest.after })
  }
  files.push(...(takeOver?.files ?? []))
  if (plan.changed) files.push({ path, before: text, after: plan.text })
  return ok({ files, configuration: plan, replaced, left, specialisation: specialisation ?? null })
}

const INITRD_MODULES = ['boot', 'initrd', 'kernelModules']

/** The change to the configuration alone, what gives way in it, and what would if it stood in the entry. */
function planTarget(
  input: ApplyInput,
  specialisation: string | undefined
): Result<Required<Pick<ApplyPlan, 'replaced' | 'left'>> & { plan: Plan }, NixError> {
  const { settings, names, byAddress, takeOver, keepObsolete, initrdModules = [] } = input
  const { doc } = input.configuration.target
  const isAsked = !isEmpty(settings)
  const prefix = prefixOf(specialisation)
  const inner = innerModule(doc, prefix)
  const home = inner?.doc ?? doc
  const isEdited = isAsked || takeOver !== undefined
  const all = isEdited && !keepObsolete ? obsoleteIn(home, input.release, prefix) : []
  const [obsolete, left] = [all.filter(it => !it.isOutside), all.filter(it => it.isOutside)]
  const asked = wantedOptions(settings, contextOf(home, prefix, names))
  const wanted = notInherited(home, asked, prefix)
  if (!wanted.ok) return wanted
  const chosen = [...(isAsked ? wanted.value : []), ...(takeOver ? keptOff(home, prefix) : [])]

  const [edited, below] = inner ? [inner.part, []] : [doc, prefix]
  const planned = planFixes(
    edited,
    obsolete.map(it => (inner ? fixWithin(it.fix, prefix) : it.fix)),
    accepted => {
      const edit = inner ? edited.edit() : withOurs(doc, input)
      const moved = accepted.flatMap(it => obsolete[it] ?? [])
      const options = [
        ...chosen,
        ...wantedFor(moved, settings, names, byAddress),
        { kind: 'items' as const, path: INITRD_MODULES, items: initrdModules }
      ]
      applyOptionChanges(edited, edit, options, below)
      return edit
    }
  )
  if (!planned.ok) return planned
  const { plan, refused } = planned.value
  const clash = keepObsolete ? undefined : clashAfter(home, plan)
  if (clash) return err(clash)
  const whole = inner ? planAround(withOurs(doc, input), prefix, inner, plan) : ok(plan)
  if (!whole.ok) return whole
  const replaced = obsolete.filter((_, i) => !refused.some(it => it.index === i))
  return ok({ plan: whole.value, replaced, left })
}

/** Begins with our import, in the place of those of others, and with what keeps their settings as they were. */
function withOurs(doc: NixDocument, { modulesDir, takeOver }: ApplyInput): Transaction {
  const importPath = `./${modulesDir}`
  const edit = doc.edit()
  // An import that leads to the folder already stays, and becomes that of our modules.
  const own = doc.importOf(importPath)
  const kept = own?.text
  if (takeOver)
    edit.removeIn(
      'imports',
      takeOver.items.filter(it => it.source !== kept)
    )
  edit.import(importPath)
  if (takeOver) applyOptionChanges(doc, edit, takeOver.wanted)
  return edit
}

/** The specialisation that the options go into; refused where the files leave no place for them. */
function entryFor({
  configuration,
  settings,
  modulesDir,
  modulesFolder,
  takeOver,
  specialisation
}: ApplyInput): Result<string | undefined, ApplyProblem> {
  const { path, doc } = configuration.target
  const problem = notEditable(configuration.target)
  if (problem) return err(problem)
  if (configuration.foreign && !takeOver) {
    const { option, importer } = configuration.foreign
    const declaration = configuration.foreign.path
    return err({ code: 'DECLARED_ELSEWHERE', path, declaration, importer, option })
  }
  const other = configuration.installedFolders.find(it => it.path !== modulesFolder)
  if (other) {
    return err({ code: 'IMPORTED_ELSEWHERE', path, folder: other.path, importer: other.importer })
  }
  const isAsked = !isEmpty(settings)
  const early = notForOneEntry(takeOver, path, specialisation)
  if (early) return err(early)
  const target = targetOf(configuration, specialisation, isAsked)
  if (!target.ok) return target
  const isOurs = doc.importOf(`./${modulesDir}`) !== undefined
  const isNew =
    specialisation !== undefined &&
    !profilesOf(configuration.files).specialisations.includes(specialisation)
  if (!isAsked && !takeOver && (!isOurs || isNew)) return err({ code: 'NOTHING_CHOSEN', path })
  return target
}

/** Why a file is no module to be edited; `also` is another kind that may be. */
export function notEditable(
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

/** What was planned inside a module in the file, as an edit of the file. */
function planAround(
  edit: Transaction,
  path: readonly string[],
  inner: InnerModule,
  { edits, changed }: Plan
): Result<Plan, NixError> {
  if (changed) edit.setIn(path, expr(inner.valueAfter(edits)))
  return edit.plan()
}

/** A fix of the file as one of a module in it. */
function fixWithin(fix: Fix, prefix: readonly string[]): Fix {
  const within = (path: readonly string[]) => path.slice(prefix.length)
  return fix.map(it =>
    it.op === 'rename'
      ? { ...it, path: within(it.path), to: within(it.to) }
      : { ...it, path: within(it.path) }
  )
}

/** What is said where the options go, with what a specialisation inherits. */
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

/** Only our modules pass DMA through by themselves; the person's word against it stands. */
function keptOff(doc: NixDocument, prefix: readonly string[]): OptionChange[] {
  return wantedOptions({}, contextOf(doc, prefix, new Map())).filter(
    it => it.path.at(-1) === 'passthroughDMA'
  )
}
