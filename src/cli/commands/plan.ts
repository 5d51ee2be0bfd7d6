// What `apply` and `diff` have in common: from the words of the command to a checked plan.

import { dirname, join, relative } from 'node:path'
import type { ImportClosure } from '../../configuration/imports.ts'
import { readFolder } from '../../configuration/read.ts'
import type { Guest } from '../../guests/needs/needs.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { type ApplyPlan, planApply } from '../../plan/apply.ts'
import { prefixOf, targetOf } from '../../plan/bootEntry.ts'
import type { PlannedFile } from '../../plan/changes.ts'
import { type ParseCheck, parseCheck } from '../../plan/evaluate.ts'
import type { GuestPlan } from '../../plan/guest.ts'
import {
  doubtsAround,
  holdsTheirs,
  notForOneEntry,
  type TakeOver
} from '../../plan/legacy/takeOver.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import { isEmpty, type Settings } from '../../settings/settings.ts'
import type { TargetFile } from '../../storage/read.ts'
import type { Arguments } from '../args/parse.ts'
import {
  misplacedAssumption,
  readModulesDir,
  readRelease,
  readSettings,
  readSpecialisation
} from '../args/request.ts'
import { type Context, contextOf, readRoot } from '../context.ts'
import { type Message, usage } from '../message.ts'
import { shortName } from '../output/diff.ts'
import { replacementsIn } from '../output/findings.ts'
import type { Screen } from '../output/output.ts'
import type { Prepared } from '../prepared.ts'
import { readModule, readSystem, type System, unknownUsers } from '../request/configuration.ts'
import {
  chooseHost,
  type EarlierDevices,
  earlierDevices,
  type HostChoice
} from '../request/devices.ts'
import { regressions } from '../request/faults.ts'
import { readGuest } from '../request/guest.ts'
import {
  chooseForGuest,
  type GuestChoice,
  type GuestPlace,
  guestFile,
  presentGuests
} from '../request/guestChoice.ts'
import { deviceNames } from '../request/machine.ts'
import { applyMessage, entryNotes, ownerNotes, tooBigNotes } from '../text/apply.ts'
import { readMessage } from '../text/files.ts'
import { fileNotes, reportGuest } from '../text/guests.ts'
import { doubtNotes, takeOverNotes } from '../text/takeOver.ts'

/** What the words of the command ask for, as far as they can be read without the configuration. */
interface Request {
  settings: Settings
  root: string
  modulesDir: string | undefined
  release: string | undefined
  specialisation: string | undefined
  checkMode: CheckMode
  keepsObsolete: boolean
}

function readRequest(given: Arguments): Result<Request, Message> {
  const settings = readSettings(given)
  if (!settings.ok) return settings
  const root = readRoot(given)
  if (!root.ok) return root
  const modulesDir = readModulesDir(given)
  if (!modulesDir.ok) return modulesDir
  const release = readRelease(given, root.value)
  if (!release.ok) return release
  const specialisation = readSpecialisation(given)
  if (!specialisation.ok) return specialisation
  const checkMode = readCheckMode(given)
  if (!checkMode.ok) return checkMode
  return ok({
    settings: settings.value,
    root: root.value,
    modulesDir: modulesDir.value,
    release: release.value,
    specialisation: specialisation.value,
    checkMode: checkMode.value,
    keepsObsolete: given.on('keep-obsolete') === true
  })
}

/**
 * Plans what the flags ask for, and checks the result. `initrdModules` are kernel modules that the initrd
 * is to load besides, in the boot entry that the run is about.
 */
