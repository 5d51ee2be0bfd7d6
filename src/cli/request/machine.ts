import { isAbsolute, resolve } from 'node:path'
import { idOf, type Machine } from '../../machine/machine.ts'
import { nameTables, openMachine } from '../../machine/open.ts'
import { namesOf } from '../../machine/pciNames.ts'
import { readMachine } from '../../machine/read/machine.ts'
import { type Recording, recordingSource, type Source } from '../../machine/source.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Arguments } from '../args/parse.ts'
import { type Message, usage } from '../message.ts'

/** A machine that was looked at. */
export interface Host {
  machine: Machine
  /** The names of its devices by their IDs. */
  names: ReadonlyMap<string, string>
  /** All that it answered, for a dump. */
  recording: Recording
  /** The machine itself, for what is asked later; this is in no dump. */
  source: Source
  /** Whether it was read from a dump. */
  isDump: boolean
}

/** Reads the machine that `--sysfs` names, else the one that this runs on. */
export function readHost(given: Arguments): Result<Host, Message> {
  const folder = given.text('sysfs')
  const opened = openMachine(machineFolder(given))
  if (!opened.ok) {
    const { error } = opened
    const remedy = 'give the folder that "vfio-patch scan --dump FOLDER" wrote'
    switch (error.code) {
      case 'NOT_A_FOLDER':
        return err(usage(`--sysfs: there is no directory ${folder}.`, { remedy }))
      case 'NO_MACHINE':
        return err(usage(`--sysfs: ${folder} holds neither a dump nor a "sys".`, { remedy }))
      case 'BAD_DUMP':
        return err(
          usage(`--sysfs: a line in ${folder} is none of a dump: ${error.line}`, { remedy })
        )
    }
  }
  const recording: Recording = new Map()
  const { source, isDump } = opened.value
  const machine = readMachine(recordingSource(source, recording))
  const names = deviceNames(machine.devices.map(idOf), given)
  return ok({ machine, names, recording, source, isDump })
}

/**
 * The names of devices by their IDs, from the tables of the machine that `--sysfs` names, else of this
 * system: a comment in the configuration has the same name on whatever system the command runs.
 */
export function deviceNames(ids: readonly string[], given: Arguments): Map<string, string> {
  return namesOf(ids, nameTables(machineFolder(given)))
}

function machineFolder(given: Arguments): string | undefined {
  const folder = given.text('sysfs')
  return folder === undefined || isAbsolute(folder) ? folder : resolve(folder)
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

// What is given to guests by files beside the one that a run is about.
