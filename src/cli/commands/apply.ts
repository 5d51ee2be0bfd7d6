import { dirname, join, relative } from 'node:path'
import type { FolderListing } from '../../configuration/files.ts'
import { type Configuration, withChanges } from '../../configuration/load.ts'
import { ok, type Result } from '../../nix/result.ts'
import { type ApplyPlan, planApply } from '../../plan/apply.ts'
import { checkWithNix } from '../../plan/evaluate.ts'
import type { GuestPlan } from '../../plan/guest.ts'
import {
  hasReplacedModules,
  possibleDeclarations,
  type TakeOver
} from '../../plan/legacy/takeOver.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Arguments } from '../args/parse.ts'
import { type ApplyRequest, readApplyRequest } from '../args/request.ts'
import { CommandError, orThrow } from '../message.ts'
import { applyMessage, tooBigNotes } from '../messages/apply.ts'
import type { Names } from '../messages/devices.ts'
import { readMessage } from '../messages/files.ts'
import { fileNotes, reportGuest } from '../messages/guests.ts'
import { nextStep } from '../messages/nextStep.ts'
import {
  bootHint,
  darkReminder,
  doubtNote,
  entryNotes,
  rootOwnsNote,
  takeOverNotes,
  upToDate
} from '../messages/plan.ts'
import { printNotice, type Screens } from '../output/output.ts'
import { type Prepared, replacementsIn } from '../output/plan.ts'
import { whyNoQuestion } from '../prompt/prompt.ts'
import { emptyBody, type Report, unchanged } from '../report.ts'
import { chooseHost, findEarlierDevices, type HostChoice } from '../request/devices.ts'
import { findRegressions } from '../request/faults.ts'
import {
  chooseForGuest,
  type GuestChoice,
  planGuestFile,
  presentGuestNotes
} from '../request/guestChoice.ts'
import { type ApplyInputs, readInputs, unknownUserNotes } from '../request/inputs.ts'
import { MachineReader } from '../request/machine.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'

/** `apply` and `diff`: shows what would change; `apply` then asks and writes it. */
export async function applyCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readApplyRequest(args, screens)
  return runApply(request, new MachineReader(request.sysfs))
}

async function runApply(request: ApplyRequest, reader: MachineReader): Promise<Report> {
  const draft = prepareDraft(request, reader)
  const planned = planDraft(draft)
  if (!planned.ok) {
    const message = applyMessage(planned.error, draft.inputs.context)
    const isOpen = planned.error.code === 'NOTHING_CHOSEN' && request.command === 'apply'
    if (!isOpen || !canAnswer(request)) throw new CommandError(message)
    const { askForCard } = await import('../prompt/askForCard.ts')
    return runApply(await askForCard(draft.inputs, message), reader)
  }
  return confirmPlan(await withDriver(planned.value, draft), request)
}

function confirmPlan(prepared: Prepared, request: ApplyRequest): Report | Promise<Report> {
  const { plan, context, notes = [], guest, dark, target, sources } = prepared
  if (plan.files.length === 0) {
    if (!request.quiet) {
      printNotice(upToDate(context.file))
      for (const line of notes) printNotice(line)
    }
    const { specialisation = null } = plan
    const aboutGuest = guest === undefined ? {} : { guest }
    return unchanged({ ...emptyBody(context.root), specialisation, ...aboutGuest, notes })
  }
  const next = [
    ...(dark ? [darkReminder(dark.call)] : []),
    ...nextStep(sources, target.realpath),
    ...(context.root === '/' ? [`        ${bootHint(plan.specialisation)}`] : [])
  ]
  return confirmAndWrite(prepared, request, next)
}

/** Whether somebody can be asked for what the flags leave open. */
function canAnswer({ write, json }: ApplyRequest): boolean {
  return !write.isConfirmed && whyNoQuestion(write, json) === undefined
}

/**
 * The plan, with the driver that makes a passphrase prompt visible if the user wants it. Nobody is
 * asked if nothing is to be written, or if the file can't be edited that way.
 */
async function withDriver(prepared: Prepared, draft: Draft): Promise<Prepared> {
  const { dark, plan } = prepared
  const { request } = draft.inputs
  const mayOffer = request.write.writes && canAnswer(request)
  if (!mayOffer || !dark || dark.drivers.length === 0 || plan.files.length === 0) {
    return prepared
  }
  // The prompt may be invisible in another boot entry than that of the run.
  const more = planDraft(draft, dark.drivers)
  if (!more.ok || more.value.dark) return prepared
  const { askForDriver } = await import('../prompt/askForCard.ts')
  return (await askForDriver(dark, request.screens.err)) ? more.value : prepared
}

// From the request to a checked plan, for `apply` and `diff`.

