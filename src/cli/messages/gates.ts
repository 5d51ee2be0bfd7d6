// The words for what must stay with the host, and for cards that are not there.

import { hasUnknownMonitors, monitorsAt } from '../../machine/cards.ts'
import type { Caution } from '../../machine/gates.ts'
import { idOf, type PciDevice, slotOf } from '../../machine/machine.ts'
import { isVgpu, isVirtual } from '../../machine/virtualFunctions.ts'
import type { Choice, ChoiceProblem, Decision, MovedDevice } from '../../plan/devices.ts'
import type { VirtualDecision } from '../../plan/guestDevices.ts'
import type { Context } from '../context.ts'
import { EXIT, type Message, type Wording, wordsOf } from '../message.ts'
import {
  briefDevice,
  callDevice,
  describeUses,
  groupOfVirtual,
  iommuName,
  list,
  type Names,
  VIRTUAL_WORDS
} from './devices.ts'

const OTHER_CARD = 'choose another card: vfio-patch scan'

/** The first problem in full, then what the others are. `call` is the whole call as typed. */
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

interface About {
  /** The whole call as typed. */
  call: string
  names: Names
  /** A guest has a virtual function only while it runs. */
  isLater: boolean
  refuse: (what: string, why: string, remedy: string) => Message
}

function messageOf(problem: ChoiceProblem, call: string, names: Names): Message {
  return wordsOf(WORDS, problem, {
    call,
    names,
    isLater: 'device' in problem && isVirtual(problem.device),
    refuse: (what, why, remedy) => ({
      code: problem.code,
      exit: EXIT.hardware,
      what: `${what} Nothing was written.`,
      why,
      remedy
    })
  })
}

