import { isAbsolute, resolve } from 'node:path'
import { idOf, type Machine } from '../../machine/machine.ts'
import { pciNamesOf } from '../../machine/pciNames.ts'
import { nameTables, openMachine, readMachine } from '../../machine/read/machine.ts'
import { type Recording, recordingSource, type Source } from '../../machine/source.ts'
import type { Settings } from '../../settings/settings.ts'
import { orThrow } from '../message.ts'
import type { Names } from '../messages/devices.ts'
import { sysfsMessage } from '../messages/inputs.ts'
import { absentNote } from '../messages/plan.ts'

/** A machine that was read. */
export interface Host {
  machine: Machine
  /** The names of its devices by their IDs. */
  names: Names
  /** Everything that was read, for a dump. */
  recording: Recording
  /** For later reads, which a recording does not contain. */
  source: Source
  /** Whether it was read from a dump. */
  isDump: boolean
}

/** Reads the machine of a command: the one of `--sysfs`, else the machine that vfio-patch runs on. */
export class MachineReader {
  readonly #sysfs: string | undefined
  readonly #folder: string | undefined
  readonly #names = new Map<string, string | undefined>()
  #host: Host | undefined

  constructor(sysfs: string | undefined) {
    this.#sysfs = sysfs
    this.#folder = sysfs === undefined || isAbsolute(sysfs) ? sysfs : resolve(sysfs)
  }

  /** Reads the machine at the first call; ends the command if `--sysfs` names none. */
  read(): Host {
    this.#host ??= this.#readHost()
    return this.#host
  }

  /**
   * The names of devices by their IDs, from the tables of the machine that `--sysfs` names, else of this system. So a
   * comment in the configuration is the same, whatever system the command runs on.
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

/** A note on each device of the settings that the machine does not have; it may be installed later. */
export function absentDeviceNotes(settings: Settings, { devices }: Machine): string[] {
  const present = new Set(devices.flatMap(it => [it.address, idOf(it)]))
  const addresses = (settings.addresses ?? []).map(it => (typeof it === 'string' ? it : it.address))
  const ids = (settings.devices ?? []).filter(
    it => !present.has(it.split(':').slice(0, 2).join(':'))
  )
  return [...ids, ...addresses.filter(it => !present.has(it))].map(absentNote)
}
