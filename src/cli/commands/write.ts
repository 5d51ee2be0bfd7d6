// Writes the changes that the user confirmed, and registers new and deleted files with git. Before a command
// writes, interrupted runs are finished or rolled back.

import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Files } from '../../configuration/files.ts'
import { locate } from '../../configuration/repository.ts'
import { ok, type Result } from '../../nix/result.ts'
import { isRedirectedToRootOnly } from '../../storage/access.ts'
import { type CommitProblem, commit, deferSignals } from '../../storage/commit.ts'
import { planRegistration, type Registration, register } from '../../storage/git.ts'
import type { InterruptedRun } from '../../storage/history.ts'
import type { FileProblem, LockedProblem } from '../../storage/problem.ts'
import { locateTarget, readSnapshot } from '../../storage/read.ts'
import {
  findAbandoned,
  findInterrupted,
  predictRecovery,
  type Recovered,
  recover
} from '../../storage/recovery.ts'
import { markReported, type Purpose, runKind } from '../../storage/run.ts'
import type { NewRun } from '../../storage/stateFolder.ts'
import type { FileChange } from '../../storage/work.ts'
import type { RecoveryRequest, WritingRequest } from '../args/request.ts'
import { type Context, contextOf, stateFolderHere, VERSION, watch } from '../context.ts'
import { EXIT } from '../exitCodes.ts'
import { type Message, orThrow } from '../message.ts'
import {
  commitMessage,
  leftMessage,
  readMessage,
  WAITED,
  warningMessage
} from '../messages/files.ts'
import { ignoredMessage, registerMessage } from '../messages/git.ts'
import { pendingNote, recoveredNote, waitingNote } from '../messages/write.ts'
import { printMessage, printNotice } from '../output/output.ts'
import { type EarlierRunReport, fail, type PlanBody, type Report } from '../report.ts'

/** A confirmed change. */
interface Writing {
  changes: readonly FileChange[]
  registrations: readonly Registration[]
  purpose: Purpose
  context: Context
  /** The report of the change so far. */
  planned: PlanBody
  /** The files that were read for the plan; absent if the plan was made from records of runs alone. */
  sources?: Files
}

/** What git will register of these changes; empty unless `gitAdd`. */
export function registrationsOf(changes: readonly FileChange[], gitAdd: boolean): Registration[] {
  const created = changes.filter(it => it.before === null && it.after !== null)
  const deleted = changes.filter(it => it.before !== null && it.after === null)
  return registrationsFor(
    created.map(it => it.realpath),
    deleted.map(it => it.realpath),
    gitAdd
  )
}

/** What git will register for these created and deleted paths; empty unless `gitAdd`. */
function registrationsFor(
  created: readonly string[],
  deleted: readonly string[],
  gitAdd: boolean
): Registration[] {
  if (!gitAdd) return []
  // `remove` keeps an edited module under a name without .nix; nothing imports it, so no flake needs it.
  const modules = created.filter(it => it.endsWith('.nix'))
  return planRegistration(modules, deleted)
}

/**
 * Writes all of the changes or none, and registers them with git. Waits for a run on another configuration.
 * Signals are held until git is done. Afterwards prints the warnings, then the lines of `linesFor`. Without
 * warnings the run is marked as reported; after a run that is not, `undo` only completes that run.
 */
export async function writeChanges(
  writing: Writing,
  { write, quiet, json }: WritingRequest,
  linesFor: (run: NewRun | null) => string[] | Promise<string[]>
): Promise<Report> {
  const { changes, context, planned } = writing
  for (const { realpath, before } of changes) watch(realpath, realpath, before)
  const stateFolder = stateFolderHere(context.root)
  const written = await waitForOthers(stateFolder, quiet, () =>
    commitAndRegister(writing, stateFolder, write.backup)
  )
  if (!written.ok) return fail(commitMessage(written.error, context), planned)
  const { run, warnings } = written.value
  const lines = quiet ? [] : await linesFor(run)
  if (!json) for (const it of warnings) printMessage(it)
  for (const line of lines) printNotice(line)
  const body = { ...planned, backup: run && { id: run.id, dir: run.folder } }
  return warnings.length > 0
    ? { exit: EXIT.followUp, outcome: 'written-with-warnings', warnings, body }
    : {
        exit: EXIT.done,
        outcome: 'written',
        body,
        onReported: () => run && markReported(run.folder)
      }
}

/** Commits the changes; returns the run, and warnings about what went wrong afterwards. */
function commitAndRegister(
  { changes, registrations, purpose, context, sources }: Writing,
  stateFolder: string,
  backup: boolean
): Result<{ run: NewRun | null; warnings: Message[] }, CommitProblem> {
  const { root, command, record = command } = context
  const release = deferSignals()
  try {
    const options = { stateFolder, backup, command: record, tool: VERSION, purpose, root }
    const findStale = () => staleAmong(sources?.changed() ?? [])
    const committed = commit([...changes], { ...options, findStale })
    if (!committed.ok) return committed
    const { run, warnings, leftovers } = committed.value
    return ok({
      run,
      warnings: [
        ...warnings.map(it => warningMessage(it, context)),
        ...(leftovers.length > 0 ? [leftMessage(leftovers)] : []),
        ...registrations.flatMap(registerOne)
      ]
    })
  } finally {
    release()
  }
}

/** The problem of the first of these files, which were read for the plan and have changed since. */
function staleAmong([path]: readonly string[]): FileProblem | null {
  if (path === undefined) return null
  const now = readSnapshot(path)
  return { code: 'STALE', path, found: now.ok ? (now.value?.sha256 ?? null) : null }
}

