import { stateHash } from './read.ts'
import { outerPath, type Purpose, type Run, type RunFile, type RunKind } from './run.ts'

/** A run that was taken back, and the run that did it. */
export interface Undone {
  run: Run
  by: Run
}

/** What the runs of a system amount to, as an editor keeps it. */
export interface History {
  /** The runs in effect, in the order in which they took effect: the last one is to be undone first. */
  applied: Run[]
  /** Those that can be made again, in the order in which they were taken back: the last one is first. */
  undone: Undone[]
  /** For each run that takes back or makes again: which one. Inferred for records that do not say. */
  purposes: Map<string, Purpose>
  /**
   * For each run that is not simply in effect: the later runs that made it so, by name. Without their
   * records it would count as something else.
   */
  reasons: Map<string, string[]>
}

/** The hash of what is at a path, null for nothing, undefined if it can't be read. */
export type Now = (path: string) => string | null | undefined

/**
 * How the files of a run are now: all as it left them (`after`), all as they were before it, some so and
 * some so (`partly`), or at least one of them neither.
 */
export type Stand = 'after' | 'before' | 'partly' | 'other'

/**
 * Replays runs from the oldest to the newest. Undoing moves a run from those in effect to those that can
 * be made again, redoing moves it back, and any other run ends the redoing of what concerns the same
 * files. A run that was undone or redone although the record had others in between shows that somebody
 * had already brought the files there by hand: then so were those others.
 */
export function replay(runs: readonly Run[]): History {
  const history: History = { applied: [], undone: [], purposes: new Map(), reasons: new Map() }
  const known = new Map<string, Run>()
  for (const run of runs) {
    const purpose = purposeOf(run, [...known.values()].reverse(), history.purposes)
    known.set(run.id, run)
    if (purpose === null) {
      makeAnew(history, run)
      continue
    }
    history.purposes.set(run.id, purpose)
    const { undoes, redoes } = purpose
    const subject = known.get(undoes ?? redoes ?? '')
    if (subject === undefined) continue
    if (undoes === undefined) makeAgain(history, subject, run)
    else undoRun(history, subject, run)
  }
  return history
}

function makeAnew(history: History, run: Run): void {
  for (const { run: ended } of history.undone.filter(it => concernsSame(it.run, run)))
    history.reasons.set(ended.id, [...(history.reasons.get(ended.id) ?? []), run.id])
  history.undone = history.undone.filter(it => !concernsSame(it.run, run))
  history.applied.push(run)
}

function undoRun(history: History, subject: Run, by: Run): void {
  restoreAbove(history, subject, by)
  const place = history.applied.indexOf(subject)
  const above = place === -1 ? [] : history.applied.slice(place + 1)
  const gone = above.filter(run => sharesFile(run, subject))
  for (const run of gone) history.reasons.set(run.id, [by.id])
  history.applied = history.applied.filter(run => run !== subject && !gone.includes(run))
  history.undone.push({ run: subject, by })
  history.reasons.set(subject.id, [by.id])
}

function makeAgain(history: History, subject: Run, by: Run): void {
  restoreAbove(history, subject, by)
  if (!history.applied.includes(subject)) history.applied.push(subject)
  history.reasons.set(subject.id, [by.id])
}

/** Takes a run from those that can be made again, with those that have to be in effect for it. */
function restoreAbove(history: History, subject: Run, by: Run): void {
  const place = history.undone.findIndex(({ run }) => run === subject)
  if (place === -1) return
  const above = history.undone.slice(place + 1).filter(({ run }) => sharesFile(run, subject))
  for (const { run } of above.reverse()) {
    history.applied.push(run)
    history.reasons.set(run.id, [by.id])
  }
  history.undone = history.undone.filter(it => it.run !== subject && !above.includes(it))
}

/**
 * What a run is for that takes another one back or makes it again; null for any other run. The record of
 * an earlier version shows it only by what it did to which files. Where that run is not known any more,
 * there is no name in it.
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

/** What a run is for that takes the given one back, whose own purpose is known. */
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
 * The run that an undo of the file at `path` is about, null if there is none: the last one in effect. One
 * that was taken back by hand is passed over. Where somebody edited its files since, and all files of the
 * runs for `path` are as another one of these runs left them, it is that one; otherwise it is the last one
 * nevertheless, and the plan will say which file was edited.
 */
export function pickUndo(history: History, path: string, now: Now): Run | null {
  const { line, count } = lineOf(history, path)
  const last = line.slice(0, count).findLast(run => standOf(run, now) !== 'before') ?? null
  if (last === null || standOf(last, now) !== 'other') return last
  const place = positionOf(line, count, now)
  return line[place - 1] ?? last
}

