import { basename, dirname, join, relative } from 'node:path'
import { type ImportWalk, walkImports } from '../../configuration/imports.ts'
import { earlierTexts, ownOptions, shippedModules } from '../../configuration/modules.ts'
import {
  moduleReader,
  nixFilesAround,
  readFolder,
  tooBigImports
} from '../../configuration/read.ts'
import { stampOf } from '../../configuration/stamp.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { planRemove, type RemovePlan } from '../../plan/remove.ts'
import { readTarget } from '../../storage/read.ts'
import type { Arguments } from '../args/parse.ts'
import { readModulesDir, readWriteOptions } from '../args/request.ts'
import { contextOf, readRoot, stateFolderHere, VERSION } from '../context.ts'
import type { Message } from '../message.ts'
import { printNotice, type Screen } from '../output/output.ts'
import type { Screens } from '../output/plan.ts'
import type { Prepared } from '../prepared.ts'
import { emptyBody, fail, type Report, unchanged } from '../report.ts'
import { readModule } from '../request/configuration.ts'
import { tooBigNotes } from '../text/apply.ts'
import { readMessage } from '../text/files.ts'
import { nextStep } from '../text/nextStep.ts'
import { removeMessage } from '../text/remove.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'
import { checkWithNix, readCheckMode } from './plan.ts'

/** `remove`: takes our part out of a configuration again, and leaves everything else in it. */
export async function removeCommand(given: Arguments, screens: Screens): Promise<Report> {
  const manner = readWriteOptions(given, true)
  if (!manner.ok) return fail(manner.error)
  const prepared = prepareRemoval(given, screens.err)
  if (!prepared.ok) return fail(prepared.error)
  const { plan, context, notes = [] } = prepared.value
  if (plan.files.length === 0) {
    if (!manner.value.quiet) {
      printNotice(`Nothing to do: ${context.file} has nothing of vfio-patch.`)
      for (const line of notes) printNotice(line)
    }
    return unchanged({ ...emptyBody(context.root), notes })
  }
  const next = nextStep(context.root, prepared.value.configuration.realpath)
  return confirmAndWrite(prepared.value, manner.value, given, screens, next)
}

function prepareRemoval(given: Arguments, screen: Screen): Result<Prepared, Message> {
  const root = readRoot(given)
  if (!root.ok) return root
  const folderName = readModulesDir(given)
  if (!folderName.ok) return folderName
  const checkMode = readCheckMode(given)
  if (!checkMode.ok) return checkMode
  const read = readModule(given.file, root.value, path =>
    contextOf('remove', path, root.value, given, screen)
  )
  if (!read.ok) return read
  const { target, text, context } = read.value

  const path = target.realpath
  const walk = walkImports({ path, text }, moduleReader(root.value))
  const usual = readFolder(join(dirname(path), folderName.value ?? 'vfio'))
  if (!usual.ok) return err(readMessage(usual.error, context))
  const folders = new Map([[usual.value.path, usual.value.listing]])
  for (const { path: module } of walk.ours) {
    const folder = readFolder(dirname(module))
    if (!folder.ok) return err(readMessage(folder.error, context))
    folders.set(folder.value.path, folder.value.listing)
  }
  // The modules that are there may have options that those of this version don't have any more.
  const installed = [...folders.values()].flatMap(it =>
    typeof it === 'string' ? [] : [...it.values()].filter(isOwn)
  )
  const own = ownOptions([...shippedModules(VERSION).values(), ...installed])
  const names = [...own.map(it => it.at(-1) ?? ''), ...[...folders.keys()].map(it => basename(it))]
  const plan = planRemove({
    walk,
    usual: usual.value.path,
    folders,
    own,
    earlier: earlierTexts(walk.modules, stateFolderHere(root.value), root.value),
    others: othersAround(path, walk, names)
  })
  if (!plan.ok) return err(removeMessage(plan.error, context, path))

  // Imports may lead where nothing is to be edited: out of the root, or into the store.
  for (const file of plan.value.files) {
    const found =
      file.before === undefined || file.path === path
        ? undefined
        : readTarget(file.path, { root: root.value })
    if (found && !found.ok) return err(readMessage(found.error, context))
  }
  const check = checkWithNix(plan.value.files, checkMode.value, path)
  if (!check.ok) return err(removeMessage(check.error, context, path))
  const notes = [
    ...tooBigNotes(tooBigImports(walk, root.value)),
    ...notesOn(plan.value, dirname(path))
  ]
  return ok({ plan: plan.value, configuration: target, context, check: check.value, notes })
}

function isOwn(text: string | null): text is string {
  return text !== null && stampOf(text) !== 'none'
}

/** The files of the repository that may need our part and are not among those that are looked at anyway. */
function othersAround(path: string, { modules }: ImportWalk, words: readonly string[]) {
  const known = new Set(modules.map(it => it.path))
  const escaped = words.map(it => it.replace(/[^\w]/g, '\\$&'))
  return nixFilesAround(path, new RegExp(`(?:${escaped.join('|')})`)).filter(
    it => !known.has(it.path)
  )
}

/** What a person has to know of what stays. */
function notesOn({ kept, stays, strangers }: RemovePlan, folder: string): string[] {
  const name = (path: string) => {
    const inside = relative(folder, path)
    return inside.startsWith('..') ? path : inside
  }
  return [
    ...kept.map(it => `Kept aside: ${name(it.path)}, which was changed by hand, as ${name(it.as)}`),
    ...strangers.map(it =>
      basename(it) === 'guests'
        ? `Stays: ${name(it)}/, your guests; libvirt keeps them as well`
        : `Stays: ${name(it)}, which is not of vfio-patch`
    ),
    ...stays.map(it => `Stays: ${name(it.folder)}/, as ${name(it.importer)} imports it`)
  ]
}

// Who else needs the modules that an undo deletes.
