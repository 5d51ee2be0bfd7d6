import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { locate, nixFilesAround, textAt } from '../../configuration/repository.ts'
import { concerns, lastWriterOf, type Stopped } from '../../storage/history.ts'
import type { FileProblem } from '../../storage/problem.ts'
import { locateTarget } from '../../storage/read.ts'
import { markReported, outerPath, type Run } from '../../storage/run.ts'
import { historyOf, listRuns } from '../../storage/runs.ts'
import { runsFolder } from '../../storage/stateFolder.ts'
import { attempt, reading } from '../../storage/system.ts'
import { planUndo } from '../../storage/undo.ts'
import type { FileChange } from '../../storage/work.ts'
import type { Arguments } from '../args/parse.ts'
import { readUndoRequest, type UndoRequest } from '../args/request.ts'
import { type Context, contextOf, stateFolderHere } from '../context.ts'
import { EXIT } from '../exitCodes.ts'
import { type Message, orThrow } from '../message.ts'
import { readMessage } from '../messages/files.ts'
import { registrationLines } from '../messages/git.ts'
import { ledToRootsMessage } from '../messages/output.ts'
import { changedByRun, foreseenLine, WORDS } from '../messages/undo.ts'
import { groupFiles, isOwnModule, paintPatch } from '../output/diff.ts'
import { type ChangedFile, reportActions, reportFile } from '../output/json.ts'
import { printNotice, type Screens, writeExact } from '../output/output.ts'
import { confirm } from '../prompt/prompt.ts'
import {
  emptyBody,
  type FileReport,
  fail,
  type PlanBody,
  type Report,
  unchanged
} from '../report.ts'
import { chooseRun, elsewhereLines, listRunsOf, type Reversal } from './runs.ts'
import { registrationsOf, writeChanges } from './write.ts'

/**
 * `undo`: takes the last run for the file that is in effect back, byte for byte; with `--redo` it makes
 * the last one that was taken back again. `stopped` are runs for the file that were interrupted, and what
 * became of them just now.
 */
export async function undoCommand(
  args: Arguments,
  screens: Screens,
  stopped: readonly Stopped[]
): Promise<Report> {
  const request = readUndoRequest(args, screens)
  const { path } = locate(request.file, request.root, process.env)
  const start = contextOf(request, path)
  if (request.list) return listRunsOf(request, start)
  const context = request.kind === 'redo' ? { ...start, record: 'undo --redo' } : start
  const choice = chooseRun(request, stopped, context)
  if ('lines' in choice) return ended(choice, request, start)
  if ('foreseen' in choice) {
    const { followUp, stopped: first } = choice.foreseen
    const notes = [foreseenLine(request, followUp, first)]
    if (!request.quiet) for (const line of notes) printNotice(line)
    const body = { ...emptyBody(request.root), notes }
    return { exit: EXIT.differences, outcome: 'planned', body }
  }
  return carryOut(choice, request, context)
}

/** The report where nothing is left to do; a run that was not reported before counts as reported now. */
async function ended(
  { lines, because }: { lines: string[]; because?: Stopped },
  { quiet, write }: UndoRequest,
  context: Context
): Promise<Report> {
  const { root, file } = context
  const isFinished = because?.outcome === 'finished'
  if (!quiet) {
    const target = locateTarget(file, { root })
    const next = isFinished && target.ok ? await nextStepOf(target.value.realpath, root) : []
    for (const line of [...lines, ...next]) printNotice(line)
  }
  const report = unchanged({ ...emptyBody(root), notes: lines })
  if (!isFinished || because.run === undefined || !write.writes) return report
  const folder = join(runsFolder(stateFolderHere(root)), because.run)
  return { ...report, onReported: () => markReported(folder) }
}

async function carryOut(
  { reverted, subject, purpose }: Reversal,
  request: UndoRequest,
  start: Context
): Promise<Report> {
  const { root, file: path } = start
  const { quiet, write, kind } = request
  const words = WORDS[kind]
  // `--run` with a run that undid another one redoes that.
  const isRedo = purpose.redoes !== undefined
  const record = isRedo ? { record: 'undo --redo' } : {}
  const context = { ...start, ...record, undoes: reverted.command }
  const changes = orThrow(planUndo(reverted), it => refusalOf(it, reverted, context))
  if (changes.length === 0) {
    if (!quiet) printNotice(words.nothing(subject.id))
    return unchanged(emptyBody(root))
  }
  const named = locateTarget(path, { root })
  const realpath = named.ok ? named.value.realpath : undefined
  const folder = folderAround(realpath, reverted)
  const files = changes.map(change => {
    const file = attempt(() => changedFile(change, folder), reading(change.realpath))
    return orThrow(file, it => readMessage(it, context))
  })
  const registrations = registrationsOf(changes, write.gitAdd)
  const notes = stillNamed(changes, join(folder, basename(path)))
  const planned: PlanBody = {
    ...emptyBody(root),
    notes,
    files: files.map(it => reportFile(it, 3)),
    actions: reportActions(registrations)
  }
  if (!quiet) {
    printNotice(`Run ${subject.id} (${subject.command}) ${words.will}:`)
    show(files, planned, request)
    for (const line of registrationLines(registrations)) printNotice(line)
    for (const note of notes) printNotice(`Note: ${note}`)
  }
  if (!write.writes) return { exit: EXIT.differences, outcome: 'planned', body: planned }
  const led = realpath === undefined ? undefined : ledToRootsMessage(start, realpath)
  if (led) return fail(led, planned)
  const refusal = await confirm(words.question, request)
  if (refusal) return { ...refusal, body: planned }
  const target = recordedTarget(reverted, realpath)
  const whole = { ...purpose, ...(target === undefined ? {} : { target }) }
  const writing = { changes, registrations, purpose: whole, context, planned }
  return writeChanges(writing, request, async () => [
    words.done(subject.id),
    ...(await nextStepOf(configurationOf(realpath ?? path, changes), root))
  ])
}

