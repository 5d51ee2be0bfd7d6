import type { Guest } from '../../guests/needs/needs.ts'
import { parseDocument } from '../../nix/index.ts'
import { prefixOf, targetOf } from '../../plan/bootEntry.ts'
import { notForOneEntry } from '../../plan/legacy/takeOver.ts'
import { isEmpty } from '../../settings/settings.ts'
import type { ApplyRequest } from '../args/request.ts'
import { CommandError, orThrow, usage } from '../message.ts'
import { applyMessage } from '../text/apply.ts'
import {
  type HostMatch,
  hostMatch,
  type ModuleFile,
  readModule,
  readSystem,
  type System
} from './configuration.ts'
import { readGuest } from './guest.ts'
import type { MachineReader } from './machine.ts'

/** What a run of `apply` or `diff` is made from: the request, and the files and the machine that it is about. */
export interface ApplyInputs extends ModuleFile {
  request: ApplyRequest
  reader: MachineReader
  system: System
  guest: Guest | undefined
  match: HostMatch
  /** The boot entry of its own that the options go into, and the path of these. */
  entry: string | undefined
  prefix: readonly string[]
  /** Whether anything is asked for besides bringing what is there up to date. */
  isEdited: boolean
}

/** Reads the files; of the machine nothing yet. */
export function readInputs(request: ApplyRequest, reader: MachineReader): ApplyInputs {
  const { settings, specialisation, domain } = request
  const module = readModule(request)
  const { target, text, context } = module
  const path = target.realpath
  const guest = domain === undefined ? undefined : readGuest(domain, context)
  const isEdited = !isEmpty(settings) || request.gpus.length > 0 || guest !== undefined
  const system = readSystem({ path, text }, request.keepsObsolete, context)
  const { imported, takeOver } = system
  const early = notForOneEntry(takeOver, path, specialisation)
  if (early) throw new CommandError(applyMessage(early, context))
  const found = targetOf(parseDocument(text), path, specialisation, isEdited, imported)
  const entry = orThrow(found, it => applyMessage(it, context))
  if (request.assumesIsolated && entry === undefined) {
    throw new CommandError(
      usage('--assume-isolated goes only with --specialisation.', {
        why: 'nobody can see yet what goes along with the card, so the usual boot entry has to stay as it is.',
        remedy: 'add --specialisation vfio'
      })
    )
  }
  const match = hostMatch(text, request)
  const prefix = prefixOf(entry)
  return { ...module, request, reader, system, guest, match, entry, prefix, isEdited }
}
