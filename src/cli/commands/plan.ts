// What `apply` and `diff` have in common: from the request to a checked plan.

import { dirname, join, relative } from 'node:path'
import type { FolderListing } from '../../configuration/files.ts'
import { type Configuration, withChanges } from '../../configuration/load.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { type ApplyPlan, planApply } from '../../plan/apply.ts'
import type { PlannedFile } from '../../plan/changes.ts'
import { type ParseCheck, parseCheck } from '../../plan/evaluate.ts'
import type { GuestPlan } from '../../plan/guest.ts'
import { doubtsAround, holdsTheirs, type TakeOver } from '../../plan/legacy/takeOver.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import type { Settings } from '../../settings/settings.ts'
import type { ApplyRequest, CheckMode } from '../args/request.ts'
import { orThrow } from '../message.ts'
import { replacementsIn } from '../output/findings.ts'
import type { Prepared } from '../prepared.ts'
import { unknownUsers } from '../request/configuration.ts'
import { chooseHost, earlierDevices, type HostChoice } from '../request/devices.ts'
import { regressions } from '../request/faults.ts'
import {
  chooseForGuest,
  type GuestChoice,
  guestFile,
  presentGuests
} from '../request/guestChoice.ts'
import { type ApplyInputs, readInputs } from '../request/inputs.ts'
import type { MachineReader } from '../request/machine.ts'
import { entryNotes, ownerNotes, tooBigNotes } from '../text/apply.ts'
import type { Names } from '../text/devices.ts'
import { readMessage } from '../text/files.ts'
import { fileNotes, reportGuest } from '../text/guests.ts'
import { doubtNotes, takeOverNotes } from '../text/takeOver.ts'

/** The inputs of a run, and what the machine and the guest make of the settings. */
export interface Draft {
  inputs: ApplyInputs
  host: HostChoice
  /** With all that `host` has, where there is a guest or not. */
  forGuest: GuestChoice
  /** The folder for our modules as the import spells it, and what is in it. */
  modulesDir: string
  folder: { path: string; listing: FolderListing }
  /** What becomes of the file of the guest. */
  file: GuestPlan | undefined
  names: Names
}

/** Reads all that a run is made from, and chooses the devices. */
export function prepareDraft(request: ApplyRequest, reader: MachineReader): Draft {
  const inputs = readInputs(request, reader)
  const { configuration, takeOver, context, guest } = inputs
  const { path } = configuration.target
  // They count from now on, also where they stay.
  const earlier = inputs.isEdited || takeOver ? earlierDevices(inputs) : undefined
  const host = chooseHost(inputs, earlier)
  const forGuest = guest
    ? chooseForGuest(guest, host, inputs, earlier)
    : { settings: host.settings, notes: [], byGuest: [], virtual: undefined }
  const modulesDir =
    request.modulesDir ?? installedFolderOf(configuration) ?? freeFolder(path, takeOver)
  const found = inputs.sources.folder(join(dirname(path), modulesDir))
  const folder = orThrow(found, it => readMessage(it, context))
  const file = guest && guestFile(guest, folder.path, forGuest.virtual, inputs)
  const names = reader.namesOf([...idsOf(forGuest.settings), ...(earlier?.ids ?? [])])
  return { inputs, host, forGuest, modulesDir, folder, file, names }
}

/**
 * Plans what the flags ask for, and checks the result. `initrdModules` are kernel modules that the initrd
 * is to load besides, in the boot entry that the run is about.
 */
