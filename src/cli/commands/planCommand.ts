// What `apply` and `diff` have in common: from the words of the command to a checked plan.

import { basename, dirname, isAbsolute, join, normalize, relative } from 'node:path'
import { shippedModules } from '../../apply/modules/shippedModules.ts'
import { obsoleteIn } from '../../apply/old/obsolete.ts'
import { doubtsAround, readTakeOver } from '../../apply/old/readTakeOver.ts'
import { holdsTheirs, type TakeOver } from '../../apply/old/takeOver.ts'
import { ownOptions } from '../../apply/own/ownOptions.ts'
import { planApply } from '../../apply/planApply.ts'
import { followImports, type ImportClosure, walkImports } from '../../apply/read/importClosure.ts'
import { moduleReader, readFolder } from '../../apply/read/readInputs.ts'
import { prefixOf, targetOf } from '../../apply/specialisation.ts'
import { readTarget } from '../../files/target.ts'
import { namesOf } from '../../host/pciNames.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { isEmpty } from '../../vfio/settings.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { readSettings } from '../arguments/readSettings.ts'
import { type Context, contextOf } from '../context.ts'
import { chooseForGuest } from '../input/chooseForGuest.ts'
import { chooseHost, type EarlierDevices } from '../input/chooseHost.ts'
import { guestFile } from '../input/guestFile.ts'
import { readGuest } from '../input/readGuest.ts'
import { readModule } from '../input/readModule.ts'
import { readRelease } from '../input/readRelease.ts'
import { type Message, usage } from '../message.ts'
import { entryNotes, misplacedAssumption, readSpecialisation } from '../messages/bootEntry.ts'
import { list } from '../messages/deviceWords.ts'
import { readMessage } from '../messages/fileMessages.ts'
import { fileNotes, reportGuest } from '../messages/guestNotes.ts'
import { applyMessage } from '../messages/messages.ts'
import { doubtNotes, takeOverNotes } from '../messages/takeOverMessages.ts'
import { readRoot } from '../root.ts'
import { replacementsIn } from '../show/replacements.ts'
import type { Screen } from '../show/terminal.ts'
import { VERSION } from '../version.ts'
import { checkWithNix, readCheckMode } from './checkWithNix.ts'
import type { Prepared } from './prepared.ts'

