import { stateHash } from './read.ts'
import { outerPath, type Purpose, type Run, type RunFile, type RunKind } from './run.ts'

/** A run that was undone, and the run that undid it. */
export interface Undone {
  run: Run
  by: Run
}

/** The runs of a system as an undo history. */
export interface History {
  /** The runs in effect, in the order in which they took effect: the last one is undone first. */
  applied: Run[]
  /** The runs that can be redone, in the order in which they were undone: the last one is redone first. */
  undone: Undone[]
  /** The purpose of each undo and redo, by its ID. It is inferred for records of earlier versions. */
  purposes: Map<string, Purpose>
  /**
   * For each run that was undone, redone or dropped: the IDs of the later runs that did this. Their
   * records must be kept as long as the run's: without them a replay gives the run another state.
   */
  decidedBy: Map<string, string[]>
}

/** The current hash of a file: null if it doesn't exist, undefined if it can't be read. */
export type HashReader = (path: string) => string | null | undefined

/**
 * How the files of a run are now: all as the run left them (`after`), all as before the run (`before`),
 * some as after and some as before (`partly`), or at least one neither (`other`).
 */
export type DiskState = 'after' | 'before' | 'partly' | 'other'

/**
 * Replays runs from the oldest to the newest. An undo moves a run from `applied` to `undone`, a redo
 * moves it back, and any other run drops the undone runs for the same files. An undo or redo that skips
 * runs was possible only because the user restored their files manually. So after such an undo the skipped
 * runs are not in effect, and after such a redo they are.
 */
export function replay(runs: readonly Run[]): History {
  const history: History = { applied: [], undone: [], purposes: new Map(), decidedBy: new Map() }
  const known = new Map<string, Run>()
  for (const run of runs) {
    const purpose = purposeOf(run, [...known.values()].reverse(), history.purposes)
    known.set(run.id, run)
    if (purpose === null) {
      applyRun(history, run)
      continue
    }
    history.purposes.set(run.id, purpose)
    const { undoes, redoes } = purpose
    const subject = known.get(undoes ?? redoes ?? '')
    if (subject === undefined) continue
    if (undoes === undefined) redoRun(history, subject, run)
    else undoRun(history, subject, run)
  }
  return history
}

function applyRun(history: History, run: Run): void {
  for (const { run: ended } of history.undone.filter(it => concernsSame(it.run, run)))
    history.decidedBy.set(ended.id, [...(history.decidedBy.get(ended.id) ?? []), run.id])
  history.undone = history.undone.filter(it => !concernsSame(it.run, run))
  history.applied.push(run)
}

function undoRun(history: History, subject: Run, by: Run): void {
  restoreAbove(history, subject, by)
  const place = history.applied.indexOf(subject)
  const above = place === -1 ? [] : history.applied.slice(place + 1)
  const dropped = above.filter(run => sharesFile(run, subject))
  for (const run of dropped) history.decidedBy.set(run.id, [by.id])
  history.applied = history.applied.filter(run => run !== subject && !dropped.includes(run))
  history.undone.push({ run: subject, by })
  history.decidedBy.set(subject.id, [by.id])
}

function redoRun(history: History, subject: Run, by: Run): void {
  restoreAbove(history, subject, by)
  if (!history.applied.includes(subject)) history.applied.push(subject)
  history.decidedBy.set(subject.id, [by.id])
}

/** Removes a run from `undone`, and applies the runs for its files that would have been redone before it. */
function restoreAbove(history: History, subject: Run, by: Run): void {
  const place = history.undone.findIndex(({ run }) => run === subject)
  if (place === -1) return
  const above = history.undone.slice(place + 1).filter(({ run }) => sharesFile(run, subject))
  for (const { run } of above.reverse()) {
    history.applied.push(run)
    history.decidedBy.set(run.id, [by.id])
  }
  history.undone = history.undone.filter(it => it.run !== subject && !above.includes(it))
}

