import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { locate } from '../../apply/read/locate.ts'
import { attempt } from '../../files/attempt.ts'
import type { FileChange } from '../../files/change.ts'
import { reading } from '../../files/errno.ts'
import { outerPath, type Run } from '../../files/run.ts'
import { lastRun, listRuns, runById } from '../../files/runs.ts'
import { locateTarget } from '../../files/target.ts'
import { planUndo } from '../../files/undo.ts'
import { err, type Result } from '../../nix/result.ts'
import { isQuiet } from '../arguments/manner.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { confirm } from '../ask/confirm.ts'
import { type Context, callOn, contextOf } from '../context.ts'
import { EXIT, type Message, usage } from '../message.ts'
import { readMessage } from '../messages/fileMessages.ts'
import { registrationLines } from '../messages/gitMessages.ts'
import { ledToRootsMessage } from '../messages/openWayNote.ts'
import {
  emptyBody,
  type FileReport,
  fail,
  type PlanBody,
  type Report,
  unchanged
} from '../report.ts'
import { readRoot, stateFolderHere } from '../root.ts'
import { isOwnModule } from '../show/fileNames.ts'
import { folderOfModule, groupFiles } from '../show/groupFiles.ts'
import { say, writeExact, writeOutput } from '../show/output.ts'
import { type ChangedFile, reportActions, reportFile } from '../show/planBody.ts'
import { paintPatch } from '../show/showDiff.ts'
import type { Screens } from '../show/showPlan.ts'
import { registrationsOf, reportWritten, writeChanges } from './writeChanges.ts'

/** `undo`: takes the last run that changed the file back, byte for byte. */
export async function undoCommand(given: Arguments, screens: Screens): Promise<Report> {
  const root = readRoot(given)
  if (!root.ok) return fail(root.error)
  const { path } = locate(given.file, root.value, process.env)
  const start = contextOf('undo', path, root.value, given, screens.err)
  const quiet = isQuiet(given)
  if (given.on('list') === true) return listAll(given, start, quiet)
  if (given.on('quiet') === true && given.on('yes') !== true && given.on('dry-run') !== true) {
    return fail(
      usage('--quiet does not go with a question.', {
        remedy: 'add --yes, or leave --quiet away'
      })
    )
  }
  const run = chooseRun(given, start)
  if (!run.ok) return fail(run.error)
  const { id, command } = run.value
  const context = { ...start, undoes: command }
  const changes = planUndo(run.value)
  if (!changes.ok) return fail(readMessage(changes.error, context))
  if (changes.value.length === 0) {
    if (!quiet) say(`Nothing to do: run ${id} is taken back already.`)
    return unchanged(emptyBody(root.value))
  }
  const files: ChangedFile[] = []
  const folder = folderAround(path, run.value, context)
  for (const change of changes.value) {
    const file = attempt(() => changedFile(change, folder), reading(change.realpath))
    if (!file.ok) return fail(readMessage(file.error, context))
    files.push(file.value)
  }
  const registrations = registrationsOf(changes.value, given)
  const planned: PlanBody = {
    ...emptyBody(root.value),
    files: files.map(it => reportFile(it, 3)),
    actions: reportActions(registrations)
  }
  if (!quiet) {
    show(run.value, files, planned, given.on('verbose') === true, screens)
    for (const line of registrationLines(registrations)) say(line)
  }
  if (given.on('dry-run') === true) {
    return { exit: EXIT.differences, outcome: 'planned', body: planned }
  }
  const target = locateTarget(path, { root: root.value })
  const led = target.ok ? ledToRootsMessage(start, target.value.realpath) : undefined
  if (led) return fail(led, planned)
  const refusal = await confirm('Take this back? [y/N] ', given)
  if (refusal) return { ...refusal, body: planned }
  const written = await writeChanges(changes.value, registrations, context, given, true)
  if (!written.ok) return fail(written.error, planned)
  const next = quiet ? [] : await nextStepOf(configurationOf(path, changes.value, context), context)
  return reportWritten(written.value, planned, given, () => [`Took back run ${id}.`, ...next])
}

/** How the change gets into the system. Undo has to work without the parser, which the answer needs. */
async function nextStepOf(realpath: string, { root }: Context): Promise<readonly string[]> {
  const loaded = await import('../messages/nextStep.ts').catch(() => undefined)
  return (
    loaded?.nextStep(root, realpath) ?? ['Next:   build the system again, with nixos-rebuild boot']
  )
}

/** The file whose system has to be built: the one that was named if the run changed it, else one that it edited. */
function configurationOf(path: string, changes: readonly FileChange[], { root }: Context): string {
  const target = locateTarget(path, { root })
  const own = changes.find(it => target.ok && it.realpath === target.value.realpath)
  // Modules of ours come and go; a file that was edited is the person's.
  const edited = changes.find(it => it.before !== null && it.after !== null)
  return (own ?? edited ?? changes.at(-1))?.realpath ?? path
}

