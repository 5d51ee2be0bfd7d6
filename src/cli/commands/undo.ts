import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { locate, nixFilesAround, textAt } from '../../configuration/repository.ts'
import { concerns, type InterruptedRun, lastWriterOf } from '../../storage/history.ts'
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
import { redirectedFileMessage } from '../messages/output.ts'
import {
  BUILD_AGAIN,
  changedByRun,
  foreseenLine,
  REVERTED,
  reversalTitle,
  stillImports,
  WORDS
} from '../messages/undo.ts'
import { groupFiles, isInstalledModule, paintPatch } from '../output/diff.ts'
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
 * `undo`: undoes, byte for byte, the file's last run that is in effect. With `--redo`, redoes the file's last
 * undone run. `stopped` are the file's interrupted runs, which were just recovered.
 */
export async function undoCommand(
  args: Arguments,
  screens: Screens,
  stopped: readonly InterruptedRun[]
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

/** The report if nothing is left to do. If the user now sees how a run ended, marks the run as reported. */
async function ended(
  { lines, because }: { lines: string[]; because?: InterruptedRun },
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
  // If `--run` names an undo, the run that it undid is redone.
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
    printNotice(reversalTitle(subject, words.will))
    show(files, planned, request)
    for (const line of registrationLines(registrations)) printNotice(line)
    for (const note of notes) printNotice(`Note: ${note}`)
  }
  if (!write.writes) return { exit: EXIT.differences, outcome: 'planned', body: planned }
  const redirected = realpath === undefined ? undefined : redirectedFileMessage(start, realpath)
  if (redirected) return fail(redirected, planned)
  const refusal = await confirm(words.question, request)
  if (refusal) return { ...refusal, body: planned }
  const target = recordedTarget(reverted, realpath)
  const withTarget = { ...purpose, ...(target === undefined ? {} : { target }) }
  const writing = { changes, registrations, purpose: withTarget, context, planned }
  return writeChanges(writing, request, async () => [
    words.done(subject.id),
    ...(await nextStepOf(configurationOf(realpath ?? path, changes), root))
  ])
}

/** The command that builds the system. Only the parser can find it, but undo has to work without the parser. */
async function nextStepOf(realpath: string, root: string): Promise<readonly string[]> {
  const loaded = await import('../messages/nextStep.ts').catch(() => undefined)
  return loaded?.readNextStep(root, realpath) ?? [BUILD_AGAIN]
}

/** The file whose system has to be built: the file that the user named, else one that the run edited. */
function configurationOf(path: string, changes: readonly FileChange[]): string {
  const named = changes.find(it => it.realpath === path)
  // Only modules are created and deleted; a modified file is the user's.
  const edited = changes.find(it => it.before !== null && it.after !== null)
  return (named ?? edited ?? changes.at(-1))?.realpath ?? path
}

/** The file that the run was called on; if its record has none, the file of this call, if the run changed it. */
function recordedTarget(reverted: Run, realpath: string | undefined): string | undefined {
  if (reverted.target !== undefined) return outerPath(reverted.target, reverted.root)
  return realpath !== undefined && concerns(reverted, realpath) ? realpath : undefined
}

/** The message for a refused undo. It names the run or the account that may have changed the file since. */
function refusalOf(problem: FileProblem, reverted: Run, context: Context): Message {
  const message = readMessage(problem, context)
  if (problem.code !== 'EDITED_SINCE') return message
  const runs = listRuns(stateFolderHere(context.root), { root: realpathSync(context.root) })
  const other = runs.ok ? lastWriterOf(historyOf(runs.value), problem.path, problem.found) : null
  if (other !== null && other.id !== reverted.id) return changedByRun(problem.path, other, context)
  // What looks like an edit may be a run of the other account, which only that account can undo.
  const elsewhere = elsewhereLines(problem.path, context)
  const remedy = [message.remedy ?? [], ...elsewhere].flat().join('\n')
  return { ...message, remedy }
}

/** Shows the patch. On a terminal, shows created and deleted files by name only, unless `verbose` is set. */
function show(
  changed: readonly ChangedFile[],
  { files }: PlanBody,
  { kind, verbose, screens }: UndoRequest
): void {
  // The user's file comes first.
  const isOfUser = (it: FileReport) => it.action === 'modify'
  const inOrder = [...files.filter(isOfUser), ...files.filter(it => !isOfUser(it))]
  const isModule = ({ realpath }: FileReport) => {
    const { before, after } = changed.find(it => it.realpath === realpath) ?? {}
    return isInstalledModule({ before, after })
  }
  const groups = groupFiles(
    inOrder,
    it => it.realpath,
    isModule,
    it => it.action
  )
  for (const group of groups) {
    const action = group.files[0]?.action ?? 'modify'
    const [one, several] = action === 'modify' ? WORDS[kind].modify : REVERTED[action]
    const { length } = group.files
    printNotice(`  ${group.name}${length > 1 ? `: ${length} files ${several}` : ` ${one}`}`)
  }
  const showsAll = verbose || !screens.out.isTerminal
  const shown = inOrder.filter(it => showsAll || isOfUser(it))
  writeExact(paintPatch(shown.map(it => it.patch).join(''), screens.out), screens.out)
}

/**
 * The folder in which the patch applies: the configuration's folder, as for `apply`, if it contains all files of
 * the run; else the closest folder that does.
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

function escapeRegExp(text: string): string {
  return text.replace(/[^\w]/g, '\\$&')
}

function isNamedIn(text: string, path: string): boolean {
  const written = path.startsWith('../') ? path : `./${path}`
  return new RegExp(`(?<![\\w./])${escapeRegExp(written)}(?:/default\\.nix)?(?![\\w./-])`).test(
    text
  )
}

// Other configurations that import the modules that an undo deletes.

/**
 * A note for each Nix file around the configuration that names a folder whose `default.nix` is deleted: another
 * configuration may import the modules by now. Searches only the text, because undo has to work without the
 * parser.
 */
function stillNamed(changes: readonly FileChange[], configuration: string): string[] {
  const deleted = changes.filter(it => it.after === null).map(it => it.realpath)
  const folders = deleted.filter(it => basename(it) === 'default.nix').map(it => dirname(it))
  const changed = new Set(changes.map(it => it.realpath))
  return folders.flatMap(folder => {
    const pattern = new RegExp(escapeRegExp(basename(folder)))
    const files = nixFilesAround(configuration, pattern, path => {
      const text = textAt(path)
      return text === undefined ? undefined : { path, text }
    })
    return files
      .filter(({ path }) => !changed.has(path) && !isInside(folder, path))
      .filter(({ path, text }) => isNamedIn(text, relative(dirname(path), folder)))
      .map(({ path }) => stillImports(path, folder))
  })
}
