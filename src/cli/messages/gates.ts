// Devices that the host needs or the machine does not have, and notes on the devices that were chosen.

import { hasUnknownMonitors, monitorsAt } from '../../machine/cards.ts'
import type { Caution } from '../../machine/gates.ts'
import { idOf, type PciDevice, slotOf } from '../../machine/machine.ts'
import { isVgpu, isVirtual } from '../../machine/virtualFunctions.ts'
import type { Choice, ChoiceProblem, Decision, MovedDevice } from '../../plan/devices.ts'
import type { VirtualDecision } from '../../plan/guestDevices.ts'
import type { Context } from '../context.ts'
import { type Message, refusal, type Wording, type Words, wordsOf } from '../message.ts'
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

/** A message about the first problem, with a line for each other one. `call` is the whole call as typed. */
export function problemMessage(
  problems: readonly ChoiceProblem[],
  call: string,
  names: Names
): Message {
  const [first, ...rest] = problems.map(it => messageOf(it, call, names))
  if (first === undefined) throw new Error('a refusal without a reason')
  if (rest.length === 0) return first
  const why = [first.why, ...rest.map(it => `also: ${it.what}`)]
  return { ...first, why: why.filter(it => it !== undefined).join('\n') }
}

interface About {
  /** The whole call as typed. */
  call: string
  names: Names
  /** Whether the host loses the device only while the guest runs. */
  isLater: boolean
}

function messageOf(problem: ChoiceProblem, call: string, names: Names): Message {
  const isLater = 'device' in problem && isVirtual(problem.device)
  return { code: problem.code, ...wordsOf(WORDS, problem, { call, names, isLater }) }
}

const WORDS: Wording<ChoiceProblem, About, Words> = {
  ...VIRTUAL_WORDS,
  CARRIES_DISK: ({ device, uses }, { names, isLater }) =>
    refusal(
      `this system uses a disk attached to ${callDevice(device, names)}: ${describeUses(uses)}.`,
      isLater
        ? 'while the guest runs, the host would not find its files.'
        : 'after the next boot vfio-pci would have the device, and the host would not find its files.',
      `do not pass ${device.address} through; ${OTHER_CARD}`
    ),
  ONLY_NETWORK: (problem, { names, isLater }) =>
    refusal(
      `${callDevice(problem.device, names)} is the only network card (${list(problem.names)}).`,
      isLater
        ? 'while the guest runs, this machine would have no network.'
        : 'after the next boot this machine would have no network.',
      'first install another network card for the host, or do not pass this card through'
    ),
  ONLY_KEYBOARD: (problem, { names, isLater }) =>
    refusal(
      `the only keyboard (${list(problem.names)}) is plugged into ${callDevice(problem.device, names)}.`,
      isLater
        ? 'while the guest runs, you could not type.'
        : 'after the next boot you could not type.',
      'plug it into a port of another controller, then run this again'
    ),
  ONLY_DISPLAY: (problem, { call, names }) => {
    if (problem.others.length > 0) {
      const all = [problem.device, ...problem.others]
      return refusal(
        `the host would have no card left for its display output: ${list(all.map(it => callDevice(it, names)))} would be passed through.`,
        `after the next boot the host would have no display output${isByID(problem, call) ? '; an ID selects every card with that ID' : ''}.`,
        `name only the card for the guest, e.g. --gpu ${cardWithoutScreen(all)?.address}`
      )
    }
    return refusal(
      `${callDevice(problem.device, names)} is the only card that the host has for its display output.`,
      'after the next boot the host would have no display output.',
      'let the host use it until a guest starts: add --bind hooks;\nor use a separate boot entry: add --specialisation vfio'
    )
  },
  SHOWS_SCREEN: ({ device, others }, { call, names }) =>
    refusal(
      hasUnknownMonitors(device)
        ? `${device.address} may be the card that shows your screen: its driver does not report monitors. If so, the screen would stay dark after the next boot.`
        : `${device.address} is the card that shows this screen. After the next boot the screen would stay dark.`,
      `no monitor is plugged into ${list(
        others.map(it => callDevice(it, names)),
        'or'
      )}, which the host would keep.`,
      [
        `plug your monitor into a card that the host keeps, ${OTHER_CARD},`,
        'use a separate boot entry (add --specialisation vfio),',
        `or confirm with: ${call} --confirm ${device.address}`
      ].join('\n')
    ),
  SHARED_GROUP: ({ device, others, canGiveOthers }, { call, names, isLater }) => {
    const what = `${callDevice(device, names)} shares IOMMU group ${device.group ?? ''} with ${list(others.map(briefDevice))}.`
    if (isLater) {
      const { why, remedy } = groupOfVirtual(others, device.physicalFunction)
      return refusal(what, why, remedy)
    }
    const along = others.map(it => ` --address ${it.address}`).join('')
    return refusal(
      what,
      "the IOMMU can't isolate them from each other, so a guest gets all of them or none.",
      `put the card in another slot, or ${OTHER_CARD}${canGiveOthers ? `;\nor, if the host does not need the other devices, pass them through as well: ${call}${along}` : ''}`
    )
  },
  IOMMU_OFF: ({ machine }) =>
    refusal(
      'the IOMMU is off: /sys/kernel/iommu_groups is empty.',
      'the firmware does not offer an IOMMU to the kernel, and passthrough needs one.',
      `switch on ${iommuName(machine)} in the firmware setup, reboot, then: vfio-patch scan`
    ),
  NO_SUCH_DEVICE: (problem, { names }) => {
    const cards = problem.cards.map(it => callDevice(it.display, names))
    return {
      what: `this machine has no device at ${problem.address}.`,
      remedy: cards.length > 0 ? ['name one of its cards:', ...cards].join('\n') : 'vfio-patch scan'
    }
  },
  NOT_A_CARD: ({ device, card }, { names }) => ({
    what: `${callDevice(device, names)} is not a graphics card.`,
    remedy:
      card === undefined
        ? `to pass it through anyway: --address ${device.address}`
        : `it is part of a graphics card: --gpu ${card.display.address}`
  })
}

