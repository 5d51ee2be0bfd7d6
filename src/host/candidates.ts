import { type Card, cardsOf, monitorsAt } from './cards.ts'
import { closedGates, type Gate, showsScreen } from './gates.ts'
import { strangersOf } from './groups.ts'
import type { Machine, PciDevice } from './machine.ts'
import { isVirtual, virtualFunctionsOf } from './virtualFunctions.ts'

/** A card, and whether a guest can have it. */
export interface Candidate {
  card: Card
  /**
   * `free` if nothing speaks against it; `confirm` if the person has to say that they mean it, or has it
   * in a boot entry of its own; `separate` if it can be had in such a one only; `kept` if it can't be had.
   */
  verdict: 'free' | 'confirm' | 'separate' | 'kept'
  /** Why it is kept or has to be confirmed. */
  reasons: readonly Reason[]
}

export type Reason =
  | Gate
  /** Others that the host uses are in its IOMMU group. */
  | { code: 'SHARED_GROUP'; device: PciDevice; others: readonly PciDevice[] }
  /** It is the processor's own, and what the host shows its screen on as a rule. */
  | { code: 'INTEGRATED'; device: PciDevice }
  /** It has these virtual functions, which would be gone. */
  | { code: 'HAS_VIRTUAL_FUNCTIONS'; device: PciDevice; virtual: readonly PciDevice[] }

/** All graphics cards, those first that a guest can have, and the best of these first. */
export function candidatesOf(machine: Machine): Candidate[] {
  const rank = { free: 0, confirm: 1, separate: 2, kept: 3 }
  return cardsOf(machine)
    .map(card => judge(machine, card))
    .sort(
      (a, b) =>
        rank[a.verdict] - rank[b.verdict] ||
        worth(machine, b.card.display) - worth(machine, a.card.display) ||
        (a.card.display.address < b.card.display.address ? -1 : 1)
    )
}

/** A virtual function, and whether a guest can have it while it runs. */
export interface VirtualCandidate {
  device: PciDevice
  verdict: 'free' | 'kept'
  /** Why it is kept. */
  reasons: readonly Reason[]
}

/** All virtual functions, in the order of their addresses. */
export function virtualCandidatesOf(machine: Machine): VirtualCandidate[] {
  return machine.devices.filter(isVirtual).map(device => {
    const passed = new Set([device.address])
    const reasons: Reason[] = [
      ...closedGates(machine, passed, { confirmed: [], bindsAtBoot: false }),
      ...sharedGroup(machine, device, passed)
    ]
    return { device, verdict: reasons.length === 0 ? 'free' : 'kept', reasons }
  })
}

function sharedGroup(machine: Machine, device: PciDevice, passed: ReadonlySet<string>): Reason[] {
  const others = strangersOf(machine, passed)
  return others.length > 0 ? [{ code: 'SHARED_GROUP', device, others }] : []
}

function judge(machine: Machine, card: Card): Candidate {
  const passed = new Set(card.functions.map(it => it.address))
  const device = card.display
  const gates = closedGates(machine, passed, { confirmed: [], bindsAtBoot: true })
  const reasons: Reason[] = [
    ...(card.isIntegrated ? [{ code: 'INTEGRATED', device } as const] : []),
    ...gates,
    ...sharedGroup(machine, device, passed),
    ...card.functions.flatMap((it): Reason[] => {
      const virtual = virtualFunctionsOf(machine, it.address)
      return virtual.length > 0 ? [{ code: 'HAS_VIRTUAL_FUNCTIONS', device: it, virtual }] : []
    })
  ]
  return { card, verdict: verdictFor(reasons), reasons }
}

function verdictFor(reasons: readonly Reason[]): Candidate['verdict'] {
  if (reasons.length === 0) return 'free'
  if (reasons.every(it => it.code === 'SHOWS_SCREEN')) return 'confirm'
  return reasons.every(it => it.code === 'SHOWS_SCREEN' || it.code === 'ONLY_DISPLAY')
    ? 'separate'
    : 'kept'
}

/** More for what is not looked at, then for memory. */
function worth(machine: Machine, device: PciDevice): number {
  const unseen = showsScreen(machine, device) ? 0 : 2 ** 50
  const dark = monitorsAt(device).length > 0 ? 0 : 2 ** 49
  return unseen + dark + device.window
}

/** The one card that is proposed: undefined if there is none, or several between which to choose. */
export function proposalOf(candidates: readonly Candidate[]): Candidate | undefined {
  const free = candidates.filter(it => it.verdict === 'free')
  return free.length === 1 ? free[0] : undefined
}
