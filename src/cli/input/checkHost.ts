// The machine beside a configuration: whether it is the one that this is for, and what came of it.

import type { Faults } from '../../apply/findFaults.ts'
import { holdAgainst, type OnMachine } from '../../check/onMachine.ts'
import type { Machine } from '../../host/machine.ts'
import { type Facts, viewsOf } from '../../lints/configuration.ts'
import { passesDevices } from '../../lints/find.ts'
import { ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import type { Names } from '../messages/deviceWords.ts'
import { readHost } from './readHost.ts'
import { whoseIs } from './whoseIs.ts'

/** What was seen of the machine; or why it was not looked at, in a sentence. */
export type Looked =
  | { on: OnMachine; names: Names; machine: Machine }
  | { on: undefined; note?: string }

/**
 * Holds a configuration against the machine that it is for: that of `--sysfs`, else the one that this runs
 * on, if the files say that it is theirs. One that gives nothing to guests is not held against any.
 */
export function lookAtHost(
  { files }: Faults,
  facts: Facts,
  given: Arguments,
  context: Context
): Result<Looked, Message> {
  // A folder that is named has to be right, whatever the files say.
  const isNamed = given.text('sysfs') !== undefined
  const isAsked = viewsOf(files, facts).some(passesDevices)
  if (!isAsked && !isNamed) return ok({ on: undefined })
  const owners = new Set(files.map(it => whoseIs(it.doc.text, given, context)))
  const owner = owners.has('this') ? 'this' : owners.has('other') ? 'other' : 'unknown'
  if (owner === 'other' || (context.root !== '/' && !isNamed)) return ok({ on: undefined })
  const unsure =
    'The machine was not looked at, as no networking.hostName says that it is the one of this file. To look at it all the same: --sysfs /'
  const isUsual = context.file.startsWith('/etc/nixos/')
  if (owner === 'unknown' && !isUsual) return ok({ on: undefined, note: unsure })
  const host = readHost(given)
  if (!host.ok) return host
  const { machine, names } = host.value
  if (owner === 'unknown' && machine.nixos === undefined) {
    return ok({ on: undefined, note: unsure })
  }
  const on = holdAgainst(files, facts, machine)
  return ok(on === undefined ? { on } : { on, names, machine })
}
