import { isAbsolute, resolve } from 'node:path'
import { idOf, type Machine } from '../../machine/machine.ts'
import { pciNamesOf } from '../../machine/pciNames.ts'
import {
  type MachineProblem,
  nameTables,
  openMachine,
  readMachine
} from '../../machine/read/machine.ts'
import { type Recording, recordingSource, type Source } from '../../machine/source.ts'
import type { Settings } from '../../settings/settings.ts'
import { type Message, orThrow, usage } from '../message.ts'
import type { Names } from '../messages/devices.ts'

/** A machine that was looked at. */
export interface Host {
  machine: Machine
  /** The names of its devices by their IDs. */
  names: Names
  /** All that it answered, for a dump. */
  recording: Recording
  /** The machine itself, for what is asked later; this is in no dump. */
  source: Source
  /** Whether it was read from a dump. */
  isDump: boolean
}

/** The machine that a command is about: that of `--sysfs`, else the one that this runs on. */
export class MachineReader {
  readonly #sysfs: string | undefined
  readonly #folder: string | undefined
  readonly #names = new Map<string, string | undefined>()
  #host: Host | undefined

  constructor(sysfs: string | undefined) {
    this.#sysfs = sysfs
    this.#folder = sysfs === undefined || isAbsolute(sysfs) ? sysfs : resolve(sysfs)
  }

  /** Reads the machine, at the first call; ends the command where `--sysfs` names none. */
  read(): Host {
    this.#host ??= this.#readHost()
    return this.#host
  }

  /**
   * The names of devices by their IDs, from the tables of the machine that `--sysfs` names, else of this
   * system: a comment in the configuration has the same name on whatever system the command runs.
   */
  namesOf(ids: readonly string[]): Names {
    const unknown = ids.filter(it => !this.#names.has(it))
    const found = unknown.length > 0 ? pciNamesOf(unknown, nameTables(this.#folder)) : new Map()
    for (const id of unknown) this.#names.set(id, found.get(id))
    return new Map(ids.flatMap(id => this.#named(id)))
  }

  #named(id: string): [string, string][] {
    const name = this.#names.get(id)
    return name === undefined ? [] : [[id, name]]
  }

  #readHost(): Host {
    const opened = orThrow(openMachine(this.#folder), it => sysfsMessage(it, this.#sysfs))
    const recording: Recording = new Map()
    const { source, isDump } = opened
    const machine = readMachine(recordingSource(source, recording))
    return { machine, names: this.namesOf(machine.devices.map(idOf)), recording, source, isDump }
  }
}

function sysfsMessage(problem: MachineProblem, folder: string | undefined): Message {
  const remedy = 'give the folder that "vfio-patch scan --dump FOLDER" wrote'
  switch (problem.code) {
    case 'NOT_A_FOLDER':
      return usage(`--sysfs: there is no directory ${folder}.`, { remedy })
    case 'NO_MACHINE':
      return usage(`--sysfs: ${folder} holds neither a dump nor a "sys".`, { remedy })
    case 'BAD_DUMP':
      return usage(`--sysfs: a line in ${folder} is none of a dump: ${problem.line}`, { remedy })
  }
}

/** A note for each device of the settings that the machine does not have: it may come yet. */
export function absentDevices(settings: Settings, { devices }: Machine): string[] {
  const here = new Set(devices.flatMap(it => [it.address, idOf(it)]))
  const addresses = (settings.addresses ?? []).map(it => (typeof it === 'string' ? it : it.address))
  const ids = (settings.devices ?? []).filter(it => !here.has(it.split(':').slice(0, 2).join(':')))
  return [...ids, ...addresses.filter(it => !here.has(it))].map(
    it => `Note: this machine has no ${it} at the moment.`
  )
}
