import { basename, dirname, join, relative } from 'node:path'
import type { FolderListing } from '../../configuration/files.ts'
import { type Configuration, withChanges } from '../../configuration/load.ts'
import { ok, type Result } from '../../nix/result.ts'
import { type ApplyPlan, planApply } from '../../plan/apply.ts'
import { checkWithNix } from '../../plan/evaluate.ts'
import type { GuestPlan } from '../../plan/guest.ts'
import { type Doubt, doubtsAround, holdsTheirs, type TakeOver } from '../../plan/legacy/takeOver.ts'
import type { TakeOverNote } from '../../plan/legacy/values.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Arguments } from '../args/parse.ts'
import { type ApplyRequest, readApplyRequest } from '../args/request.ts'
import type { Context } from '../context.ts'
import { CommandError, orThrow } from '../message.ts'
import { applyMessage, tooBigNotes } from '../messages/apply.ts'
import { list, type Names } from '../messages/devices.ts'
import { readMessage } from '../messages/files.ts'
import { fileNotes, reportGuest } from '../messages/guests.ts'
import { nextStep } from '../messages/nextStep.ts'
import { pathIn } from '../output/diff.ts'
import { printNotice, type Screens } from '../output/output.ts'
import { type Prepared, replacementsIn } from '../output/plan.ts'
import { whyNoQuestion } from '../prompt/prompt.ts'
import { emptyBody, type Report, unchanged } from '../report.ts'
import { chooseHost, earlierDevices, type HostChoice } from '../request/devices.ts'
import { regressions } from '../request/faults.ts'
import {
  chooseForGuest,
  type GuestChoice,
  guestFile,
  presentGuests
} from '../request/guestChoice.ts'
import { type ApplyInputs, readInputs, unknownUsers } from '../request/inputs.ts'
import { MachineReader } from '../request/machine.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'

/** `apply` and `diff`: shows what would change; `apply` then asks and writes. */
export async function applyCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readApplyRequest(args, screens)
  return runApply(request, new MachineReader(request.sysfs))
}

async function runApply(request: ApplyRequest, reader: MachineReader): Promise<Report> {
  const draft = prepareDraft(request, reader)
  const planned = planDraft(draft)
  if (!planned.ok) {
    const message = applyMessage(planned.error, draft.inputs.context)
    const isUnsaid = planned.error.code === 'NOTHING_CHOSEN' && request.command === 'apply'
    if (!isUnsaid || !canAnswer(request)) throw new CommandError(message)
    const { askForCard } = await import('../prompt/askForCard.ts')
    return runApply(await askForCard(draft.inputs, message), reader)
  }
  return confirmPlan(await withDriver(planned.value, draft), request)
}