export function planDraft(
  draft: Draft,
  initrdModules: readonly string[] = []
): Result<Prepared, ApplyProblem> {
  const { inputs, host, forGuest, modulesDir, folder, file, names } = draft
  const { request, target, sources, configuration, takeOver, context, guest } = inputs
  const path = target.realpath
  const planned = planApply({
    ...{ configuration, settings: forGuest.settings, guest: file, names, initrdModules },
    ...{ modulesDir, modulesFolder: folder.path, listing: folder.listing },
    ...{ takeOver, byAddress: host.byAddress },
    replaceModules: request.replacesModules,
    release: request.release,
    keepObsolete: request.keepsObsolete,
    specialisation: request.specialisation
  })
  if (!planned.ok) return planned
  const plan = planned.value
  const present = presentGuests(file, folder.path, inputs)
  const after = withChanges(configuration, plan.files)
  const faults = regressions(inputs, after)
  const check = checkWithNix(plan.files, request.checkMode, path)
  if (!check.ok) return check
  return ok({
    plan,
    target,
    sources,
    context,
    check: check.value,
    replaced: replacementsIn(plan, takeOver, context, path),
    notes: [...planNotes(draft, plan, present, after), ...faults.notes],
    byCard: host.byCard,
    byGuest: forGuest.byGuest,
    ...(guest && file ? { guest: reportGuest(file, guest) } : {}),
    ...(faults.dark ? { dark: faults.dark } : {})
  })
}

/**
 * What a person has to know before they decide; `present` is about the guests that are there already, `after`
 * the configuration with the plan carried out.
 */
function planNotes(
  { inputs, host, forGuest, file }: Draft,
  plan: ApplyPlan,
  present: readonly string[],
  after: Configuration
): string[] {
  const { configuration, takeOver, context, guest, request, prefix } = inputs
  const beside = dirname(configuration.target.path)
  const isNew = configuration.installed.length === 0
  const doubts = isNew ? doubtsAround(configuration) : []
  return [
    ...(takeOver ? takeOverNotes(takeOver, plan, beside) : []),
    ...doubtNotes(doubts, beside),
    ...tooBigNotes(configuration),
    ...entryNotes(plan, takeOver, context),
    ...(guest && file ? fileNotes(file, guest) : []),
    ...host.notes,
    ...forGuest.notes,
    ...present,
    ...unknownUsers(request.settings.users ?? [], configuration.files),
    ...ownerNotes(forGuest.settings, configuration, after, prefix)
  ]
}

/** The usual folder for our modules, or another where modules stand that ours take the place of. */
function freeFolder(configuration: string, taken: TakeOver | undefined): string {
  const isTaken = taken !== undefined && holdsTheirs(join(dirname(configuration), 'vfio'), taken)
  return isTaken ? 'vfio-patch' : 'vfio'
}

/** The folder with installed modules that the target itself imports, relative to its own. */
function installedFolderOf({ target, installedFolders }: Configuration): string | undefined {
  const own = installedFolders.find(it => it.importer === target.path)
  const inside = own && relative(dirname(target.path), own.path)
  return inside === undefined || inside.startsWith('..') ? undefined : inside
}

/** The device IDs that the settings name, by themselves or with an address. */
function idsOf({ devices = [], addresses = [] }: Settings): string[] {
  return [...devices, ...addresses.flatMap(it => (typeof it === 'string' ? [] : it.id))]
}

/**
 * Asks Nix about all files of a plan. `PARSE_REJECTED` where it does not accept one;
 * `PARSE_CHECK_MISSING` where it was required and says nothing, with `path`.
 */
export function checkWithNix(
  files: readonly PlannedFile[],
  mode: CheckMode,
  path: string
): Result<ParseCheck, ApplyProblem> {
  if (mode === 'off') return ok({ status: 'skipped', detail: 'switched off' })
  let result: ParseCheck = { status: 'ok' }
  for (const { path: each, before, after } of files) {
    // What is kept aside of a module need not be one any more.
    const isModule = before !== undefined || each.endsWith('.nix')
    if (after === undefined || !isModule) continue
    const check = parseCheck(before, after)
    if (check.status === 'rejected') {
      return err({ code: 'PARSE_REJECTED', path, output: check.output })
    }
    if (check.status === 'skipped') result = check
  }
  return result.status === 'skipped' && mode === 'require'
    ? err({ code: 'PARSE_CHECK_MISSING', path, detail: result.detail })
    : ok(result)
}