/** The last card that shows no screen of the host, else the last card. */
function cardWithoutScreen(cards: readonly PciDevice[]): PciDevice | undefined {
  const dark = cards.filter(it => it.bootVga !== true && monitorsAt(it).length === 0)
  return dark.at(-1) ?? cards.at(-1)
}

/** Whether one ID selects several of the cards, so that more are passed through than the user meant. */
function isByID(
  { device, others }: { device: PciDevice; others: readonly PciDevice[] },
  call: string
) {
  // An address may be written without its domain.
  const unnamed = [device, ...others].filter(it => !call.includes(it.address.replace(/^0000:/, '')))
  return unnamed.some(it => unnamed.some(other => other !== it && idOf(other) === idOf(it)))
}

/** The configuration expects another device than the machine has. */
export function otherDevice({ address, expected, found }: MovedDevice, context: Context): Message {
  const here = found === undefined ? 'no device there' : `${found} there`
  return {
    code: 'OTHER_DEVICE',
    what: `the configuration expects ${expected} at ${address}, but this machine has ${here}.`,
    nothingWritten: true,
    why: 'a card was moved, or this is another machine.',
    remedy: `vfio-patch scan, then: vfio-patch ${context.command} --gpu ADDR`
  }
}

// The same problems with devices that the configuration already names.

/** The configuration assigns the ID of virtual functions to vfio-pci, at these places. */
export function virtualNamedAlready(message: Message, places: string): Message {
  return {
    ...message,
    why: `${message.why ?? ''}\nThe ID is assigned to vfio-pci in ${places}.`,
    remedy: `remove the ID from ${places};\n${message.remedy ?? ''}`
  }
}

/** The configuration already assigns devices to vfio-pci, at these places, but vfio-pci does not have them now. */
export function namedAlready(message: Message, places: string): Message {
  return {
    ...message,
    why: `${message.why ?? ''}\nThe device is already assigned to vfio-pci in ${places}. vfio-pci is not bound to the device now, but with vfio-patch's modules it will be from the next boot on.`,
    remedy: `${message.remedy ?? ''};\nor remove the device's ID from ${places}`
  }
}

/** Other files already pass the devices at these addresses through, at these places. */
export function namedElsewhere(
  message: Message,
  addresses: readonly string[],
  places: string
): Message {
  return {
    ...message,
    why: `${message.why ?? ''}\n${list(addresses)} ${addresses.length === 1 ? 'is' : 'are'} already passed through by ${places}.`,
    remedy: `first remove it from ${places}, or do not pass the other device through`
  }
}

/** A guest needs the devices, according to its domain in `file`. */
export function neededByGuest(message: Message, file: string, guest: string): Message {
  return {
    ...message,
    why: `${message.why ?? ''}\n${file} assigns it to ${guest}.`,
    remedy: `${message.remedy ?? ''};\nor change the addresses in ${file}, if that file is from another machine`
  }
}

