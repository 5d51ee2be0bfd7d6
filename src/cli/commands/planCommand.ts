// What `apply` and `diff` have in common: from the words of the command to a checked plan.

import { dirname, join, relative } from 'node:path'
import { doubtsAround } from '../../apply/old/readTakeOver.ts'
import { holdsTheirs, notForOneEntry, type TakeOver } from '../../apply/old/takeOver.ts'
import { planApply } from '../../apply/planApply.ts'
import type { ImportClosure } from '../../apply/read/importClosure.ts'
import { readFolder } from '../../apply/read/readInputs.ts'
import { prefixOf, targetOf } from '../../apply/specialisation.ts'
import { namesOf } from '../../host/pciNames.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { isEmpty, type Settings } from '../../vfio/settings.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { readModulesDir } from '../arguments/readModulesDir.ts'
import { readSettings } from '../arguments/readSettings.ts'
import { contextOf } from '../context.ts'
import { chooseForGuest } from '../input/chooseForGuest.ts'
import { chooseHost } from '../input/chooseHost.ts'
import { guestFile } from '../input/guestFile.ts'
import { newFaults } from '../input/newFaults.ts'
import { readGuest } from '../input/readGuest.ts'
import { readModule } from '../input/readModule.ts'
import { readRelease } from '../input/readRelease.ts'
import { earlierDevices, readSystem } from '../input/readSystem.ts'
import { unknownUsers } from '../input/unknownUsers.ts'
import type { Message } from '../message.ts'
import { entryNotes, misplacedAssumption, readSpecialisation } from '../messages/bootEntry.ts'
import { readMessage } from '../messages/fileMessages.ts'
import { fileNotes, reportGuest } from '../messages/guestNotes.ts'
import { applyMessage } from '../messages/messages.ts'
import { ownerNotes } from '../messages/ownerNote.ts'
import { doubtNotes, takeOverNotes } from '../messages/takeOverMessages.ts'
import { readRoot } from '../root.ts'
import { replacementsIn } from '../show/replacements.ts'
import type { Screen } from '../show/terminal.ts'
import { type CheckMode, checkWithNix, readCheckMode } from './checkWithNix.ts'
import type { Prepared } from './prepared.ts'

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

/** Plans what the flags ask for, and checks the result. */
export function prepare(
  command: string,
  given: Arguments,
  screen: Screen
): Result<Prepared, Message> {
  const request = readRequest(given)
  if (!request.ok) return request
  const { settings, root, release, specialisation, checkMode, keepsObsolete } = request.value
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
  const { shipped, closure, modules, imported, takeOver } = system.value
  const early = notForOneEntry(takeOver, path, specialisation)
  if (early) return err(applyMessage(early, context))
  const entry = targetOf(parseDocument(text), path, specialisation, isEdited, imported)
  if (!entry.ok) return err(applyMessage(entry.error, context))
  const misuse = misplacedAssumption(given, entry.value)
  if (misuse) return err(misuse)

  const prefix = prefixOf(entry.value)
  // They count from now on, also where they stay.
  const earlier =
    isEdited || takeOver ? earlierDevices(text, system.value, prefix, release, context) : undefined
  const chosen = chooseHost(settings, text, given, context, entry.value, earlier)
  if (!chosen.ok) return chosen
  const forGuest = guest.value
    ? chooseForGuest(
        guest.value,
        chosen.value,
        {
          text,
          texts: modules.map(it => it.text),
          specialisation: entry.value,
          prefix,
          earlierIDs: [...(earlier?.ids ?? []), ...(earlier?.named ?? [])],
          imported
        },
        given,
        context
      )
    : ok({ settings: chosen.value.settings, notes: [], byGuest: [] })
  if (!forGuest.ok) return forGuest

  const modulesDir = request.value.modulesDir ?? oursIn(closure, path) ?? freeFolder(path, takeOver)
  const folder = readFolder(join(dirname(path), modulesDir))
  if (!folder.ok) return err(readMessage(folder.error, context))
  const file = guest.value
    ? guestFile(guest.value, folder.value.path, modules, given, context)
    : ok(undefined)
  if (!file.ok) return file
  const plan = planApply({
    path,
    text,
    settings: forGuest.value.settings,
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
    byAddress: chosen.value.byAddress,
    names: namesOf([...(forGuest.value.settings.devices ?? []), ...(earlier?.ids ?? [])])
  })
  if (!plan.ok) return err(applyMessage(plan.error, context))
  const check = checkWithNix(plan.value.files, checkMode, path)
  if (!check.ok) return err(applyMessage(check.error, context))

  const beside = dirname(path)
  const doubts =
    closure.ours.length === 0 ? doubtsAround({ path, text }, root, [...shipped.values()]) : []
  const inFile = guest.value && file.value && { guest: guest.value, file: file.value }
  return ok({
    plan: plan.value,
    configuration: target,
    context,
    check: check.value,
    replaced: replacementsIn(plan.value, takeOver, context, path),
    notes: [
      ...(takeOver ? takeOverNotes(takeOver, plan.value, beside) : []),
      ...doubtNotes(doubts, beside),
      ...entryNotes(plan.value, takeOver, context),
      ...(inFile ? fileNotes(inFile.file, inFile.guest) : []),
      ...chosen.value.notes,
      ...forGuest.value.notes,
      ...unknownUsers(settings.users ?? [], modules),
      ...ownerNotes(forGuest.value.settings, text, plan.value.configuration.text, modules, prefix),
      ...newFaults(target, text, plan.value.files, release, given, context)
    ],
    byCard: chosen.value.byCard,
    byGuest: forGuest.value.byGuest,
    ...(inFile ? { guest: reportGuest(inFile.file, inFile.guest) } : {})
  })
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
