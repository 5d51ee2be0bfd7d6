// The list of runs, of one file or of the whole system.

import { realpathSync } from 'node:fs'
import { concerns, type History, type Now, pickUndo, standOf } from '../../files/history.ts'
import { outerPath, type Run } from '../../files/run.ts'
import { createNow, historyOf, listRecords } from '../../files/runs.ts'
import { locateTarget } from '../../files/target.ts'
import { isQuiet } from '../arguments/manner.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { type Context, undoCallOn } from '../context.ts'
import { EXIT } from '../message.ts'
import { dateOf, readMessage } from '../messages/fileMessages.ts'
import { plural } from '../messages/plural.ts'
import { STATE_WORDS } from '../messages/undoMessages.ts'
import { fail, type Report, type RunReport } from '../report.ts'
import { stateFolderHere } from '../root.ts'
import { folderOfModule, groupFiles } from '../show/groupFiles.ts'
import { say, writeOutput } from '../show/output.ts'
import { elsewhereLines } from './chooseRun.ts'

/** How many runs are listed unless `--all` is given. */
const FEW = 10

/** From how many files on those of one folder are listed as that folder. */
const MANY = 3

/** Prints the runs, the newest first: all, or those for the file that was named. */
export function listRunsOf(given: Arguments, context: Context): Report {
  const root = realpathSync(context.root)
  const found = listRecords(stateFolderHere(context.root), { root })
  if (!found.ok) return fail(readMessage(found.error, context))
  const { runs: all, damaged } = found.value
  const target = locateTarget(context.file, { root: context.root })
  const isListed = (run: Run) =>
    given.file === undefined || (target.ok && concerns(run, target.value.realpath))
  const now = createNow()
  const history = historyOf(all, now)
  const runs = all.filter(isListed).map(run => reportRun(run, history, now))
  if (given.on('json') !== true) print(runs, given)
  if (!isQuiet(given)) {
    const realpath = given.file !== undefined && target.ok ? target.value.realpath : null
    const lines = [
      ...(runs.length === 0 ? ['No runs yet.'] : []),
      ...notesOn(shownOf(runs, given), runs.length, context),
      ...damaged.map(({ id, path }) => `The record of run ${id} is damaged: ${path}`),
      ...elsewhereLines(realpath, context)
    ]
    for (const line of lines) say(line)
  }
  const outcome = runs.length > 0 ? 'found' : 'not-found'
  const body = { kind: 'runs', runs, damaged: damaged.map(({ id }) => id) } as const
  return { exit: EXIT.done, outcome, body }
}

function reportRun(run: Run, history: History, now: Now): RunReport {
  const { id, command, tool, started, done, files, target } = run
  const { undoes = null, redoes = null } = history.purposes.get(id) ?? {}
  return {
    ...{ id, command, tool, started, done, state: stateOf(run, history, now), undoes, redoes },
    target: target ?? null,
    files: files.map(it => it.path)
  }
}

function stateOf(run: Run, history: History, now: Now): RunReport['state'] {
  if (history.purposes.has(run.id)) return 'step'
  // What the command was called on; for a record of an earlier version what was written last.
  const last = run.files.findLast(({ after }) => after !== null) ?? run.files[0]
  const key = run.target ?? last?.path
  const picked = key === undefined ? null : pickUndo(history, outerPath(key, run.root), now)
  if (picked === run) return standOf(run, now) === 'other' ? 'edited' : 'current'
  if (history.undone.some(it => it.run === run)) return 'undone'
  if (history.applied.includes(run)) return 'earlier'
  return run.done ? 'dropped' : 'interrupted'
}

function shownOf(runs: readonly RunReport[], given: Arguments): readonly RunReport[] {
  return given.on('all') === true ? runs : runs.slice(0, FEW)
}

function print(runs: readonly RunReport[], given: Arguments): void {
  const rows = shownOf(runs, given).map(run => [
    run.id,
    dateOf(run.started),
    run.command,
    wordOf(run),
    namesOf(run.files).join(' ')
  ])
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map(row => row[i]?.length ?? 0))) ?? []
  for (const row of rows) {
    const cells = row.map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i] ?? 0) : cell))
    writeOutput(`${cells.filter((_, i) => widths[i] !== 0).join('  ')}\n`)
  }
}

function wordOf({ state, undoes, redoes }: RunReport): string {
  const subject = undoes ?? redoes
  if (state === 'step') return subject === null ? '' : `of ${subject}`
  return state === 'earlier' ? '' : state
}

/** What the words in the list mean, and what is not in it. */
function notesOn(shown: readonly RunReport[], count: number, context: Context): string[] {
  const words = STATE_WORDS.filter(([state]) => shown.some(run => run.state === state))
  const more = count - shown.length
  const file = context.unnamed === undefined ? context.file : undefined
  return [
    ...words.map(([state, meaning]) => `${state}: ${meaning}`),
    ...(more > 0 ? [`${plural(more, 'older run')}: ${undoCallOn(file, context)} --list --all`] : [])
  ]
}

/** The files of a run as the list shows them; many in one folder by that folder. */
function namesOf(paths: readonly string[]): string[] {
  const isOneOfMany = (path: string) =>
    paths.filter(it => folderOfModule(it) === folderOfModule(path)).length > MANY
  return groupFiles(paths, it => it, isOneOfMany).map(({ name, files }) =>
    files.length > 1 ? `${name} (${files.length} files)` : name
  )
}