/** The inputs of a run, and the settings with the devices and the needs of the guest. */
interface Draft {
  inputs: ApplyInputs
  host: HostChoice
  /** The choice in `host`, with the needs of the guest added if there is one. */
  forGuest: GuestChoice
  /** The folder for the modules, as written in the import. */
  modulesDir: string
  /** The same folder with its content. */
  folder: { path: string; listing: FolderListing }
  /** The planned file of the guest. */
  file: GuestPlan | undefined
  names: Names
}

/** Reads the inputs of a run, and chooses the devices. */
function prepareDraft(request: ApplyRequest, reader: MachineReader): Draft {
  const inputs = readInputs(request, reader)
  const { configuration, takeOver, context, guest } = inputs
  const { path } = configuration.target
  const earlier = findEarlierDevices(inputs)
  const host = chooseHost(inputs, earlier)
  const forGuest = guest
    ? chooseForGuest(guest, host, inputs, earlier)
    : { settings: host.settings, notes: [], byGuest: [], virtual: undefined }
  const modulesDir =
    request.modulesDir ?? installedFolderOf(configuration) ?? freeFolder(path, takeOver)
  const found = inputs.sources.folder(join(dirname(path), modulesDir))
  const folder = orThrow(found, it => readMessage(it, context))
  const file = guest && planGuestFile(guest, folder.path, forGuest.virtual, inputs)
  const names = reader.namesOf([...idsOf(forGuest.settings), ...earlier.ids])
  return { inputs, host, forGuest, modulesDir, folder, file, names }
}

/**
 * Plans what the flags request, and checks the result. `initrdModules` are additional kernel modules for
 * the initrd, in the boot entry of the run.
 */
function planDraft(
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
  const present = presentGuestNotes(file, folder.path, inputs)
  const after = withChanges(configuration, plan.files)
  const faults = findRegressions(inputs, after)
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
 * What users have to know before they decide. `present` are notes on the guests that the configuration already has,
 * `after` is the configuration as the plan leaves it.
 */
function planNotes(
  { inputs, host, forGuest, file }: Draft,
  plan: ApplyPlan,
  present: readonly string[],
  after: Configuration
): string[] {
  const { configuration, takeOver, context, guest, request, prefix } = inputs
  const folder = dirname(configuration.target.path)
  const isNew = configuration.installed.length === 0
  const doubts = isNew ? possibleDeclarations(configuration) : []
  return [
    ...(takeOver ? takeOverNotes(takeOver, plan, folder) : []),
    ...doubts.slice(0, MOST_DOUBTS).map(it => doubtNote(it, folder)),
    ...tooBigNotes(configuration),
    ...entryNotes(plan, takeOver, context),
    ...(guest && file ? fileNotes(file, guest) : []),
    ...host.notes,
    ...forGuest.notes,
    ...present,
    ...unknownUserNotes(request.settings.users ?? [], configuration.files),
    ...ownerNotes(forGuest.settings, configuration, after, prefix)
  ]
}

// More notes of this kind would hide the other notes.
const MOST_DOUBTS = 3

/** The default folder for the modules; another name if the default folder has modules that are replaced. */
function freeFolder(configuration: string, taken: TakeOver | undefined): string {
  const isTaken =
    taken !== undefined && hasReplacedModules(join(dirname(configuration), 'vfio'), taken)
  return isTaken ? 'vfio-patch' : 'vfio'
}

/** The folder with installed modules that the target itself imports, relative to the target's folder. */
function installedFolderOf({ target, installedFolders }: Configuration): string | undefined {
  const folder = installedFolders.find(it => it.importer === target.path)
  const inside = folder && relative(dirname(target.path), folder.path)
  return inside === undefined || inside.startsWith('..') ? undefined : inside
}

/** All device IDs in the settings, also those that belong to an address. */
function idsOf({ devices = [], addresses = [] }: Settings): string[] {
  return [...devices, ...addresses.flatMap(it => (typeof it === 'string' ? [] : it.id))]
}

/**
 * A note if shared memory belongs to root because no user is known. No note if a file seems to add a user to the
 * group of the memory. `prefix` is the path of the set that has the options.
 */
function ownerNotes(
  { sharedMemoryFiles = [] }: Settings,
  before: Configuration,
  after: Configuration,
  prefix: readonly string[]
): string[] {
  const isOwnedByRoot = ({ target }: Configuration, name: string) =>
    target.doc
      .getIn([...prefix, 'virtualisation', 'sharedMemoryFiles', name, 'user'])
      .some(it => it.source === '"root"')
  const names = sharedMemoryFiles
    .filter(
      it =>
        it.user === undefined && !isOwnedByRoot(before, it.name) && isOwnedByRoot(after, it.name)
    )
    .map(it => it.name)
  if (names.length === 0 || before.files.some(it => /"kvm"/.test(it.text))) return []
  return [rootOwnsNote(names)]
}
