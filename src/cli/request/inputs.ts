import type { Configuration } from '../../configuration/load.ts'
import type { Guest } from '../../guests/needs/needs.ts'
import { prefixOf, targetOf } from '../../plan/bootEntry.ts'
import { notForOneEntry, type TakeOver } from '../../plan/legacy/takeOver.ts'
import { isEmpty } from '../../settings/settings.ts'
import type { ApplyRequest } from '../args/request.ts'
import { CommandError, orThrow, usage } from '../message.ts'
import { applyMessage } from '../text/apply.ts'
import {
  configurationOf,
  type HostMatch,
  hostMatch,
  type ModuleFile,
  readModule,
  readTakeOver
} from './configuration.ts'
import { readGuest } from './guest.ts'
import type { MachineReader } from './machine.ts'

/** What a run of `apply` or `diff` is made from: the request, and the files and the machine that it is about. */
export interface ApplyInputs extends ModuleFile {
  request: ApplyRequest
  reader: MachineReader
  configuration: Configuration
  /** How our modules take the place of others with the same options, where there are some. */
  takeOver: TakeOver | undefined
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
  const { source, context } = module
  const guest = domain === undefined ? undefined : readGuest(domain, context)
  const isEdited = !isEmpty(settings) || request.gpus.length > 0 || guest !== undefined
  const configuration = configurationOf(module)
  const takeOver = request.keepsObsolete ? undefined : readTakeOver(configuration, context)
  const early = notForOneEntry(takeOver, source.path, specialisation)
  if (early) throw new CommandError(applyMessage(early, context))
  const found = targetOf(configuration, specialisation, isEdited)
  const entry = orThrow(found, it => applyMessage(it, context))
  if (request.assumesIsolated && entry === undefined) {
    throw new CommandError(
      usage('--assume-isolated goes only with --specialisation.', {
        why: 'nobody can see yet what goes along with the card, so the usual boot entry has to stay as it is.',
        remedy: 'add --specialisation vfio'
      })
    )
  }
  const match = hostMatch(source.doc, request)
  const prefix = prefixOf(entry)
  return {
    ...module,
    request,
    reader,
    configuration,
    takeOver,
    guest,
    match,
    entry,
    prefix,
    isEdited
  }
}