/** The run that `--run` names, else the last one that changed the file. */
function chooseRun(given: Arguments, context: Context): Result<Run, Message> {
  const { file, root } = context
  const state = stateFolderHere(root)
  const options = { root: realpathSync(root) }
  const target = locateTarget(file, { root })
  const id = given.text('run')
  if (id === undefined) {
    if (!target.ok) return err(readMessage(target.error, context))
    const { realpath, exists } = target.value
    const last = lastRun(state, realpath, options)
    if (last.ok) return last
    const message = readMessage(last.error, context)
    if (last.error.code !== 'NO_RUN' || exists) return err(message)
    return err({ ...message, what: `${file} does not exist, and there is no run to undo for it.` })
  }
  const named = runById(state, id, options)
  if (!named.ok) {
    const message = readMessage(named.error, context)
    return err(
      named.error.code === 'NO_RUN' ? { ...message, what: `there is no run ${id}.` } : message
    )
  }
  const changed = target.ok && touches(named.value, target.value.realpath)
  if (given.file === undefined || changed) return named
  return err(
    usage(`run ${id} did not change ${file}.`, {
      remedy: `${callOn(undefined, context)} --run ${id}`
    })
  )
}

function touches(run: Run, realpath: string): boolean {
  return run.files.some(it => outerPath(it.path, run.root) === realpath)
}

/** Prints the runs, the newest first: all, or those that changed the file that was named. */
function listAll(given: Arguments, context: Context, quiet: boolean): Report {
  const found = listRuns(stateFolderHere(context.root), { root: realpathSync(context.root) })
  if (!found.ok) return fail(readMessage(found.error, context))
  const target = locateTarget(context.file, { root: context.root })
  const runs = found.value
    .filter(run => given.file === undefined || (target.ok && touches(run, target.value.realpath)))
    .map(({ id, command, tool, started, done, files }) => {
      return { id, command, tool, started, done, files: files.map(it => it.path) }
    })
  if (runs.length === 0 && !quiet) say('No runs yet.')
  const width = Math.max(5, ...runs.map(it => it.command.length))
  if (given.on('json') !== true) {
    for (const { id, command, files } of runs) {
      writeOutput(`${id}  ${command.padEnd(width)}  ${namesOf(files).join(' ')}\n`)
    }
  }
  const outcome = runs.length > 0 ? 'found' : 'not-found'
  return { exit: EXIT.done, outcome, body: { kind: 'runs', runs } }
}

/** The files of a run as people are told of them; many in one folder by that folder. */
function namesOf(paths: readonly string[]): string[] {
  const isOneOfMany = (path: string) =>
    paths.filter(it => folderOfModule(it) === folderOfModule(path)).length > MANY
  return groupFiles(paths, it => it, isOneOfMany).map(({ name, files }) =>
    files.length > 1 ? `${name} (${files.length} files)` : name
  )
}

const MANY = 3

/** The patch, whole where a program reads it; on a terminal files that come or go by name only. */
function show(
  run: Run,
  changed: readonly ChangedFile[],
  { files }: PlanBody,
  verbose: boolean,
  screens: Screens
): void {
  // The person's own file comes first, as it is what they want to see.
  const isOwn = (it: FileReport) => it.action === 'modify'
  const inOrder = [...files.filter(isOwn), ...files.filter(it => !isOwn(it))]
  const isModule = ({ realpath }: FileReport) => {
    const { before, after } = changed.find(it => it.realpath === realpath) ?? {}
    return isOwnModule({ before, after })
  }
  say(`Run ${run.id} (${run.command}) will be taken back:`)
  const groups = groupFiles(
    inOrder,
    it => it.realpath,
    isModule,
    it => it.action
  )
  for (const group of groups) {
    const [one, several] = WHAT[group.files[0]?.action ?? 'modify']
    const { length } = group.files
    say(`  ${group.name}${length > 1 ? `: ${length} files ${several}` : ` ${one}`}`)
  }
  const whole = verbose || !screens.out.isTerminal
  const shown = inOrder.filter(it => whole || it.action === 'modify')
  writeExact(paintPatch(shown.map(it => it.patch).join(''), screens.out), screens.out)
}

const WHAT = {
  create: ['comes back', 'come back'],
  modify: ['as it was', 'as they were'],
  delete: ['goes', 'go']
} as const

/**
 * The folder that the patch is for: that of the configuration, as for the patch of an `apply`, where the run
 * has nothing outside of it; else the one around all files of the run.
 */
function folderAround(configuration: string, run: Run, { root }: Context): string {
  const paths = run.files.map(it => outerPath(it.path, run.root))
  const target = locateTarget(configuration, { root })
  let folder = target.ok ? dirname(target.value.realpath) : dirname(paths[0] ?? run.root)
  if (paths.every(it => isBelow(folder, it))) return folder
  folder = dirname(paths[0] ?? run.root)
  while (!paths.every(it => isBelow(folder, it))) folder = dirname(folder)
  return folder
}

function isBelow(folder: string, path: string): boolean {
  return path.startsWith(join(folder, '/'))
}

function changedFile({ realpath, before, after }: FileChange, folder: string): ChangedFile {
  return {
    path: realpath,
    realpath,
    name: relative(folder, realpath),
    before: before === null ? undefined : readFileSync(realpath).toString(),
    after: after === null ? undefined : Buffer.from(after).toString('utf8')
  }
}