/** The same for a redo: what was taken back last, by what the run that took it back left. */
export function pickRedo(history: History, path: string, now: Now): Undone | null {
  const again = history.undone.filter(({ run }) => concerns(run, path)).reverse()
  const next = again.find(({ by }) => standOf(by, now) !== 'before') ?? null
  if (next === null || standOf(next.by, now) !== 'other') return next
  const { line, count } = lineOf(history, path)
  const above = line[positionOf(line, count, now)]
  return again.find(({ run }) => run === above) ?? next
}

/** The runs for a file in the order of their effects; of them `count` are in effect, the rest undone. */
function lineOf({ applied, undone }: History, path: string): { line: Run[]; count: number } {
  const below = applied.filter(run => concerns(run, path))
  const above = undone.map(({ run }) => run).filter(run => concerns(run, path))
  return { line: [...below, ...above.reverse()], count: below.length }
}

/** After how many runs of the line all of its files were as they are now, next to `count`; -1 if never. */
function positionOf(line: readonly Run[], count: number, now: Now): number {
  const places = line.map((_, index) => index).concat(line.length)
  const near = places.sort((a, b) => Math.abs(a - count) - Math.abs(b - count))
  return near.find(place => isStateAt(line, place, now)) ?? -1
}

function isStateAt(line: readonly Run[], place: number, now: Now): boolean {
  const wanted = new Map<string, string | null>()
  for (const [index, { files, root }] of line.entries()) {
    for (const file of files) {
      const path = outerPath(file.path, root)
      if (index < place) wanted.set(path, stateHash(file.after))
      else if (!wanted.has(path)) wanted.set(path, stateHash(file.before))
    }
  }
  return [...wanted].every(([path, hash]) => now(path) === hash)
}

/** How the files of a run are now. */
export function standOf(run: Run, now: Now): Stand {
  const stands = run.files.map(file => {
    const found = now(outerPath(file.path, run.root))
    if (found === undefined) return 'other'
    if (found === stateHash(file.after)) return 'after'
    return found === stateHash(file.before) ? 'before' : 'other'
  })
  if (stands.includes('other')) return 'other'
  if (!stands.includes('after')) return 'before'
  return stands.includes('before') ? 'partly' : 'after'
}

/** Whether a run changed the file at `path`, or was made for it. */
export function concerns(run: Run, path: string): boolean {
  return pathsOf(run).has(path)
}

/** The last run in effect that left the file at `path` as it is now; null if none did. */
export function leftBy({ applied }: History, path: string, found: string | null): Run | null {
  const left = ({ files, root }: Run) =>
    files.some(file => outerPath(file.path, root) === path && stateHash(file.after) === found)
  return applied.findLast(left) ?? null
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

/** What the person asks for now. */
export interface Request {
  kind: 'undo' | 'redo'
  /** The run, where one was named. */
  run?: string
}

/** A run for the same file that was stopped in the middle, and what became of it. */
export interface Stopped {
  kind: RunKind
  /** As its record has it, which need not be the name of a known command. */
  command?: string
  /** `nothing`: it left neither a change nor a record of one. */
  outcome: 'finished' | 'taken back' | 'nothing'
  /** Its own name, where it has a record. */
  run?: string
  /** The run that it was to take back or to make again, where that is known. */
  subject?: string
}

/** How to go on; `run` is the one that is to be taken back or made again, where that is settled. */
export type FollowUp = { stops: true; because: Stopped } | { stops: false; run?: string }

/** Whether what was stopped counts for the request: all, or the run that it names. */
export function isAbout({ run }: Request, stopped: Stopped): boolean {
  return run === undefined || run === stopped.run || run === stopped.subject
}

/**
 * What an `undo` or a redo has left to do after runs for the same file that were stopped in the middle
 * were seen to. The person asks for one step, seen from what they asked for before: the state to reach is
 * that with or without the change that was under way, never one beyond it.
 *
 * | asked | stopped        | finished | taken back, or nothing of it |
 * | ----- | -------------- | -------- | ---------------------------- |
 * | undo  | change or redo | undo it  | stop                         |
 * | undo  | undo           | stop     | undo the same run            |
 * | redo  | redo           | stop     | redo the same run            |
 * | redo  | undo           | redo it  | stop                         |
 * | redo  | change         | go on    | stop                         |
 *
 * A run that is named with the request is that one, so that only what was stopped about it counts.
 */
export function followUp(request: Request, stopped: readonly Stopped[]): FollowUp {
  for (const each of stopped.filter(it => isAbout(request, it))) {
    const isSame = each.kind === request.kind
    const isInPlace = each.outcome === 'finished'
    if (isSame === isInPlace) return { stops: true, because: each }
    if (isSame && each.subject !== undefined) return { stops: false, run: each.subject }
  }
  return { stops: false }
}