/** Plans what the flags ask for, and checks the result. */
export function prepare(
  command: string,
  given: Arguments,
  screen: Screen
): Result<Prepared, Message> {
  const settings = readSettings(given)
  if (!settings.ok) return settings
  const root = readRoot(given)
  if (!root.ok) return root
  const folderName = readModulesDir(given)
  if (!folderName.ok) return folderName
  const release = readRelease(given, root.value)
  if (!release.ok) return release
  const asked = readSpecialisation(given)
  if (!asked.ok) return asked
  const checkMode = readCheckMode(given)
  if (!checkMode.ok) return checkMode
  const read = readModule(given.file, root.value, path =>
    contextOf(command, path, root.value, given, screen)
  )
  if (!read.ok) return read
  const { target, text, context } = read.value
  const path = target.realpath
  const guest = readGuest(given, context)
  if (!guest.ok) return guest
  const isEdited =
    !isEmpty(settings.value) || given.texts('gpu') !== undefined || guest.value !== undefined
  const entry = targetOf(parseDocument(text), path, asked.value, isEdited)
  if (!entry.ok) return err(applyMessage(entry.error, context))
  const misuse = misplacedAssumption(given, entry.value)
  if (misuse) return err(misuse)

  const shipped = shippedModules(VERSION)
  const own = ownOptions(shipped.values())
  const closure = followImports({ path, text }, moduleReader(root.value), own)
  const keepsObsolete = given.on('keep-obsolete') === true
  const taken = keepsObsolete
    ? ok(undefined)
    : readTakeOver({ path, text }, root.value, [...shipped.values()])
  if (!taken.ok) return err(applyMessage(taken.error, context))
  // Imports may lead where nothing is to be edited: out of the root, or into the store.
  for (const file of taken.value?.files ?? []) {
    const found = readTarget(file.path, { root: root.value })
    if (!found.ok) return err(readMessage(found.error, context))
  }
  const { modules } = walkImports({ path, text }, moduleReader(root.value))
  const imported = modules.filter(it => it.path !== path)
  // They count from now on, also where they stay.
  const earlier =
    isEdited || taken.value
      ? {
          ...earlierDevices(text, release.value, prefixOf(entry.value), context, taken.value),
          imported
        }
      : undefined
  const chosen = chooseHost(settings.value, text, given, context, entry.value, earlier)
  if (!chosen.ok) return chosen
  const { notes, byCard, byAddress } = chosen.value
  const place = {
    text,
    texts: modules.map(it => it.text),
    specialisation: entry.value,
    prefix: prefixOf(entry.value),
    earlierIDs: [...(earlier?.ids ?? []), ...(earlier?.named ?? [])],
    imported
  }
  const forGuest = guest.value
    ? chooseForGuest(guest.value, chosen.value, place, given, context)
    : ok({ settings: chosen.value.settings, notes: [], byGuest: [] })
  if (!forGuest.ok) return forGuest
  const modulesDir = folderName.value ?? oursIn(closure, path) ?? freeFolder(path, taken.value)
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
    release: release.value,
    keepObsolete: keepsObsolete,
    specialisation: asked.value,
    closure,
    takeOver: taken.value,
    byAddress,
    names: namesOf([...(forGuest.value.settings.devices ?? []), ...(earlier?.ids ?? [])])
  })
  if (!plan.ok) return err(applyMessage(plan.error, context))

  const check = checkWithNix(plan.value.files, checkMode.value, path)
  if (!check.ok) return err(applyMessage(check.error, context))
  const about = taken.value ? takeOverNotes(taken.value, plan.value, dirname(path)) : []
  const doubts =
    closure.ours.length === 0 ? doubtsAround({ path, text }, root.value, [...shipped.values()]) : []
  const ofFile = guest.value && file.value ? fileNotes(file.value, guest.value) : []
  const aboutGuest =
    guest.value && file.value ? { guest: reportGuest(file.value, guest.value) } : {}
  return ok({
    plan: plan.value,
    configuration: target,
    context,
    check: check.value,
    replaced: replacementsIn(plan.value, taken.value, context, path),
    notes: [
      ...about,
      ...doubtNotes(doubts, dirname(path)),
      ...entryNotes(plan.value, context),
      ...ofFile,
      ...notes,
      ...forGuest.value.notes
    ],
    byCard,
    byGuest: forGuest.value.byGuest,
    ...aboutGuest
  })
}

/** What the file gives to vfio-pci in other words than by our options. */
function earlierDevices(
  text: string,
  release: string | undefined,
  prefix: readonly string[],
  { file }: Context,
  taken: TakeOver | undefined
): Omit<EarlierDevices, 'imported'> {
  const doc = parseDocument(text)
  const found = obsoleteIn(doc, release, prefix).filter(
    it => it.devices !== undefined && !it.isOutside
  )
  const option = 'virtualisation.vfio.devices'
  const items = taken ? doc.itemsIn(option).filter(it => typeof it === 'string') : []
  const lines = [
    ...(items.length > 0 ? doc.getIn(option).map(it => it.at.line) : []),
    ...found.map(it => it.line)
  ]
  return {
    ids: [...new Set(found.flatMap(it => it.devices ?? []))],
    named: items.map(it => it.toLowerCase()),
    places: list([...new Set(lines)].map(it => `${basename(file)}:${it}`))
  }
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

/** The folder that `--modules-dir` names, relative to that of the configuration. */
export function readModulesDir(given: Arguments): Result<string | undefined, Message> {
  const given_ = given.text('modules-dir')
  if (given_ === undefined) return ok(undefined)
  const path = normalize(given_).replace(/\/$/, '')
  if (isAbsolute(path) || path.startsWith('..') || path === '.') {
    return err(
      usage(`--modules-dir needs a folder beside the configuration, got "${given_}".`, {
        remedy: 'e.g. --modules-dir modules/vfio'
      })
    )
  }
  return ok(path)
}