/** How the change gets into the system. Undo has to work without the parser, which the answer needs. */
async function nextStepOf(realpath: string, root: string): Promise<readonly string[]> {
  const loaded = await import('../messages/nextStep.ts').catch(() => undefined)
  return (
    loaded?.nextStepIn(root, realpath) ?? [
      'Next:   build the system again, with nixos-rebuild boot'
    ]
  )
}

/** The file whose system has to be built: the one that was named if the run changed it, else one that it edited. */
function configurationOf(path: string, changes: readonly FileChange[]): string {
  const own = changes.find(it => it.realpath === path)
  // Only modules are created and deleted; a file that is modified belongs to the person.
  const edited = changes.find(it => it.before !== null && it.after !== null)
  return (own ?? edited ?? changes.at(-1))?.realpath ?? path
}

/** The file that the run was called on, else the one that this call names (`realpath`), if the run changed it. */
function recordedTarget(reverted: Run, realpath: string | undefined): string | undefined {
  if (reverted.target !== undefined) return outerPath(reverted.target, reverted.root)
  return realpath !== undefined && concerns(reverted, realpath) ? realpath : undefined
}

/** Why it is refused: where another run changed the file since, that one is named, or who may have made one. */
function refusalOf(problem: FileProblem, reverted: Run, context: Context): Message {
  const message = readMessage(problem, context)
  if (problem.code !== 'EDITED_SINCE') return message
  const runs = listRuns(stateFolderHere(context.root), { root: realpathSync(context.root) })
  const other = runs.ok ? lastWriterOf(historyOf(runs.value), problem.path, problem.found) : null
  if (other !== null && other.id !== reverted.id) return changedByRun(problem.path, other, context)
  // What looks like an edit may be a run of the other account, which only that one can undo.
  const elsewhere = elsewhereLines(problem.path, context)
  const remedy = [message.remedy ?? [], ...elsewhere].flat().join('\n')
  return { ...message, remedy }
}

/** The patch, whole where a program reads it; on a terminal files that come or go by name only. */
function show(
  changed: readonly ChangedFile[],
  { files }: PlanBody,
  { kind, verbose, screens }: UndoRequest
): void {
  // The person's own file comes first, as it is what they want to see.
  const isOwn = (it: FileReport) => it.action === 'modify'
  const inOrder = [...files.filter(isOwn), ...files.filter(it => !isOwn(it))]
  const isModule = ({ realpath }: FileReport) => {
    const { before, after } = changed.find(it => it.realpath === realpath) ?? {}
    return isOwnModule({ before, after })
  }
  const groups = groupFiles(
    inOrder,
    it => it.realpath,
    isModule,
    it => it.action
  )
  for (const group of groups) {
    const action = group.files[0]?.action ?? 'modify'
    const [one, several] = action === 'modify' ? WORDS[kind].modify : WHAT[action]
    const { length } = group.files
    printNotice(`  ${group.name}${length > 1 ? `: ${length} files ${several}` : ` ${one}`}`)
  }
  const whole = verbose || !screens.out.isTerminal
  const shown = inOrder.filter(it => whole || it.action === 'modify')
  writeExact(paintPatch(shown.map(it => it.patch).join(''), screens.out), screens.out)
}

const WHAT = {
  create: ['comes back', 'come back'],
  delete: ['goes', 'go']
} as const

/**
 * The folder that the patch is for: that of the configuration, as for the patch of an `apply`, where the run
 * has nothing outside of it; else the one around all files of the run.
 */
function folderAround(configuration: string | undefined, run: Run): string {
  const paths = run.files.map(it => outerPath(it.path, run.root))
  const isAround = (folder: string) => paths.every(it => isInside(folder, it))
  if (configuration !== undefined && isAround(dirname(configuration))) return dirname(configuration)
  let folder = dirname(paths[0] ?? run.root)
  while (!isAround(folder)) folder = dirname(folder)
  return folder
}

function isInside(folder: string, path: string): boolean {
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

function literally(text: string): string {
  return text.replace(/[^\w]/g, '\\$&')
}

function names(text: string, path: string): boolean {
  const spelled = path.startsWith('../') ? path : `./${path}`
  return new RegExp(`(?<![\\w./])${literally(spelled)}(?:/default\\.nix)?(?![\\w./-])`).test(text)
}

// Who else needs the modules that an undo deletes.

/**
 * Sentences about the Nix files around the configuration that name a folder whose `default.nix` goes with
 * these changes, and stay: another configuration may have our modules from there since. Goes by the text
 * alone, as an undo has to work where the parser can't be loaded.
 */
function stillNamed(changes: readonly FileChange[], configuration: string): string[] {
  const gone = changes.filter(it => it.after === null).map(it => it.realpath)
  const folders = gone.filter(it => basename(it) === 'default.nix').map(it => dirname(it))
  const changed = new Set(changes.map(it => it.realpath))
  return folders.flatMap(folder => {
    const pattern = new RegExp(literally(basename(folder)))
    const files = nixFilesAround(configuration, pattern, path => {
      const text = textAt(path)
      return text === undefined ? undefined : { path, text }
    })
    return files
      .filter(({ path }) => !changed.has(path) && !isInside(folder, path))
      .filter(({ path, text }) => names(text, relative(dirname(path), folder)))
      .map(({ path }) => `${path} imports ${folder}, which goes: without it that file fails.`)
  })
}
