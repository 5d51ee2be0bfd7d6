// What is given to guests by files beside the one that a run is about.

import { basename } from 'node:path'
import type { ChoiceProblem } from '../../apply/chooseDevices.ts'
import type { ImportedModule } from '../../apply/read/importClosure.ts'
import { namedIn } from '../../check/passed.ts'
import { cardWith } from '../../host/cards.ts'
import type { Machine } from '../../host/machine.ts'
import { viewsOf } from '../../lints/configuration.ts'
import { parseDocument } from '../../nix/index.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Message } from '../message.ts'
import { list } from '../messages/deviceWords.ts'

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
