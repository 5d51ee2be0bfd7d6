import type { RunKind } from './run.ts'

/** What the person asks for now. */
export interface Request {
  kind: 'undo' | 'redo'
  /** The run, where one was named. */
  run?: string
}

/** A run for the same file that was stopped in the middle, and what became of it. */
export interface Stopped {
  kind: RunKind
  /** As its record says it, which need not be the word of one of ours. */
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
