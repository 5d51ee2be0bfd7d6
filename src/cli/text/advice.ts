import { isForGuests } from '../../machine/cards.ts'
import { type Candidate, proposalOf, type VirtualCandidate } from '../../machine/gates.ts'
import type { Machine, PciDevice } from '../../machine/machine.ts'
import { callDevice, iommuName, list, type Names, whyNot } from './devices.ts'

/** What to do with a machine: a sentence, and the command to run next. */
export interface Advice {
  text: string
  command: string
}

/** What a person who looks at their machine should do next. */
export function adviceFor(
  machine: Machine,
  candidates: readonly Candidate[],
  virtual: readonly VirtualCandidate[],
  names: Names
): Advice {
  const scan = 'vfio-patch scan'
  const apply = (words = '') => `sudo vfio-patch apply${words}`
  const call = (it: Candidate) => callDevice(it.card.display, names)
  const address = (it: Candidate) => it.card.display.address
  const [first] = candidates
  if (first === undefined) {
    const text = 'There is no graphics card here, so there is none to give to a guest.'
    return { text, command: `${scan}   (on the machine that has the card)` }
  }
  const free = candidates.filter(it => it.verdict === 'free')
  const bound = free.find(it => isForGuests(it.card.display))
  const proposal = proposalOf(candidates) ?? bound
  if (machine.iommu.groups === 0 && machine.iommu.isOffered !== true) {
    const text = `The IOMMU is off: switch on ${iommuName(machine)} in the firmware setup, as nothing can be given to a guest without it.`
    return { text, command: `${scan}   (after the reboot)` }
  }
  if (bound !== undefined) {
    const text = `${call(bound)} is set aside for guests already.`
    return { text, command: `vfio-patch diff --gpu ${address(bound)}` }
  }
  if (proposal !== undefined) {
    const text =
      machine.iommu.groups === 0
        ? `The IOMMU is off: one run turns it on, and after a reboot the same command gives ${call(proposal)} away.`
        : `${call(proposal)} can go to a guest.`
    return { text, command: apply(` --gpu ${address(proposal)}`) }
  }
  if (free.length > 0) {
    const text = `${free.length} cards can go to a guest (${list(free.map(address))}); you will be asked which.`
    return { text, command: apply() }
  }
  const asking = candidates.find(it => it.verdict === 'confirm')
  if (asking !== undefined) {
    const why = asking.reasons.map(whyNot).join('; ')
    const text = `${call(asking)} can go to a guest, but ${why}: plug the monitor into the other card first, or use a boot entry of its own.`
    return { text, command: apply(` --gpu ${address(asking)} --specialisation vfio`) }
  }
  const functions = virtual.filter(it => it.verdict === 'free').map(it => it.device)
  if (functions.length > 0) return adviceOnVirtual(functions, names)
  const own = candidates.find(it => !it.card.isIntegrated) ?? first
  const why = own.reasons.map(whyNot).join('; ')
  if (own.verdict === 'separate') {
    const text = `${call(own)} can't be given away for good: ${why}. A guest can have it while it runs, or in a boot entry of its own.`
    return { text, command: apply(` --gpu ${address(own)} --bind hooks`) }
  }
  const text = `No card can go to a guest: ${call(own)} stays, as ${why}.`
  return { text, command: `${scan}   (with the card in another slot)` }
}

/** No card can go to a guest, but these virtual functions can. */
function adviceOnVirtual(functions: readonly PciDevice[], names: Names): Advice {
  const display = functions.find(it => it.class.startsWith('03'))
  const example = display ?? functions[0]
  const call = example === undefined ? '' : callDevice(example, names)
  const what =
    functions.length === 1
      ? `the virtual function ${call} can`
      : `${functions.length} virtual functions can, such as ${call}`
  return {
    text: `No card can go to a guest, but ${what}. Write <hostdev> with managed='yes' and its address into the domain of the guest.`,
    command: 'sudo vfio-patch apply --domain GUEST.xml'
  }
}

// The command that builds the system which has a changed file in it.
