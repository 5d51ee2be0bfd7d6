import { closedGates, type Gate, isAboutPicture } from '../host/gates.ts'
import { isForGuests } from '../host/groups.ts'
import { briefDevice, callUses, list, showsOrMay } from '../host/words.ts'
import type { Finding } from '../lints/index.ts'
import { at, namedFor } from './passed.ts'
import type { Held } from './state.ts'

/** What the host loses, as far as it has it still. */
export function lockedOut(
  { machine, named, asked, entry }: Held,
  passed: ReadonlySet<string>
): Finding[] {
  const free = new Set(
    machine.devices.filter(it => passed.has(it.address) && !isForGuests(it)).map(it => it.address)
  )
  // A guest that takes a device later is started by a person, who sees what it does.
  const gates = closedGates(machine, free, { confirmed: [], bindsAtBoot: asked.bindsAtBoot })
  return gates
    .filter(it => entry.view.name === '' || !isAboutPicture(it))
    .flatMap(gate => {
      const place = namedFor(named, gate.device, passed)
      return place ? [at(place, { code: 'LOCKS_OUT', ...sayingOf(gate) })] : []
    })
}

function sayingOf(gate: Gate): Pick<Finding, 'level' | 'message' | 'why' | 'remedy'> {
  const device = briefDevice(gate.device)
  const other = 'take it out; "vfio-patch scan" shows what a guest can have'
  switch (gate.code) {
    case 'CARRIES_DISK':
      return {
        level: 'problem',
        message: `your files are behind ${device}: ${callUses(gate.uses)}`,
        why: 'the host can not reach its own disk once a guest owns the device.',
        remedy: other
      }
    case 'ONLY_NETWORK':
      return {
        level: 'problem',
        message: `${device} is the only network card of the host (${list(gate.names)})`,
        why: 'the host has no network once a guest owns it.',
        remedy: other
      }
    case 'ONLY_KEYBOARD':
      return {
        level: 'problem',
        message: `the only keyboard is plugged into ${device}`,
        why: 'nobody can type anything on the host once a guest owns it.',
        remedy: 'plug the keyboard into another USB port, or take this out'
      }
    case 'ONLY_DISPLAY':
      return {
        level: 'problem',
        message: `no card is left that the host could show a picture on`,
        why: 'the screen of the host stays dark, also if something goes wrong.',
        remedy:
          'put it into a boot entry of its own (vfio-patch apply --specialisation NAME), or let a guest have the card only while it runs (--bind hooks)'
      }
    case 'SHOWS_SCREEN':
      return {
        level: 'note',
        message: `${device} ${showsOrMay(gate.device)} your screen, and goes to a guest`,
        why: 'no monitor is plugged into another card, so the screen of the host goes dark.',
        remedy: `plug the monitor into ${list(
          gate.others.map(it => it.address),
          'or'
        )} before the next start`
      }
  }
}