/**
 * The purpose of an undo or redo; null for any other run. For records of earlier versions it is
 * inferred from the changes of the files; it is empty if no known run has the opposite changes.
 */
function purposeOf(
  run: Run,
  earlier: readonly Run[],
  purposes: ReadonlyMap<string, Purpose>
): Purpose | null {
  const { undoes, redoes, command } = run
  if (undoes !== undefined) return { undoes }
  if (redoes !== undefined) return { redoes }
  if (command !== 'undo') return null
  const subject = earlier.find(each => isReverse(run, each))
  return subject === undefined ? {} : reverseOf(subject, purposes.get(subject.id) ?? {})
}

/** The purpose of a run that undoes the given run with the given purpose. */
export function reverseOf({ id }: Run, { undoes, redoes }: Purpose): Purpose {
  if (undoes !== undefined) return { redoes: undoes }
  return { undoes: redoes ?? id }
}

function isReverse(run: Run, earlier: Run): boolean {
  const isUndone = ({ path, before, after }: RunFile) => {
    const file = earlier.files.find(each => each.path === path)
    if (file === undefined) return false
    return (
      stateHash(file.before) === stateHash(after) && stateHash(file.after) === stateHash(before)
    )
  }
  return run.files.length > 0 && run.root === earlier.root && run.files.every(isUndone)
}

/**
 * The run that an undo for the file at `path` undoes; null if there is none. Usually this is the last run
 * in effect with a file that is not as before the run. If a file of this run was edited since, and the
 * files of all runs for `path` are as another of these runs left them, it is this other run.
 */
export function pickUndo(history: History, path: string, currentHash: HashReader): Run | null {
  const { sequence, count } = runSequence(history, path)
  const last =
    sequence.slice(0, count).findLast(run => diskState(run, currentHash) !== 'before') ?? null
  if (last === null || diskState(last, currentHash) !== 'other') return last
  const place = positionIn(sequence, count, currentHash)
  return sequence[place - 1] ?? last
}

/** The run that a redo for the file at `path` redoes, chosen as in `pickUndo`. */
export function pickRedo(history: History, path: string, currentHash: HashReader): Undone | null {
  const redoable = history.undone.filter(({ run }) => concerns(run, path)).reverse()
  const next = redoable.find(({ by }) => diskState(by, currentHash) !== 'before') ?? null
  if (next === null || diskState(next.by, currentHash) !== 'other') return next
  const { sequence, count } = runSequence(history, path)
  const above = sequence[positionIn(sequence, count, currentHash)]
  return redoable.find(({ run }) => run === above) ?? next
}

/** The runs for a file in the order of their effects. The first `count` are in effect, the rest undone. */
function runSequence(
  { applied, undone }: History,
  path: string
): { sequence: Run[]; count: number } {
  const below = applied.filter(run => concerns(run, path))
  const above = undone.map(({ run }) => run).filter(run => concerns(run, path))
  return { sequence: [...below, ...above.reverse()], count: below.length }
}

/**
 * The number of runs in the sequence after which its files were as they are now; -1 if there is none. If
 * several numbers fit: the nearest to `count`.
 */
function positionIn(sequence: readonly Run[], count: number, currentHash: HashReader): number {
  const places = sequence.map((_, index) => index).concat(sequence.length)
  const near = places.sort((a, b) => Math.abs(a - count) - Math.abs(b - count))
  return near.find(place => isStateAt(sequence, place, currentHash)) ?? -1
}

function isStateAt(sequence: readonly Run[], place: number, currentHash: HashReader): boolean {
  const wanted = new Map<string, string | null>()
  for (const [index, { files, root }] of sequence.entries()) {
    for (const file of files) {
      const path = outerPath(file.path, root)
      if (index < place) wanted.set(path, stateHash(file.after))
      else if (!wanted.has(path)) wanted.set(path, stateHash(file.before))
    }
  }
  return [...wanted].every(([path, hash]) => currentHash(path) === hash)
}

