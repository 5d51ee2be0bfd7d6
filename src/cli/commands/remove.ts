import { basename, dirname, join, relative } from 'node:path'
import { type ImportWalk, walkImports } from '../../configuration/imports.ts'
import { ownOptions, shippedModules } from '../../configuration/modules.ts'
import {
  moduleReader,
  nixFilesAround,
  readFolder,
  tooBigImports
} from '../../configuration/read.ts'
import { stampOf } from '../../configuration/stamp.ts'
import { parseDocument } from '../../nix/index.ts'
import { planRemove, type RemovePlan } from '../../plan/remove.ts'
import type { Arguments } from '../args/parse.ts'
import { type RemoveRequest, readRemoveRequest } from '../args/request.ts'
import { VERSION } from '../context.ts'
import { orThrow } from '../message.ts'
import { printNotice, type Screens } from '../output/output.ts'
import type { Prepared } from '../prepared.ts'
import { emptyBody, type Report, unchanged } from '../report.ts'
import { readModule, requireWritable } from '../request/configuration.ts'
import { tooBigNotes } from '../text/apply.ts'
import { readMessage } from '../text/files.ts'
import { nextStep } from '../text/nextStep.ts'
import { removeMessage } from '../text/remove.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'
import { checkWithNix } from './plan.ts'

/** `remove`: takes our part out of a configuration again, and leaves everything else in it. */
export async function removeCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readRemoveRequest(args, screens)
  const prepared = prepareRemoval(request)
  const { plan, context, notes = [], configuration } = prepared
  if (plan.files.length === 0) {
    if (!request.quiet) {
      printNotice(`Nothing to do: ${context.file} has nothing of vfio-patch.`)
      for (const line of notes) printNotice(line)
    }
    return unchanged({ ...emptyBody(context.root), notes })
  }
  return confirmAndWrite(prepared, request, nextStep(context.root, configuration.realpath))
}

function prepareRemoval(request: RemoveRequest): Prepared {
  const { root, modulesDir = 'vfio', checkMode } = request
  const { target, text, context } = readModule(request)
  const path = target.realpath
  const walk = walkImports({ path, text }, moduleReader(root))
  const read = (folder: string) => orThrow(readFolder(folder), it => readMessage(it, context))
  const usual = read(join(dirname(path), modulesDir))
  const folders = new Map([[usual.path, usual.listing]])
  for (const { path: module } of walk.ours) {
    const folder = read(dirname(module))
    folders.set(folder.path, folder.listing)
  }
  // The modules that are there may have options that those of this version don't have any more.
  const installed = [...folders.values()].flatMap(it =>
    typeof it === 'string' ? [] : [...it.values()].filter(isOwn)
  )
  const own = ownOptions([...shippedModules(VERSION).values(), ...installed])
  const names = [...own.map(it => it.at(-1) ?? ''), ...[...folders.keys()].map(it => basename(it))]
  const modules = walk.modules.map(it => ({ ...it, doc: parseDocument(it.text) }))
  const planned = planRemove({
    modules,
    walk,
    usual: usual.path,
    folders,
    own,
    others: othersAround(path, walk, names)
  })
  const plan = orThrow(planned, it => removeMessage(it, context, path))
  const edited = plan.files.filter(it => it.before !== undefined && it.path !== path)
  requireWritable(edited, context)
  const checked = checkWithNix(plan.files, checkMode, path)
  const check = orThrow(checked, it => removeMessage(it, context, path))
  const notes = [...tooBigNotes(tooBigImports(walk, root)), ...removalNotes(plan, dirname(path))]
  return { plan, configuration: target, context, check, notes }
}

function isOwn(text: string | null): text is string {
  return text !== null && stampOf(text) !== 'none'
}

/** The files of the repository that may need our part and are not among those that are looked at anyway. */
function othersAround(path: string, { modules }: ImportWalk, words: readonly string[]) {
  const known = new Set(modules.map(it => it.path))
  const escaped = words.map(it => it.replace(/[^\w]/g, '\\$&'))
  return nixFilesAround(path, new RegExp(`(?:${escaped.join('|')})`))
    .filter(it => !known.has(it.path))
    .map(it => ({ path: it.path, doc: parseDocument(it.text) }))
}

/** What a person has to know of what stays. */
function removalNotes({ kept, stays, strangers }: RemovePlan, folder: string): string[] {
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
