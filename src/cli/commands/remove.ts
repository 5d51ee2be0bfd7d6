import { basename, dirname, join } from 'node:path'
import type { SourceFile } from '../../configuration/files.ts'
import type { Configuration } from '../../configuration/load.ts'
import { ownOptions } from '../../configuration/modules.ts'
import { stampOf } from '../../configuration/stamp.ts'
import { nixError } from '../../nix/errors.ts'
import { checkWithNix } from '../../plan/evaluate.ts'
import type { RemoveProblem, UsePlace } from '../../plan/problem.ts'
import { planRemove, type RemovePlan } from '../../plan/remove.ts'
import type { Arguments } from '../args/parse.ts'
import { type RemoveRequest, readRemoveRequest } from '../args/request.ts'
import { type Context, callOn } from '../context.ts'
import { type Message, orThrow } from '../message.ts'
import { applyMessage, nixMessage, tooBigNotes } from '../messages/apply.ts'
import { readMessage } from '../messages/files.ts'
import { nextStep } from '../messages/nextStep.ts'
import { pathIn } from '../output/diff.ts'
import { printNotice, type Screens } from '../output/output.ts'
import type { Prepared } from '../output/plan.ts'
import { emptyBody, type Report, unchanged } from '../report.ts'
import { configurationOf, readModule, requireWritable } from '../request/inputs.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'

/** `remove`: takes our part out of a configuration again, and leaves everything else in it. */
export async function removeCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readRemoveRequest(args, screens)
  const prepared = prepareRemoval(request)
  const { plan, context, notes = [], target, sources } = prepared
  if (plan.files.length === 0) {
    if (!request.quiet) {
      printNotice(`Nothing to do: ${context.file} has nothing of vfio-patch.`)
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
  const usual = read(join(dirname(path), modulesDir))
  const folders = new Map([[usual.path, usual.listing]])
  for (const it of configuration.installedFolders) {
    const folder = read(it.path)
    folders.set(folder.path, folder.listing)
  }
  // The modules that are there may have options that those of this version don't have any more.
  const installed = [...folders.values()].flatMap(it =>
    typeof it === 'string' ? [] : [...it.values()].filter(isInstalled)
  )
  const own = ownOptions([...configuration.shipped.files, ...installed])
  const words = [...own.map(it => it.at(-1) ?? ''), ...[...folders.keys()].map(it => basename(it))]
  const others = othersAround(configuration, words)
  const planned = planRemove({ configuration, usual: usual.path, folders, own, others })
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

/** The files of the repository that may need our part and that the configuration does not import. */
function othersAround({ target, files, sources }: Configuration, words: readonly string[]) {
  const known = new Set(files.map(it => it.path))
  const pattern = new RegExp(words.map(it => it.replace(/[^\w]/g, '\\$&')).join('|'))
  return sources.around(target.path, pattern).filter(it => !known.has(it.path))
}

/** What a person has to know of what stays. */
function removalNotes({ kept, stays, strangers }: RemovePlan, folder: string): string[] {
  const name = (path: string) => pathIn(folder, path)
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

// The words for what keeps our part from being taken out.

const AGAIN = 'then run this again'

/** `configuration` is the path without links of the file that the context names. */
function removeMessage(problem: RemoveProblem, context: Context, configuration: string): Message {
  const inside = (path: string) => (path === configuration ? context : { ...context, file: path })
  if (problem.code === 'NIX') {
    const message = nixMessage(problem.error, inside(problem.path))
    const remedy = `take it out there by hand, ${AGAIN}`
    return problem.error.code === 'INHERITED' ? { ...message, remedy } : message
  }
  if (problem.code !== 'STILL_USED' && problem.code !== 'USED_ELSEWHERE') {
    return applyMessage(problem, context)
  }
  const [first, ...more] = problem.uses as [UsePlace, ...UsePlace[]]
  const { code } = problem
  const places = more.slice(0, 5).map(it => placeMessage(it, inside(it.path)).place)
  const rest = more.length > 5 ? ` and ${more.length - 5} more` : ''
  const also = more.length === 0 ? '' : `\nThe same at ${places.join(', ')}${rest}`
  const { message } = placeMessage(first, inside(first.path))
  const elsewhere = code === 'USED_ELSEWHERE'
  return {
    ...message,
    code,
    why: elsewhere
      ? `${context.file} does not import this file, so it is not touched; a system that has it would not evaluate any more.`
      : WHY[first.kind],
    remedy: `${elsewhere ? remedyElsewhere(first, context) : REMEDIES[first.kind]}${also}`
  }
}

const WHY: Record<UsePlace['kind'], string> = {
  definition: 'without the modules of vfio-patch there is no such option.',
  reading: 'without the modules of vfio-patch there is no such option, and nothing to read.',
  module: 'this would lead to nothing.'
}

const REMEDIES: Record<UsePlace['kind'], string> = {
  definition: `take it out there by hand, ${AGAIN}`,
  reading: `write there what it stands for, or take it out, ${AGAIN}`,
  module: `take it out there, ${AGAIN}`
}

function remedyElsewhere({ kind, path }: UsePlace, context: Context): string {
  return kind === 'definition'
    ? `first: ${callOn(path, context)}\nor take it out there by hand`
    : REMEDIES[kind]
}

/** A place with its line of the text, and how it is named in a list. */
function placeMessage(use: UsePlace, context: Context): { message: Message; place: string } {
  const { text, range, kind, name } = use
  const does = { definition: 'is set', reading: 'is read', module: 'is used' }[kind]
  const message = `${name} ${does} here, and would be gone`
  const error = nixError(text, { code: 'CONFLICT', message, range })
  const { line, column } = error.at
  return { message: nixMessage(error, context), place: `${context.file}:${line}:${column}` }
}