/** Registers the files of one work tree with git; returns what went wrong. */
function registerOne(registration: Registration): Message[] {
  const { problem, ignored } = registration
  if (problem) return [registerMessage(registration, problem)]
  const done = register(registration)
  return [
    ...(done.ok ? [] : [registerMessage(registration, done.error)]),
    ...(ignored.length > 0 ? [ignoredMessage(registration)] : [])
  ]
}

// All configurations share one state folder, which one run at a time locks.

const EACH_MS = 100
/** Shorter waits are not reported, because nobody notices them. */
const REPORTED_AFTER_MS = 500

/**
 * Repeats `action` for at most five seconds while a run on another configuration has locked `stateFolder`.
 * Prints a note on stderr unless `isQuiet`. `action` must do nothing if the lock is held.
 * Signals end the process while it waits.
 */
async function waitForOthers<T, P extends FileProblem>(
  stateFolder: string,
  isQuiet: boolean,
  action: () => Result<T, P>
): Promise<Result<T, P>> {
  const begin = performance.now()
  let isReported = isQuiet
  for (;;) {
    const result = action()
    const waited = performance.now() - begin
    if (result.ok || !isHeld(result.error, stateFolder) || waited >= WAITED * 1000) return result
    if (waited >= REPORTED_AFTER_MS && !isReported) {
      isReported = true
      const { pid } = result.error
      printNote(waitingNote(pid))
    }
    await sleep(EACH_MS)
  }
}

function isHeld(problem: FileProblem, stateFolder: string): problem is LockedProblem {
  return problem.code === 'LOCKED' && problem.folder === stateFolder
}

// An interrupted run is finished or rolled back before another run begins.

/** The interrupted runs that were found. */
interface EarlierRuns {
  runs: readonly EarlierRunReport[]
  /** The runs for the command's file, and how they were recovered or a command that writes would recover them. */
  stopped: readonly InterruptedRun[]
}

/**
 * Recovers interrupted runs for the command's file. Prints a note about each run on stderr, unless `--json`
 * reports the runs. A command that does not write only prints the notes.
 */
export async function recoverInterruptedRuns(request: RecoveryRequest): Promise<EarlierRuns> {
  const { root, file } = request
  const { path } = locate(file, root, process.env)
  const target = locateTarget(path, { root })
  if (!target.ok) return NONE
  const { realpath } = target.value
  // The command will refuse this path, so it must not touch interrupted runs there.
  if (isRedirectedToRootOnly(path, realpath)) return NONE
  const options = { paths: [realpath], stateFolder: stateFolderHere(root) }
  return request.writes
    ? recoverRuns(request, path, realpath, options)
    : reportInterrupted(request, realpath, options)
}

const NONE: EarlierRuns = { runs: [], stopped: [] }

interface Options {
  paths: string[]
  stateFolder: string
}

function reportInterrupted(
  request: RecoveryRequest,
  realpath: string,
  options: Options
): EarlierRuns {
  const found = findInterrupted(options)
  for (const { started } of found) {
    if (!request.json) printNote(pendingNote(started))
  }
  const runs = found.map(({ started }): EarlierRunReport => {
    return { started, outcome: 'pending', files: [] }
  })
  return { runs, stopped: predictRecovery(options).filter(isFor(realpath, request)).map(stoppedOf) }
}

async function recoverRuns(
  request: RecoveryRequest,
  path: string,
  realpath: string,
  options: Options
): Promise<EarlierRuns> {
  const { quiet, gitAdd } = request
  const abandoned = findAbandoned(options).filter(it => isIn(dirname(realpath), it.folder))
  const result = await waitForOthers(options.stateFolder, quiet, () => recover(options))
  const recovered = orThrow(result, it => readMessage(it, contextOf(request, path)))
  for (const it of recovered) {
    if (!quiet) printNote(recoveredNote(it.started, RESULTS[it.outcome]))
    // The run may have been interrupted before git registered its files.
    for (const each of registrationsFor(it.created, it.deleted, gitAdd)) {
      for (const problem of registerOne(each)) printMessage(problem)
    }
  }
  const runs = recovered.map(({ started, outcome, files }) => {
    return { started, outcome: OUTCOMES[outcome], files }
  })
  const stopped = [
    ...recovered.filter(isFor(realpath, request)).map(stoppedOf),
    ...abandoned.map(({ kind }): InterruptedRun => ({ kind, outcome: 'nothing' }))
  ]
  return { runs, stopped }
}

/** Whether a run was for the file; always true if `--run` names a run. */
function isFor(realpath: string, { run }: RecoveryRequest): (recovered: Recovered) => boolean {
  return ({ files, purpose }) =>
    run !== undefined || purpose?.target === realpath || files.includes(realpath)
}

function isIn(folder: string, path: string): boolean {
  return path === folder || path.startsWith(join(folder, '/'))
}

function stoppedOf({ command, purpose = {}, outcome, run }: Recovered): InterruptedRun {
  const subject = purpose.undoes ?? purpose.redoes
  return {
    kind: runKind(purpose, command),
    command,
    outcome,
    ...(run === undefined ? {} : { run }),
    ...(subject === undefined ? {} : { subject })
  }
}

const OUTCOMES = { finished: 'finished', 'rolled back': 'taken-back' } as const

const RESULTS = { finished: 'finished', 'rolled back': 'reverted' } as const

function printNote(text: string): void {
  printNotice(`vfio-patch: note: ${text}`)
}
