import { hostname } from 'node:os'
import { basename, isAbsolute, resolve } from 'node:path'
import { namedIn } from '../../check/asked.ts'
import type { ImportedModule } from '../../configuration/imports.ts'
import { viewsOf } from '../../lints/view.ts'
import { cardWith } from '../../machine/cards.ts'
import { idOf, type Machine } from '../../machine/machine.ts'
import { nameTables, openMachine } from '../../machine/open.ts'
import { namesOf } from '../../machine/pciNames.ts'
import { readMachine } from '../../machine/read/machine.ts'
import { type Recording, recordingSource, type Source } from '../../machine/source.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { ChoiceProblem } from '../../plan/devices.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Arguments } from '../args/parse.ts'
import type { Context } from '../context.ts'
import { type Message, usage } from '../message.ts'
import { list } from '../text/devices.ts'

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

/** Whose machine the file configures, by the name that it gives its host. */
export function whoseIs(
  text: string,
  given: Arguments,
  { root }: Context
): 'this' | 'other' | 'unknown' {
  if (given.text('sysfs') !== undefined) return 'this'
  const names = parseDocument(text)
    .getIn('networking.hostName')
    .map(it => /^"([\w-]+)"$/.exec(it.source)?.[1])
  const [name] = names
  // What is installed from another system has that one's name for now.
  if (root !== '/' || name === undefined || names.length !== 1) return 'unknown'
  return name === hostname() ? 'this' : 'other'
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

/** Devices that are given away already, and stay so whatever the run writes. */
export interface GivenElsewhere {
  /** Their addresses. */
  devices: ReadonlySet<string>
  /** Where they are named, for a sentence. */
  places: string
}

/**
 * The devices of the machine that these modules give away in every boot entry and in the one of its own, if
 * it is named. What counts only under a condition is left out, and so are the cards with the addresses in
 * `asked`, as these are what the run is about.
 */
export function givenElsewhere(
  modules: readonly ImportedModule[],
  machine: Machine,
  specialisation: string | undefined,
  asked: readonly string[]
): GivenElsewhere {
  const own = asked.flatMap(it => cardWith(machine, it)?.functions ?? [])
  const except = new Set([...asked, ...own.map(it => it.address)])
  const files = modules.map(({ path, text }) => ({ path, doc: parseDocument(text) }))
  const views = viewsOf(files, { ours: true })
  const view = views.find(it => it.name === specialisation) ?? views[0]
  // The host has them until a guest starts.
  const isLater = view?.says('virtualisation.vfio.bindAtBoot', false).length !== 0
  const named = view && !isLater ? namedIn(view, machine, machine.kernelParams) : []
  const others = named
    .map(({ path, range, devices }) => ({
      path,
      range,
      addresses: devices.map(it => it.address).filter(it => !except.has(it))
    }))
    .filter(it => it.addresses.length > 0)
  const places = others.map(({ path, range }) => {
    const text = files.find(it => it.path === path)?.doc.text ?? ''
    return `${basename(path)}:${placeOf(text, range.start).line}`
  })
  return {
    devices: new Set(others.flatMap(it => it.addresses)),
    places: list([...new Set(places)])
  }
}

/** The message with the places that name part of what is lost, where these are in other files. */
export function withPlaces(
  message: Message,
  problems: readonly ChoiceProblem[],
  { devices, places }: GivenElsewhere
): Message {
  const all = problems.flatMap(it => [
    ...('device' in it ? [it.device] : []),
    ...('others' in it ? it.others : [])
  ])
  const there = [...new Set(all.map(it => it.address))].filter(it => devices.has(it))
  if (there.length === 0) return message
  return {
    ...message,
    why: `${message.why ?? ''}\n${list(there)} ${there.length === 1 ? 'goes' : 'go'} already, by ${places}.`,
    remedy: `take it out of ${places} first, or leave the other with the host`
  }
}
