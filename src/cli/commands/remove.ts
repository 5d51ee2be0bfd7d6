import { basename, dirname, join } from 'node:path'
import type { SourceFile } from '../../configuration/files.ts'
import type { Configuration } from '../../configuration/load.ts'
import { exclusiveOptions } from '../../configuration/modules.ts'
import { stampOf } from '../../configuration/stamp.ts'
import { checkWithNix } from '../../plan/evaluate.ts'
import { planRemove, type RemovePlan } from '../../plan/remove.ts'
import type { Arguments } from '../args/parse.ts'
import { type RemoveRequest, readRemoveRequest } from '../args/request.ts'
import { orThrow } from '../message.ts'
import { tooBigNotes } from '../messages/apply.ts'
import { readMessage } from '../messages/files.ts'
import { nextStep } from '../messages/nextStep.ts'
import {
  foreignFileKept,
  guestsKept,
  importedFolderKept,
  nothingToRemove,
  removeMessage,
  renamedModule
} from '../messages/remove.ts'
import { pathIn } from '../output/diff.ts'
import { printNotice, type Screens } from '../output/output.ts'
import type { Prepared } from '../output/plan.ts'
import { emptyBody, type Report, unchanged } from '../report.ts'
import { configurationOf, readModule, requireWritable } from '../request/inputs.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'

/** `remove`: removes vfio-patch from a configuration, and keeps everything else. */
export async function removeCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readRemoveRequest(args, screens)
  const prepared = prepareRemoval(request)
  const { plan, context, notes = [], target, sources } = prepared
  if (plan.files.length === 0) {
    if (!request.quiet) {
      printNotice(nothingToRemove(context.file))
      for (const line of notes) printNotice(line)
    }
    return unchanged({ ...emptyBody(context.root), notes })
  }
  return confirmAndWrite(prepared, request, nextStep(sources, target.realpath))
}

function prepareRemoval(request: RemoveRequest): Prepared {
  const { modulesDir = 'vfio', checkMode } = request
  const module = readModule(request)
  const { target, sources, context } = module
  const configuration = configurationOf(module)
  const { path } = configuration.target
  const read = (folder: string) => orThrow(sources.folder(folder), it => readMessage(it, context))
  const defaults = read(join(dirname(path), modulesDir))
  const folders = new Map([[defaults.path, defaults.listing]])
  for (const it of configuration.installedFolders) {
    const folder = read(it.path)
    folders.set(folder.path, folder.listing)
  }
  // The installed modules may have options that the modules of this version no longer have.
  const installed = [...folders.values()].flatMap(it =>
    typeof it === 'string' ? [] : [...it.values()].filter(isInstalled)
  )
  const exclusive = exclusiveOptions([...configuration.shipped.files, ...installed])
  const words = [
    ...exclusive.map(it => it.at(-1) ?? ''),
    ...[...folders.keys()].map(it => basename(it))
  ]
  const others = othersAround(configuration, words)
  const planned = planRemove({
    configuration,
    defaultFolder: defaults.path,
    folders,
    exclusive,
    others
  })
  const plan = orThrow(planned, it => removeMessage(it, context, path))
  const edited = plan.files.filter(it => it.before !== undefined && it.path !== path)
  requireWritable(edited, context)
  const checked = checkWithNix(plan.files, checkMode, path)
  const check = orThrow(checked, it => removeMessage(it, context, path))
  const notes = [...tooBigNotes(configuration), ...removalNotes(plan, dirname(path))]
  return { plan, target, sources, context, check, notes }
}

function isInstalled(file: SourceFile | null): file is SourceFile {
  return file !== null && stampOf(file.text) !== 'none'
}

/** The files of the repository that may use vfio-patch and that the configuration does not import. */
function othersAround({ target, files, sources }: Configuration, words: readonly string[]) {
  const known = new Set(files.map(it => it.path))
  const pattern = new RegExp(words.map(it => it.replace(/[^\w]/g, '\\$&')).join('|'))
  return sources.around(target.path, pattern).filter(it => !known.has(it.path))
}

/** Notes on what is kept. Paths are shown relative to `folder`. */
function removalNotes({ kept, keptFolders, otherFiles }: RemovePlan, folder: string): string[] {
  const name = (path: string) => pathIn(folder, path)
  return [
    ...kept.map(it => renamedModule(name(it.path), name(it.as))),
    ...otherFiles.map(it =>
      basename(it) === 'guests' ? guestsKept(name(it)) : foreignFileKept(name(it))
    ),
    ...keptFolders.map(it => importedFolderKept(name(it.folder), name(it.importer)))
  ]
}
