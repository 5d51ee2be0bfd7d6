// The machine beside a configuration: whether it is the one that this is for, and what came of it.

import { type Faults, withFindings } from '../../apply/findFaults.ts'
import { darkPassphrases } from '../../check/darkPassphrase.ts'
import { holdAgainst, type OnMachine } from '../../check/onMachine.ts'
import type { Machine } from '../../host/machine.ts'
import { type Facts, viewsOf } from '../../lints/configuration.ts'
import { passesDevices } from '../../lints/find.ts'
import { DECIDED_CODES } from '../../lints/index.ts'
import { withParts } from '../../lints/parts.ts'
import { ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import type { Names } from '../messages/deviceWords.ts'
import { type Host, readHost } from './readHost.ts'
import { whoseIs } from './whoseIs.ts'

/**
 * What was seen of the machine; or why it was not looked at, in a sentence. `on` is undefined where the
 * configuration gives nothing to guests as well.
 */
export type Looked =
  | { on: OnMachine; names: Names; machine: Machine; host: Host }
  | { on: undefined; machine?: Machine; host?: Host; note?: string }

/** The same machine held against other files. */
export function lookAgain(looked: Looked, { files, facts }: Faults): Looked {
  if (!looked.machine) return looked
  const on = looked.on && holdAgainst(files, facts, looked.machine)
  return on && looked.on ? { ...looked, on } : { on: undefined, machine: looked.machine }
}

/** All that is found in the files, with what the machine shows and decides, where it was looked at. */
export function withMachine(faults: Faults, { on, machine }: Looked): Faults {
  if (!machine) return faults
  const { files, facts, findings } = faults
  const inText = findings.filter(it => !DECIDED_CODES.includes(it.code))
  const found = [...(on?.findings ?? []), ...darkPassphrases(files, facts, machine)]
  return withFindings({ ...faults, findings: inText }, found)
}

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
  const isAsked = viewsOf(files.flatMap(withParts), facts).some(passesDevices)
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
  return ok(
    on === undefined ? { on, machine, host: host.value } : { on, names, machine, host: host.value }
  )
}
