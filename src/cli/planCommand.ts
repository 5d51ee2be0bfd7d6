// What `apply` and `diff` have in common: from the words of the command to a checked plan.

import { basename, dirname, isAbsolute, join, normalize, relative } from 'node:path'
import { followImports, type ImportClosure } from '../apply/importClosure.ts'
import { ownOptions } from '../apply/ownOptions.ts'
import { planApply } from '../apply/planApply.ts'
import { moduleReader, readFolder } from '../apply/readInputs.ts'
import { shippedModules } from '../apply/shippedModules.ts'
import { namesOf } from '../host/pciNames.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { checkWithNix, readCheckMode } from './checkWithNix.ts'
import { chooseHost } from './chooseHost.ts'
import { contextOf } from './context.ts'
import { readMessage } from './fileMessages.ts'
import { type Message, usage } from './message.ts'
import { applyMessage } from './messages.ts'
import type { Arguments } from './parseArguments.ts'
import type { Prepared } from './prepared.ts'
import { readModule } from './readModule.ts'
import { readRelease } from './readRelease.ts'
import { readSettings } from './readSettings.ts'
import { readRoot } from './root.ts'
import type { Screen } from './terminal.ts'
import { VERSION } from './version.ts'

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
  const checkMode = readCheckMode(given)
  if (!checkMode.ok) return checkMode
  const read = readModule(given.file, root.value, path =>
    contextOf(command, path, root.value, given, screen)
  )
  if (!read.ok) return read
  const { target, text, context } = read.value
  const chosen = chooseHost(settings.value, text, given, context)
  if (!chosen.ok) return chosen
  const { notes, byCard } = chosen.value

  const path = target.realpath
  const shipped = shippedModules(VERSION)
  const own = ownOptions(shipped.values())
  const closure = followImports({ path, text }, moduleReader(root.value), own)
  const modulesDir = folderName.value ?? oursIn(closure, path) ?? 'vfio'
  const folder = readFolder(join(dirname(path), modulesDir))
  if (!folder.ok) return err(readMessage(folder.error, context))
  const plan = planApply({
    path,
    text,
    settings: chosen.value.settings,
    modulesDir,
    modulesFolder: folder.value.path,
    listing: folder.value.listing,
    shipped,
    replaceModules: given.on('replace-modules') === true,
    release: release.value,
    keepObsolete: given.on('keep-obsolete') === true,
    closure,
    names: namesOf(chosen.value.settings.devices ?? [])
  })
  if (!plan.ok) return err(applyMessage(plan.error, context))

  const check = checkWithNix(plan.value.files, checkMode.value, path)
  if (!check.ok) return err(applyMessage(check.error, context))
  const replaced = (plan.value.replaced ?? []).map(
    it => `Replaces ${basename(context.file)}:${it.line}: ${it.code}, ${it.message}.`
  )
  return ok({
    plan: plan.value,
    configuration: target,
    context,
    check: check.value,
    notes: [...replaced, ...notes],
    byCard
  })
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
