import { err, ok, type Result } from '../../nix/result.ts'
import { type Message, usage } from '../message.ts'
import type { Arguments } from './parseArguments.ts'

/** What the flags say about showing and writing a change. */
export interface Manner {
  writes: boolean
  /** Whether anything but errors is told while it goes on; `--json` tells all at the end. */
  quiet: boolean
  verbose: boolean
  /** Whether it is told what each edit is for. */
  reasons: boolean
  /** Lines of context in the diff. */
  lines: number
}

/** Reads these flags; `mayWrite` is whether the command writes at all. */
export function readManner(given: Arguments, mayWrite: boolean): Result<Manner, Message> {
  const quiet = isQuiet(given)
  const writes = mayWrite && given.on('dry-run') !== true
  const yes = given.on('yes') === true
  if (given.on('quiet') === true && writes && !yes) {
    return err(
      usage('--quiet does not go with a question.', {
        remedy: 'add --yes, or leave --quiet away'
      })
    )
  }
  if (given.on('backup') === false && !yes) {
    return err(
      usage('--no-backup needs --yes.', {
        why: 'without a backup there is no undo, so it has to be meant.',
        remedy: 'add --yes, or leave --no-backup away'
      })
    )
  }
  const verbose = given.on('verbose') === true
  const reasons = verbose || given.on('json') === true
  const text = given.text('unified') ?? '3'
  return /^\d{1,4}$/.test(text)
    ? ok({ writes, quiet, verbose, reasons, lines: Number(text) })
    : err(usage(`-U needs a number of lines, got "${text}".`, { remedy: 'e.g. -U 5' }))
}

/** Whether nothing but errors is told while the command goes on. */
export function isQuiet(given: Arguments): boolean {
  return given.on('quiet') === true || given.on('json') === true
}