export function prepare(
  command: string,
  given: Arguments,
  screen: Screen,
  initrdModules: readonly string[] = []
): Result<Prepared, Message> {
  const gathered = gather(command, given, screen)
  if (!gathered.ok) return gathered
  const chosen = choose(gathered.value, given)
  if (!chosen.ok) return chosen
  const planned = planChosen(gathered.value, chosen.value, initrdModules, given)
  if (!planned.ok) return planned
  const { guest, target, context, system } = gathered.value
  const { plan, file } = planned.value
  const path = target.realpath
  const { release, text } = gathered.value
  const faults = regressions(target, text, plan.files, release, given, context)
  const check = checkWithNix(plan.files, gathered.value.checkMode, path)
  if (!check.ok) return err(applyMessage(check.error, context))
  return ok({
    plan,
    configuration: target,
    context,
    check: check.value,
    replaced: replacementsIn(plan, system.takeOver, context, path),
    notes: [...notesOn(gathered.value, chosen.value, planned.value), ...faults.notes],
    byCard: chosen.value.host.byCard,
    byGuest: chosen.value.forGuest.byGuest,
    ...(guest && file ? { guest: reportGuest(file, guest) } : {}),
    ...(faults.dark ? { dark: faults.dark } : {})
  })
}

/** The request with the files that it is about. */
interface Gathered extends Request {
  target: TargetFile
  text: string
  context: Context
  guest: Guest | undefined
  system: System
  /** The boot entry of its own that the options go into, and the path of these. */
  entry: string | undefined
  prefix: readonly string[]
  /** Whether anything is asked for besides bringing what is there up to date. */
  isEdited: boolean
}

function gather(command: string, given: Arguments, screen: Screen): Result<Gathered, Message> {
  const request = readRequest(given)
  if (!request.ok) return request
  const { settings, root, specialisation, keepsObsolete } = request.value
  const read = readModule(given.file, root, path => contextOf(command, path, root, given, screen))
  if (!read.ok) return read
  const { target, text, context } = read.value
  const path = target.realpath
  const guest = readGuest(given, context)
  if (!guest.ok) return guest
  const isEdited =
    !isEmpty(settings) || given.texts('gpu') !== undefined || guest.value !== undefined
  const system = readSystem({ path, text }, root, keepsObsolete, context)
  if (!system.ok) return system
  const { imported, takeOver } = system.value
  const early = notForOneEntry(takeOver, path, specialisation)
  if (early) return err(applyMessage(early, context))
  const entry = targetOf(parseDocument(text), path, specialisation, isEdited, imported)
  if (!entry.ok) return err(applyMessage(entry.error, context))
  const misuse = misplacedAssumption(given, entry.value)
  if (misuse) return err(misuse)
  return ok({
    ...request.value,
    ...{ target, text, context, isEdited },
    guest: guest.value,
    system: system.value,
    entry: entry.value,
    prefix: prefixOf(entry.value)
  })
}

interface Chosen {
  host: HostChoice
  /** With all that `host` has, where there is a guest or not. */
  forGuest: GuestChoice
  earlier: EarlierDevices | undefined
}

/** What the machine and the guest make of the settings. */
function choose(gathered: Gathered, given: Arguments): Result<Chosen, Message> {
  const { settings, release, text, context, guest, system, entry, prefix, isEdited } = gathered
  // They count from now on, also where they stay.
  const earlier =
    isEdited || system.takeOver ? earlierDevices(text, system, prefix, release, context) : undefined
  const host = chooseHost(settings, text, given, context, entry, earlier)
  if (!host.ok) return host
  if (!guest) {
    const forGuest = {
      settings: host.value.settings,
      notes: [],
      byGuest: [],
      virtual: undefined
    }
    return ok({ host: host.value, forGuest, earlier })
  }
  const place = placeOf(gathered, earlier)
  const forGuest = chooseForGuest(guest, host.value, place, given, context)
  return forGuest.ok ? ok({ host: host.value, forGuest: forGuest.value, earlier }) : forGuest
}

/** Where a guest goes. */
function placeOf(
  { target, text, system, entry, prefix }: Gathered,
  earlier: EarlierDevices | undefined
): GuestPlace {
  return {
    path: target.realpath,
    text,
    modules: system.modules,
    nameOf: path => shortName(target, path),
    specialisation: entry,
    prefix,
    earlierIDs: [...(earlier?.ids ?? []), ...(earlier?.named ?? [])],
    imported: system.imported
  }
}

