// The words for what must stay with the host, and for cards that are not there.

import type { ChoiceProblem } from '../../apply/chooseDevices.ts'
import { isSilent, monitorsAt } from '../../host/cards.ts'
import { idOf, type PciDevice } from '../../host/machine.ts'
import { isVirtual } from '../../host/virtualFunctions.ts'
import type { Context } from '../context.ts'
import type { MovedDevice } from '../input/movedDevice.ts'
import { EXIT, type Message } from '../message.ts'
import { iommuName } from '../show/scanTable.ts'
import { briefDevice, callDevice, callUses, list, type Names } from './deviceWords.ts'
import { groupOfVirtual, isVirtualProblem, virtualMessage } from './virtualMessages.ts'

const OTHER_CARD = 'choose another card: vfio-patch scan'

/** The first problem in full; what else there is stands behind it. `call` is the whole call as typed. */
export function problemMessage(
  problems: readonly ChoiceProblem[],
  call: string,
  names: Names
): Message {
  const [first, ...rest] = problems.map(it => messageOf(it, call, names))
  if (first === undefined) throw new Error('a refusal without a reason')
  if (rest.length === 0) return first
  const why = [
    first.why,
    ...rest.map(it => `besides, ${it.what.replace(/ Nothing was written\.$/, '')}`)
  ]
  return { ...first, why: why.filter(it => it !== undefined).join('\n') }
}

function messageOf(problem: ChoiceProblem, call: string, names: Names): Message {
  if (isVirtualProblem(problem)) return virtualMessage(problem, names)
  const { code } = problem
  // A guest has a virtual function only while it runs.
  const isLater = 'device' in problem && isVirtual(problem.device)
  const refuse = (what: string, why: string, remedy: string): Message => ({
    code,
    exit: EXIT.hardware,
    what: `${what} Nothing was written.`,
    why,
    remedy
  })
  switch (problem.code) {
    case 'CARRIES_DISK':
      return refuse(
        `${callDevice(problem.device, names)} carries what this system lives on: ${callUses(problem.uses)}.`,
        isLater
          ? 'while the guest runs, the host would not find its files.'
          : 'after the next boot it would belong to the guest, and the host would not find its files.',
        `leave ${problem.device.address} with the host; ${OTHER_CARD}`
      )
    case 'ONLY_NETWORK':
      return refuse(
        `${callDevice(problem.device, names)} is the only network card (${list(problem.names)}).`,
        isLater
          ? 'while the guest runs, this machine could not be reached, nor reach anything.'
          : 'after the next boot this machine could not be reached, nor reach anything.',
        'put in another one for the host first, or leave this one with it'
      )
    case 'ONLY_KEYBOARD':
      return refuse(
        `the only keyboard (${list(problem.names)}) is plugged into ${callDevice(problem.device, names)}.`,
        isLater
          ? 'while the guest runs, you could not type.'
          : 'after the next boot you could not type.',
        'plug it into a port of another controller, then run this again'
      )
    case 'ONLY_DISPLAY':
      if (problem.others.length > 0) {
        const all = [problem.device, ...problem.others].map(it => callDevice(it, names))
        return refuse(
          `no card would be left to show a picture: ${list(all)} would all go.`,
          `after the next boot the host would have none${isByID(problem, call) ? '; and an ID means all cards that have it' : ''}.`,
          `name only what the guest is to have, e.g. --gpu ${unseen([problem.device, ...problem.others])?.address}`
        )
      }
      return refuse(
        `${callDevice(problem.device, names)} is the only card that can show a picture.`,
        'after the next boot the host would have none.',
        'leave it with the host until a guest starts: add --bind hooks;\nor give it a boot entry of its own: add --specialisation vfio'
      )
    case 'SHOWS_SCREEN': {
      const { device, others } = problem
      return refuse(
        isSilent(device)
          ? `${device.address} may be the card that shows your screen, as its driver does not say where monitors are. If it is, you would have no picture after the next boot.`
          : `${device.address} is the card that shows this screen. After the next boot you would have no picture.`,
        `no monitor is at ${list(others.map(it => callDevice(it, names)))}, which stays with the host.`,
        [
          `plug your monitor in there, ${OTHER_CARD},`,
          'put it in its own boot entry (add --specialisation vfio),',
          `or confirm with: ${call} --confirm ${device.address}`
        ].join('\n')
      )
    }
    case 'SHARED_GROUP': {
      const { device, others, canGoToo } = problem
      const what = `${callDevice(device, names)} shares IOMMU group ${device.group ?? ''} with ${list(others.map(briefDevice))}.`
      if (isLater) {
        const { why, remedy } = groupOfVirtual(others, device.physicalFunction)
        return refuse(what, why, remedy)
      }
      const along = others.map(it => ` --address ${it.address}`).join('')
      return refuse(
        what,
        'the IOMMU can not keep them apart, so they go to the guest together or not at all.',
        `put the card in another slot, or ${OTHER_CARD}${canGoToo ? `;\nor give them away as well, if the host can do without: ${call}${along}` : ''}`
      )
    }
    case 'IOMMU_OFF':
      return refuse(
        'IOMMU is off: /sys/kernel/iommu_groups is empty.',
        'the firmware shows none to the kernel, and without it no device can be given to a guest.',
        `switch on ${iommuName(problem.machine)} in the firmware setup, reboot, then: vfio-patch scan`
      )
    case 'NO_SUCH_DEVICE': {
      const cards = problem.cards.map(it => callDevice(it.display, names))
      return {
        code,
        exit: EXIT.usage,
        what: `this machine has nothing at ${problem.address}.`,
        remedy:
          cards.length > 0 ? ['give one of its cards:', ...cards].join('\n') : 'vfio-patch scan'
      }
    }
    case 'NOT_A_CARD': {
      const { device, card } = problem
      return {
        code,
        exit: EXIT.usage,
        what: `${callDevice(device, names)} is not a graphics card.`,
        remedy:
          card === undefined
            ? `to give it away all the same: --address ${device.address}`
            : `it is part of one: --gpu ${card.display.address}`
      }
    }
  }
}

/** The last of the cards that does not show the picture of the host, else the last. */
function unseen(cards: readonly PciDevice[]): PciDevice | undefined {
  const dark = cards.filter(it => it.bootVga !== true && monitorsAt(it).length === 0)
  return dark.at(-1) ?? cards.at(-1)
}

/** Whether one ID stands for several of the cards, so that more go than were meant. */
function isByID(
  { device, others }: { device: PciDevice; others: readonly PciDevice[] },
  call: string
) {
  // The domain of an address may be left out.
  const unnamed = [device, ...others].filter(it => !call.includes(it.address.replace(/^0000:/, '')))
  return unnamed.some(it => unnamed.some(other => other !== it && idOf(other) === idOf(it)))
}

/** The configuration expects something else than the machine has. */
export function otherDevice({ address, expected, found }: MovedDevice, context: Context): Message {
  const here = found === undefined ? 'nothing there' : `${found} there`
  return {
    code: 'OTHER_DEVICE',
    exit: EXIT.hardware,
    what: `the configuration names ${address} as ${expected}, but this machine has ${here}. Nothing was written.`,
    why: 'cards were moved, or this is another machine.',
    remedy: `vfio-patch scan, then: vfio-patch ${context.command} --gpu ADDR`
  }
}
