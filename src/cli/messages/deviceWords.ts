// How devices and what is about them are called in sentences.

import type { Reason } from '../../host/candidates.ts'
import { monitorsAt } from '../../host/cards.ts'
import { idOf, type PciDevice } from '../../host/machine.ts'
import { classWord } from '../../host/pciClass.ts'
import { briefDevice, callUses, list, showsOrMay } from '../../host/words.ts'

import { plural } from './plural.ts'

export { briefDevice, callUses, list, showsOrMay }

/** Names of devices by their IDs. */
export type Names = ReadonlyMap<string, string>

/** `0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080]` */
export function callDevice(device: PciDevice, names: Names): string {
  return `${device.address} ${names.get(idOf(device)) ?? `(${classWord(device.class)})`}`
}

/** Why a card can't be had as it is, in a clause. */
export function whyNot(reason: Reason): string {
  switch (reason.code) {
    case 'INTEGRATED':
      return 'it is part of the processor'
    case 'CARRIES_DISK':
      return `your files are behind ${briefDevice(reason.device)}: ${callUses(reason.uses)}`
    case 'ONLY_NETWORK':
      return `${briefDevice(reason.device)} is your only network card`
    case 'ONLY_KEYBOARD':
      return `your only keyboard is plugged into ${briefDevice(reason.device)}`
    case 'ONLY_DISPLAY':
      return 'no other card is left to show a picture'
    case 'SHOWS_SCREEN':
      return `it ${showsOrMay(reason.device)} your screen${places(monitorsAt(reason.device))}`
    case 'SHARED_GROUP': {
      const groups = [...new Set(reason.others.map(it => it.group))]
      return `it shares IOMMU group ${list(groups.map(String))} with ${list(reason.others.map(briefDevice))}`
    }
    case 'HAS_VIRTUAL_FUNCTIONS':
      return `its ${plural(reason.virtual.length, 'virtual function')} would be gone`
  }
}

function places(monitors: readonly string[]): string {
  return monitors.length === 0 ? '' : ` (${monitors.join(', ')})`
}