interface Planned {
  plan: ApplyPlan
  /** What becomes of the file of the guest. */
  file: GuestPlan | undefined
  /** What there is to say of the guests that are there already. */
  present: readonly string[]
}

function planChosen(
  gathered: Gathered,
  { host, forGuest, earlier }: Chosen,
  initrdModules: readonly string[],
  given: Arguments
): Result<Planned, Message> {
  const { target, text, context, guest, system, release, specialisation, keepsObsolete } = gathered
  const { shipped, closure, modules, imported, takeOver } = system
  const { settings } = forGuest
  const path = target.realpath
  const modulesDir = gathered.modulesDir ?? oursIn(closure, path) ?? freeFolder(path, takeOver)
  const folder = readFolder(join(dirname(path), modulesDir))
  if (!folder.ok) return err(readMessage(folder.error, context))
  const file = guest
    ? guestFile(guest, folder.value.path, modules, forGuest.virtual, given, context)
    : ok(undefined)
  if (!file.ok) return file
  const plan = planApply({
    path,
    text,
    settings,
    guest: file.value,
    modulesDir,
    modulesFolder: folder.value.path,
    listing: folder.value.listing,
    shipped,
    replaceModules: given.on('replace-modules') === true,
    release,
    keepObsolete: keepsObsolete,
    specialisation,
    closure,
    imported,
    takeOver,
    byAddress: host.byAddress,
    initrdModules,
    names: deviceNames([...idsOf(settings), ...(earlier?.ids ?? [])], given)
  })
  if (!plan.ok) return err(applyMessage(plan.error, context))
  const place = placeOf(gathered, earlier)
  const present = presentGuests(file.value, place, folder.value.path, given, context)
  return present.ok ? ok({ plan: plan.value, file: file.value, present: present.value }) : present
}

/** What a person has to know before they decide. */
function notesOn(
  { target, text, context, guest, system, root, settings, prefix }: Gathered,
  { host, forGuest }: Chosen,
  { plan, file, present }: Planned
): string[] {
  const { shipped, closure, modules, takeOver } = system
  const path = target.realpath
  const beside = dirname(path)
  const doubts =
    closure.ours.length === 0 ? doubtsAround({ path, text }, root, [...shipped.values()]) : []
  return [
    ...(takeOver ? takeOverNotes(takeOver, plan, beside) : []),
    ...doubtNotes(doubts, beside),
    ...tooBigNotes(system.tooBig),
    ...entryNotes(plan, takeOver, context),
    ...(guest && file ? fileNotes(file, guest) : []),
    ...host.notes,
    ...forGuest.notes,
    ...present,
    ...unknownUsers(settings.users ?? [], modules),
    ...ownerNotes(forGuest.settings, text, plan.configuration.text, modules, prefix)
  ]
}

/** The usual folder for our modules, or another where modules stand that ours take the place of. */
function freeFolder(configuration: string, taken: TakeOver | undefined): string {
  const isTaken = taken !== undefined && holdsTheirs(join(dirname(configuration), 'vfio'), taken)
  return isTaken ? 'vfio-patch' : 'vfio'
}

/** The folder of ours that the configuration itself imports, relative to its own. */
function oursIn(closure: ImportClosure, configuration: string): string | undefined {
  const own = closure.ours.find(it => it.importer === configuration)
  const inside = own && relative(dirname(configuration), own.path)
  return inside === undefined || inside.startsWith('..') ? undefined : inside
}

/** The device IDs that the settings name, by themselves or with an address. */
function idsOf({ devices = [], addresses = [] }: Settings): string[] {
  return [...devices, ...addresses.flatMap(it => (typeof it === 'string' ? [] : it.id))]
}

const MODES = ['auto', 'require', 'off'] as const
export type CheckMode = (typeof MODES)[number]

/** How much `--parse-check` wants of Nix. */
export function readCheckMode(given: Arguments): Result<CheckMode, Message> {
  const text = given.text('parse-check') ?? 'auto'
  const mode = MODES.find(it => it === text)
  return mode === undefined
    ? err(usage(`--parse-check takes auto, require or off, got "${text}".`))
    : ok(mode)
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