const WORDS: Wording<ChoiceProblem, About, Message> = {
  ...VIRTUAL_WORDS,
  CARRIES_DISK: ({ device, uses }, { names, isLater, refuse }) =>
    refuse(
      `${callDevice(device, names)} carries what this system lives on: ${describeUses(uses)}.`,
      isLater
        ? 'while the guest runs, the host would not find its files.'
        : 'after the next boot it would belong to the guest, and the host would not find its files.',
      `leave ${device.address} with the host; ${OTHER_CARD}`
    ),
  ONLY_NETWORK: (problem, { names, isLater, refuse }) =>
    refuse(
      `${callDevice(problem.device, names)} is the only network card (${list(problem.names)}).`,
      isLater
        ? 'while the guest runs, this machine could not be reached, nor reach anything.'
        : 'after the next boot this machine could not be reached, nor reach anything.',
      'put in another one for the host first, or leave this one with it'
    ),
  ONLY_KEYBOARD: (problem, { names, isLater, refuse }) =>
    refuse(
      `the only keyboard (${list(problem.names)}) is plugged into ${callDevice(problem.device, names)}.`,
      isLater
        ? 'while the guest runs, you could not type.'
        : 'after the next boot you could not type.',
      'plug it into a port of another controller, then run this again'
    ),
  ONLY_DISPLAY: (problem, { call, names, refuse }) => {
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
  },
  SHOWS_SCREEN: ({ device, others }, { call, names, refuse }) =>
    refuse(
      hasUnknownMonitors(device)
        ? `${device.address} may be the card that shows your screen, as its driver does not say where monitors are. If it is, you would have no picture after the next boot.`
        : `${device.address} is the card that shows this screen. After the next boot you would have no picture.`,
      `no monitor is at ${list(others.map(it => callDevice(it, names)))}, which stays with the host.`,
      [
        `plug your monitor in there, ${OTHER_CARD},`,
        'put it in its own boot entry (add --specialisation vfio),',
        `or confirm with: ${call} --confirm ${device.address}`
      ].join('\n')
    ),
  SHARED_GROUP: ({ device, others, canGoToo }, { call, names, isLater, refuse }) => {
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
  },
  IOMMU_OFF: ({ machine }, { refuse }) =>
    refuse(
      'IOMMU is off: /sys/kernel/iommu_groups is empty.',
      'the firmware shows none to the kernel, and without it no device can be given to a guest.',
      `switch on ${iommuName(machine)} in the firmware setup, reboot, then: vfio-patch scan`
    ),
  NO_SUCH_DEVICE: (problem, { names }) => {
    const { code } = problem
    const cards = problem.cards.map(it => callDevice(it.display, names))
    return {
      code,
      exit: EXIT.usage,
      what: `this machine has nothing at ${problem.address}.`,
      remedy: cards.length > 0 ? ['give one of its cards:', ...cards].join('\n') : 'vfio-patch scan'
    }
  },
  NOT_A_CARD: ({ code, device, card }, { names }) => ({
    code,
    exit: EXIT.usage,
    what: `${callDevice(device, names)} is not a graphics card.`,
    remedy:
      card === undefined
        ? `to give it away all the same: --address ${device.address}`
        : `it is part of one: --gpu ${card.display.address}`
  })
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

/** Each decision with its reason, then what to look out for; a sentence or two each. */
export function choiceNotes({ decisions, cautions }: Choice, names: Names): string[] {
  return [
    ...decisions.map(it => decisionLine(it, names)),
    ...cautions.map(it => `Note: ${cautionLine(it, names)}`)
  ]
}

function decisionLine(decision: Decision, names: Names): string {
  switch (decision.code) {
    case 'WHOLE_CARD': {
      const { display, functions } = decision.card
      const others = functions.filter(it => it !== display).map(briefDevice)
      const along =
        others.length > 0
          ? `; ${list(others)} ${others.length === 1 ? 'goes' : 'go'} along, as a guest takes a card whole`
          : ''
      return `Card: ${callDevice(display, names)}${along}.`
    }
    case 'DEVICE':
      return `Device: ${callDevice(decision.device, names)}.`
    case 'VIRTUAL_FUNCTION':
      return virtualLine(decision, names)
    case 'BY_ID':
      return 'Named by ID, as nothing that stays with the host has the same.'
    case 'BY_ADDRESS':
      return `Named by address, as ${list(decision.twins.map(briefDevice))} of the host ${decision.twins.length === 1 ? 'has' : 'have'} the same ID.`
    case 'PROCESSOR':
      return `IOMMU: that of ${decision.vendor === 'amd' ? 'AMD' : 'Intel'}, as the processor is.`
    case 'DRIVERS':
      return `Drivers: vfio-pci is loaded before ${list(decision.drivers)}, too, as part of the card would go there.`
    case 'FIRST_PHASE':
      return firstPart(decision.specialisation, decision.card.display, names)
    case 'ASSUMED_ISOLATED':
      return 'The IOMMU is off, so nobody sees its groups: that the card shares none is on your word.'
  }
}

function virtualLine({ device, physical, isUnmanaged }: VirtualDecision, names: Names): string {
  const driver = physical?.driver === undefined ? 'its driver' : `its driver, ${physical.driver}`
  const rest = `${physical ? callDevice(physical, names) : device.physicalFunction} stays with ${driver}`
  const how = isVgpu(device)
    ? ', the guest gets it from its driver, nvidia'
    : isUnmanaged
      ? ''
      : ', libvirt takes it when the guest starts'
  return `Virtual function: ${callDevice(device, names)}; nothing is bound at boot${how}, and ${rest}.`
}

function firstPart(specialisation: string | undefined, device: PciDevice, names: Names): string {
  const card = callDevice(device, names)
  // Of a virtual function there is nothing to plan then, but its group can be seen.
  const aim = isVirtual(device) ? `see whether ${card} can go to a guest` : `give ${card} away`
  return specialisation === undefined
    ? `The IOMMU is off, so the first part only turns it on. Reboot, then run this again to ${aim}.`
    : `The IOMMU is off, so the first part only turns it on. Reboot into the boot entry "${specialisation}", then run this again to ${aim}; or add --assume-isolated, if you know that nothing shares its IOMMU group.`
}

function sharedGroup(device: PciDevice, others: readonly PciDevice[]): string {
  const isOwn = others.every(it => slotOf(it.address) === slotOf(device.address))
  const why = `${device.address} shares IOMMU group ${device.group ?? ''} with ${list(others.map(briefDevice))}, and a guest gets all of a group or none of it`
  return isOwn
    ? `${why}; ${others.length === 1 ? 'that is a part' : 'these are parts'} of the same card, so name ${others.length === 1 ? 'it' : 'them'}, too.`
    : `${why}. Put it into another slot, or see whether the firmware has a setting for ACS; "vfio-patch scan" shows the groups.`
}

function cautionLine(caution: Caution, names: Names): string {
  switch (caution.code) {
    case 'BOOT_SCREEN': {
      const { device, isOnly } = caution
      const other = isOnly
        ? ''
        : " Choose the host's card as the primary display in the firmware setup;"
      return `the firmware shows its first screen on ${device.address}${device.holdsFramebuffer ? ', and the kernel draws on it still' : ''}${isOnly ? ';' : '.'}${other} if a guest can't start for that, use --disable-efifb.`
    }
    case 'NO_PICTURE':
      return caution.others.length === 0
        ? 'in that boot entry the host has no picture; see that you can reach it over ssh.'
        : `in that boot entry the monitor at ${caution.device.address} shows the guest; for the host, plug one into ${list(caution.others.map(it => callDevice(it, names)))}.`
    case 'MONITOR_GOES':
      return `the monitor at ${list(caution.monitors)} goes dark for the host.`
    case 'NO_RESET':
      return `${caution.device.address} can't be reset, so a guest may get it only once after each boot.`
    case 'AMD_RESET':
      return `${callDevice(caution.device, names)} may not come back when a guest shuts down; the module vendor-reset helps with many of its kind.`
    case 'SHARED_GROUP':
      return sharedGroup(caution.device, caution.others)
    case 'HOST_WITHOUT_DRIVER':
      return `${callDevice(caution.device, names)} stays with the host and has no driver yet; see that it shows a picture first.`
    case 'HOST_BLACKLISTED':
      return `--blacklist-nvidia takes the driver from ${callDevice(caution.device, names)}, too, which stays with the host.`
    case 'NETWORK_IN_USE':
      return `${list(caution.names)}, which you are connected by, ${caution.names.length === 1 ? 'goes' : 'go'}; other network cards stay, but none is connected.`
    case 'HAS_VIRTUAL_FUNCTIONS':
      return `in that boot entry ${caution.device.address} has no virtual functions, as its own driver does not get it.`
    case 'NO_VIRTUALISATION':
      return 'the processor offers no virtualisation; switch on SVM or VT-x in the firmware setup.'
  }
}