/** The current state of the files of a run. */
export function diskState(run: Run, currentHash: HashReader): DiskState {
  const states = run.files.map(file => {
    const found = currentHash(outerPath(file.path, run.root))
    if (found === undefined) return 'other'
    if (found === stateHash(file.after)) return 'after'
    return found === stateHash(file.before) ? 'before' : 'other'
  })
  if (states.includes('other')) return 'other'
  if (!states.includes('after')) return 'before'
  return states.includes('before') ? 'partly' : 'after'
}

/** True if a run changed the file at `path` or has it as target. */
export function concerns(run: Run, path: string): boolean {
  return pathsOf(run).has(path)
}

/** The last run in effect that left the file at `path` with the hash `found`; null if none did. */
export function lastWriterOf({ applied }: History, path: string, found: string | null): Run | null {
  const isWriter = ({ files, root }: Run) =>
    files.some(file => outerPath(file.path, root) === path && stateHash(file.after) === found)
  return applied.findLast(isWriter) ?? null
}

function concernsSame(one: Run, other: Run): boolean {
  const paths = pathsOf(other)
  return [...pathsOf(one)].some(path => paths.has(path))
}

function sharesFile(one: Run, other: Run): boolean {
  const paths = new Set(other.files.map(({ path }) => outerPath(path, other.root)))
  return one.files.some(({ path }) => paths.has(outerPath(path, one.root)))
}

function pathsOf({ files, root, target }: Run): Set<string> {
  const paths = [...files.map(({ path }) => path), ...(target === undefined ? [] : [target])]
  return new Set(paths.map(path => outerPath(path, root)))
}

/** The undo or redo that the user asks for. */
export interface HistoryRequest {
  kind: 'undo' | 'redo'
  /** The ID given with `--run`. */
  run?: string
}

/** An interrupted run for the same file, and how recovery ended it. */
export interface InterruptedRun {
  kind: RunKind
  /** As recorded: any text, not always a known command. */
  command?: string
  /** `nothing`: the run left neither a change nor a record. */
  outcome: 'finished' | 'rolled back' | 'nothing'
  /** The run's ID, if the run has a record. */
  run?: string
  /** The ID of the run that the interrupted run was undoing or redoing, if known. */
  subject?: string
}

/** `stops`: the request is already fulfilled. Otherwise `run` is the run to undo or redo, if decided. */
export type FollowUp = { stops: true; because: InterruptedRun } | { stops: false; run?: string }

/** True if an interrupted run concerns the request. If the request names no run, every one does. */
export function concernsRequest({ run }: HistoryRequest, stopped: InterruptedRun): boolean {
  return run === undefined || run === stopped.run || run === stopped.subject
}

/**
 * What an undo or redo has left to do after interrupted runs for the same file were recovered. The user
 * asks for one step from the interrupted command. So the files end up with or without the interrupted
 * change, but never one step further.
 *
 * | request | interrupted    | finished         | rolled back or nothing |
 * | ------- | -------------- | ---------------- | ---------------------- |
 * | undo    | change or redo | undo that run    | stop                   |
 * | undo    | undo           | stop             | undo the same run      |
 * | redo    | redo           | stop             | redo the same run      |
 * | redo    | undo           | redo that run    | stop                   |
 * | redo    | change         | redo as usual    | stop                   |
 *
 * If the request names a run, interrupted runs that don't concern it are ignored.
 */
export function followUp(request: HistoryRequest, stopped: readonly InterruptedRun[]): FollowUp {
  for (const each of stopped.filter(it => concernsRequest(request, it))) {
    const isSame = each.kind === request.kind
    const isFinished = each.outcome === 'finished'
    if (isSame === isFinished) return { stops: true, because: each }
    if (isSame && each.subject !== undefined) return { stops: false, run: each.subject }
  }
  return { stops: false }
}