/** The decisions with their reasons, then the cautions; a sentence or two each. */
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
      const along = others.length > 0 ? `, with ${list(others)}: a guest gets the whole card` : ''
      return `Card: ${callDevice(display, names)}${along}.`
    }
    case 'DEVICE':
      return `Device: ${callDevice(decision.device, names)}.`
    case 'VIRTUAL_FUNCTION':
      return virtualLine(decision, names)
    case 'BY_ID':
      return 'Selected by PCI ID: no other device on this host has it.'
    case 'BY_ADDRESS': {
      const { twins } = decision
      return `Selected by address: ${list(twins.map(briefDevice))} of the host ${twins.length === 1 ? 'has' : 'have'} the same ID.`
    }
    case 'PROCESSOR':
      return `IOMMU type: ${decision.vendor} (detected from the CPU).`
    case 'DRIVERS':
      return `Drivers: vfio-pci is also loaded before ${list(decision.drivers)}, which would bind part of the card.`
    case 'FIRST_PHASE':
      return firstPart(decision.specialisation, decision.card.display, names)
    case 'ASSUMED_ISOLATED':
      return "The IOMMU is off, so groups can't be checked; trusting --assume-isolated."
  }
}

function virtualLine({ device, physical, isUnmanaged }: VirtualDecision, names: Names): string {
  const driver = physical?.driver === undefined ? 'its driver' : `its driver, ${physical.driver}`
  const keeps = `${physical ? callDevice(physical, names) : device.physicalFunction} keeps ${driver}`
  const how = isVgpu(device)
    ? ', the guest gets it from its driver, nvidia'
    : isUnmanaged
      ? ''
      : ', libvirt detaches it when the guest starts'
  return `Virtual function: ${callDevice(device, names)}; nothing is bound at boot${how}, and ${keeps}.`
}

function firstPart(specialisation: string | undefined, device: PciDevice, names: Names): string {
  const card = callDevice(device, names)
  // A virtual function is not bound at boot; all that is left to do is to inspect its group.
  const aim = isVirtual(device) ? `see whether a guest can have ${card}` : `pass through ${card}`
  return specialisation === undefined
    ? `The IOMMU is off, so this run only turns it on. Reboot, then run this again to ${aim}.`
    : `The IOMMU is off, so this run only turns it on. Reboot into the boot entry "${specialisation}", then run this again to ${aim}; or add --assume-isolated, if you know that nothing shares its IOMMU group.`
}

function sharedGroup(device: PciDevice, others: readonly PciDevice[]): string {
  const isOwn = others.every(it => slotOf(it.address) === slotOf(device.address))
  const why = `${device.address} shares IOMMU group ${device.group ?? ''} with ${list(others.map(briefDevice))}, and a guest gets the whole group or nothing`
  return isOwn
    ? `${why}; ${others.length === 1 ? 'that is part' : 'these are parts'} of the same card, so name ${others.length === 1 ? 'it' : 'them'} too.`
    : `${why}. Put the card into another slot, or look for an ACS setting in the firmware setup; "vfio-patch scan" shows the groups.`
}

function cautionLine(caution: Caution, names: Names): string {
  switch (caution.code) {
    case 'BOOT_SCREEN': {
      const { device, isOnly } = caution
      const other = isOnly
        ? ''
        : " Choose the host's card as the primary display in the firmware setup."
      return `the firmware draws the boot screen on ${device.address}${device.holdsFramebuffer ? ', and the kernel still draws on it' : ''}.${other} If the boot screen keeps a guest from starting, use --disable-efifb.`
    }
    case 'NO_PICTURE':
      return caution.others.length === 0
        ? 'in that boot entry the host has no display output; make sure that you can reach it over SSH.'
        : `in that boot entry the monitor at ${caution.device.address} shows the guest; for the host, plug a monitor into ${list(caution.others.map(it => callDevice(it, names)))}.`
    case 'MONITOR_GOES':
      return `the host can no longer use the monitor at ${list(caution.monitors)}.`
    case 'NO_RESET':
      return `${caution.device.address} can't be reset, so a guest may get it only once after each boot.`
    case 'AMD_RESET':
      return `${callDevice(caution.device, names)} may not work again after a guest shuts down; the kernel module vendor-reset helps with many cards of this kind.`
    case 'SHARED_GROUP':
      return sharedGroup(caution.device, caution.others)
    case 'HOST_WITHOUT_DRIVER':
      return `the host keeps ${callDevice(caution.device, names)}, which has no driver yet; check first that its display output works.`
    case 'HOST_BLACKLISTED':
      return `--blacklist-nvidia also blocks the driver of ${callDevice(caution.device, names)}, which the host keeps.`
    case 'NETWORK_IN_USE':
      return `you lose your network connection (${list(caution.names)}); the host keeps other network cards, but none is connected.`
    case 'HAS_VIRTUAL_FUNCTIONS':
      return `in that boot entry ${caution.device.address} has no virtual functions, because vfio-pci replaces its own driver.`
    case 'NO_VIRTUALISATION':
      return 'the processor offers no virtualisation; switch on SVM or VT-x in the firmware setup.'
  }
}