function confirmPlan(prepared: Prepared, request: ApplyRequest): Report | Promise<Report> {
  const { plan, context, notes = [], guest, dark, target, sources } = prepared
  if (plan.files.length === 0) {
    if (!request.quiet) {
      printNotice(`Nothing to do: ${context.file} says all this already.`)
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

/** Whether there is somebody who can be asked what was not said. */
function canAnswer({ write, json }: ApplyRequest): boolean {
  return !write.isConfirmed && whyNoQuestion(write, json) === undefined
}

/**
 * The plan, with the driver that makes a passphrase prompt visible if the user wants it. Nobody is
 * asked where nothing is to be written, or the file can't take the edit.
 */
async function withDriver(prepared: Prepared, draft: Draft): Promise<Prepared> {
  const { dark, plan } = prepared
  const { request } = draft.inputs
  const mayOffer = request.write.writes && canAnswer(request)
  if (!mayOffer || !dark || dark.drivers.length === 0 || plan.files.length === 0) {
    return prepared
  }
  // The boot entry of the run need not be the one whose prompt is invisible.
  const more = planDraft(draft, dark.drivers)
  if (!more.ok || more.value.dark) return prepared
  const { askForDriver } = await import('../prompt/askForCard.ts')
  return (await askForDriver(dark, request.screens.err)) ? more.value : prepared
}

// What `apply` and `diff` have in common: from the request to a checked plan.

/** The inputs of a run, and what the machine and the guest make of the settings. */
interface Draft {
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
function prepareDraft(request: ApplyRequest, reader: MachineReader): Draft {
  const inputs = readInputs(request, reader)
  const { configuration, takeOver, context, guest } = inputs
  const { path } = configuration.target
  const earlier = earlierDevices(inputs)
  const host = chooseHost(inputs, earlier)
  const forGuest = guest
    ? chooseForGuest(guest, host, inputs, earlier)
    : { settings: host.settings, notes: [], byGuest: [], virtual: undefined }
  const modulesDir =
    request.modulesDir ?? installedFolderOf(configuration) ?? freeFolder(path, takeOver)
  const found = inputs.sources.folder(join(dirname(path), modulesDir))
  const folder = orThrow(found, it => readMessage(it, context))
  const file = guest && guestFile(guest, folder.path, forGuest.virtual, inputs)
  const names = reader.namesOf([...idsOf(forGuest.settings), ...earlier.ids])
  return { inputs, host, forGuest, modulesDir, folder, file, names }
}

/**
 * Plans what the flags ask for, and checks the result. `initrdModules` are kernel modules that the initrd
 * is to load besides, in the boot entry that the run is about.
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

/** The usual folder for our modules, or another where that one has modules that ours replace. */
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

// What a person has to know of a plan, in sentences.

/** What becomes of the modules that ours replace, and what is different with ours. */
function takeOverNotes(
  { modules, notes }: TakeOver,
  { files }: ApplyPlan,
  folder: string
): string[] {
  const nameOf = (path: string) => pathIn(folder, path)
  // A module with the name of one of ours is renamed.
  const aside = files.filter(
    it => it.ownershipFrom !== undefined && modules.includes(it.ownershipFrom)
  )
  const names = modules
    .filter(it => !aside.some(({ ownershipFrom }) => ownershipFrom === it))
    .map(nameOf)
  return [
    ...(names.length > 0
      ? [
          `Stays: ${list(names)}; this configuration no longer imports ${names.length === 1 ? 'it' : 'them'}.`
        ]
      : []),
    ...aside.map(it => `Kept aside: ${nameOf(it.ownershipFrom ?? '')}, as ${nameOf(it.path)}.`),
    ...notes.map(it => `Note: ${noteLine(it)}`)
  ]
}

// More would hide the rest.
const MOST_DOUBTS = 3

/** What may declare an option a second time; said once, when our modules come. */
function doubtNotes(doubts: readonly Doubt[], folder: string): string[] {
  return doubts
    .slice(0, MOST_DOUBTS)
    .map(
      ({ path, line, name }) =>
        `Note: ${pathIn(folder, path)}:${line} has ${name}. If this system gets that as well, take it out there: two modules can not declare one option.`
    )
}

function noteLine(note: TakeOverNote): string {
  switch (note.code) {
    case 'DARK_BOOT':
      return 'virtualisation.vfio.disableEFIfb has an effect now, by initcall_blacklist=sysfb_init: the screen stays dark until a graphics driver loads. video=efifb:off did nothing. Take the option out if the guest gets its card without it.'
    case 'NO_ACS_PATCH':
      return 'virtualisation.vfio.applyACSpatch no longer patches the kernel, as those patches fit none of today. Choose a kernel that has it, for example boot.kernelPackages = pkgs.linuxPackages_zen, or IOMMU groups are as the machine has them.'
    case 'NO_DEVICE_GROUP':
      return 'the group kvm may no longer open the devices under /dev/vfio, which libvirt does not need. If you start QEMU by hand: virtualisation.vfio.deviceGroup = "kvm"'
    case 'INPUT_GROUP':
      return 'qemu-libvirtd stays in the group input, for the devices under /dev/input that deviceACL has.'
    case 'SHARED_BY_KVM':
      return `${list(note.names.map(it => `/dev/shm/${it}`))} ${note.names.length === 1 ? 'belongs' : 'belong'} to the group kvm with the mode 0660 where nothing else is set; before it was root with 0600.`
  }
}

/** What a person has to know of where the options go; nothing where it is the usual boot entry. */
function entryNotes(
  { specialisation = null, configuration, left = [] }: ApplyPlan,
  takeOver: TakeOver | undefined,
  { file }: Context
): string[] {
  if (specialisation === null || !configuration.changed) return []
  // Modules that others had are for every boot entry.
  const usual = takeOver ? '' : '; the usual boot entry stays as it is'
  return [
    `Boot entry: the options are in specialisation.${specialisation}${usual}.`,
    ...left.map(
      it =>
        `Leaves ${basename(file)}:${it.line}, as it is not in specialisation.${specialisation}: ${it.code}, ${it.message}.`
    )
  ]
}

/** How to get into the boot entry, or back where there is no picture. */
function bootHint(specialisation: string | null | undefined): string {
  return specialisation === undefined || specialisation === null
    ? 'If there is no picture, pick the previous generation in the boot menu.'
    : `In the boot menu, pick the entry with "${specialisation}" in its name; the usual one is as before.`
}

/**
 * What to know where shared memory becomes root's because no user is known, which is of no use to whoever
 * looks at the guest; nothing where one of the files seems to put somebody into its group. Options have
 * `prefix` before them.
 */
function ownerNotes(
  { sharedMemoryFiles = [] }: Settings,
  before: Configuration,
  after: Configuration,
  prefix: readonly string[]
): string[] {
  const isRoots = ({ target }: Configuration, name: string) =>
    target.doc
      .getIn([...prefix, 'virtualisation', 'sharedMemoryFiles', name, 'user'])
      .some(it => it.source === '"root"')
  const names = sharedMemoryFiles
    .filter(it => it.user === undefined && !isRoots(before, it.name) && isRoots(after, it.name))
    .map(it => it.name)
  if (names.length === 0 || before.files.some(it => /"kvm"/.test(it.text))) return []
  const [verb, them] = names.length === 1 ? ['belongs', 'it'] : ['belong', 'them']
  return [
    `Note: ${list(names)} ${verb} to root, so nobody else can open ${them}. Name who looks at the guest: --user NAME.`
  ]
}

/** What to do before the restart; `call` is undefined where no edit is sure to help. */
function darkReminder(call: string | undefined): string {
  const sudo = process.geteuid?.() === 0 ? 'sudo ' : ''
  return call === undefined
    ? 'First:  see DARK_PASSPHRASE above; the passphrase prompt is invisible otherwise'
    : `First:  ${sudo}${call}   (otherwise the passphrase prompt is invisible)`
}
