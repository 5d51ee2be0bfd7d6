// What is wrong with the devices that a configuration gives away, on the machine that it is for.

import { type Finding, findingAt } from '../lints/finding.ts'
import { type Card, cardsOf, isForGuests } from '../machine/cards.ts'
import { closedGates } from '../machine/gates.ts'
import { idOf, type Machine, type PciDevice } from '../machine/machine.ts'
import { briefDevice, list } from '../machine/messages.ts'
import { isVirtual } from '../machine/virtualFunctions.ts'
import { addFunctions, moveItem } from './deviceFixes.ts'
import {
  bootFramebuffers,
  keptTwins,
  lockedOut,
  otherDrivers,
  sharedGroupFaults,
  sharedIDs,
  withoutReset
} from './deviceTroubles.ts'
import { isBoundByID, type Named, namedFor } from './requirements.ts'
import type { MachineState } from './state.ts'
import { isVirtualPlace, virtualFaults } from './virtualFaults.ts'

/** All that is found about single devices and cards; each finding where the device is named. */
export function deviceFaults(state: MachineState): Finding[] {
  const { machine, named } = state
  const all = new Set(named.flatMap(it => it.devices.map(at => at.address)))
  const kept = keptTwins(machine, named, all)
  const passed = new Set([...all].filter(it => !kept.has(it)))
  const moves = moved(state, passed)
  const parts = partialCards(state, passed)
  const missing = parts.flatMap(it => it.missing)
  // All that the fixes would give away besides, since they are made together.
  const more = [...moves.flatMap(it => certainTarget(it, moves) ?? []), ...missing]
  const isSafe = isHarmless(machine, passed, more)
  return [
    ...missingDevices(state),
    ...virtualFaults(state),
    ...movedDevices(state, moves, isSafe),
    ...sharedIDs(state, kept, passed),
    ...missingFunctions(state, passed, parts, isSafe),
    ...sharedGroupFaults(state, passed, missing),
    ...lockedOut(state, passed),
    ...otherDrivers(state, passed),
    ...bootFramebuffers(state, passed),
    ...withoutReset(state, passed)
  ]
}

/** Named devices that the machine has not. */
function missingDevices({ machine, named }: MachineState): Finding[] {
  return named.flatMap(it => {
    const { by, devices } = it
    if (devices.length > 0 || (by.kind === 'address' && by.expected !== undefined)) return []
    if (isVirtualPlace(machine, it)) return []
    const word = by.kind === 'id' ? `ID ${by.id}` : `address ${by.address}`
    return findingAt(it, {
      code: 'NO_SUCH_DEVICE',
      level: 'note',
      message: `this machine has no device with the ${word}`,
      why: 'perhaps the card is not built in at the moment, or the configuration is of another machine.',
      remedy: '"vfio-patch scan" shows what is there'
    })
  })
}

/** Devices that are not at their address any more, and where they could be now. */
function moved({ machine, named }: MachineState, passed: ReadonlySet<string>): Move[] {
  return named.flatMap(place => {
    const { by } = place
    if (by.kind === 'id' || by.expected === undefined || place.devices.length > 0) return []
    if (isVirtualPlace(machine, place)) return []
    const { expected } = by
    const candidates = machine.devices.filter(
      it => idOf(it) === expected && !passed.has(it.address) && !isVirtual(it)
    )
    return [{ place, by, expected, candidates }]
  })
}

interface Move {
  place: Named
  by: Extract<Named['by'], { kind: 'address' }>
  expected: string
  candidates: readonly PciDevice[]
}

/** Where a device is for sure: it is the only one of its kind, and no other place asks for it. */
function certainTarget(
  { expected, candidates }: Move,
  moves: readonly Move[]
): PciDevice | undefined {
  const rivals = moves.filter(it => it.expected === expected)
  return candidates.length === 1 && rivals.length === 1 ? candidates[0] : undefined
}

function movedDevices(
  { machine }: MachineState,
  moves: readonly Move[],
  isSafe: boolean
): Finding[] {
  return moves.map(move => {
    const { place, by, expected, candidates } = move
    const there = machine.devices.find(it => it.address === by.address)
    const target = certainTarget(move, moves)
    const fix = target && isSafe ? moveItem(by.item, target) : undefined
    const addresses = candidates.map(it => it.address)
    return findingAt(place, {
      code: 'MOVED_DEVICE',
      level: 'problem',
      message: `${expected} is not at ${by.address} any more: ${there ? `${idOf(there)} is there` : 'nothing is there'}`,
      why: 'addresses change when a card is added or moved, or the firmware is updated. The device is left alone then, and no guest gets it.',
      remedy:
        addresses.length === 0
          ? 'see where it is: vfio-patch scan'
          : `it is at ${list(addresses, 'or')} now: write that address`,
      fix
    })
  })
}

interface Part {
  card: Card
  place: Named
  missing: readonly PciDevice[]
}

/** Cards of which some functions are named and others are not. */
function partialCards({ machine, named }: MachineState, passed: ReadonlySet<string>): Part[] {
  return cardsOf(machine).flatMap(card => {
    const place = namedFor(named, card.display, passed)
    const missing = place && !card.isIntegrated ? forgotten(machine, card, passed) : []
    return place && missing.length > 0 ? [{ card, place, missing }] : []
  })
}

function missingFunctions(
  { machine }: MachineState,
  passed: ReadonlySet<string>,
  cards: readonly Part[],
  isSafe: boolean
): Finding[] {
  const all = cards.flatMap(it => it.missing)
  const isFree = (it: PciDevice) => all.includes(it) || passed.has(it.address)
  // An ID that something else has, too, would take that along.
  const isPlain = (device: PciDevice) =>
    machine.devices.filter(it => idOf(it) === idOf(device)).every(isFree)
  return cards.map(({ card, place, missing }) => {
    const groups = card.functions.filter(it => passed.has(it.address)).map(it => it.group)
    const isInWay = missing.some(it => groups.includes(it.group))
    // Several cards of one parameter are mended in one go.
    const together = cards.filter(it => isSamePlace(it.place, place)).flatMap(it => it.missing)
    const fix = isSafe ? addFunctions(place, together, together.every(isPlain)) : undefined
    return findingAt(place, {
      code: 'MISSING_FUNCTION',
      level: isInWay ? 'problem' : 'note',
      message: `${list(missing.map(briefDevice))} of the same card ${missing.length === 1 ? 'stays' : 'stay'} with the host`,
      why: isInWay
        ? 'a guest gets a card with all its functions or not at all, as the IOMMU does not keep them apart.'
        : 'a card is often reset as a whole, which does not work while the host uses part of it.',
      remedy: `name ${list(missing.map(it => (isPlain(it) ? idOf(it) : it.address)))} as well`,
      fix
    })
  })
}

function isSamePlace({ by: a }: Named, { by: b }: Named): boolean {
  return a.kind === 'id' && b.kind === 'id'
    ? a.binding.at.node === b.binding.at.node
    : a.kind === 'address' && b.kind === 'address' && a.item === b.item
}

/** The functions that are not given away with the card that they are part of. */
function forgotten(
  { kernelParams }: Machine,
  { functions }: Card,
  passed: ReadonlySet<string>
): PciDevice[] {
  return functions.filter(
    it =>
      !passed.has(it.address) &&
      // What is set aside in another way is none of ours; an ID counts for this start only.
      (!isForGuests(it) || isBoundByID(kernelParams, idOf(it)))
  )
}

/** Whether nobody is locked out who was not before, were these given away as well. */
function isHarmless(
  machine: Machine,
  passed: ReadonlySet<string>,
  more: readonly PciDevice[]
): boolean {
  const gates = (addresses: ReadonlySet<string>) =>
    closedGates(machine, addresses, { confirmed: [], bindsAtBoot: true }).map(it =>
      it.code === 'CARRIES_DISK' ? `${it.code} ${it.device.address}` : it.code
    )
  const before = gates(passed)
  const all = new Set([...passed, ...more.map(it => it.address)])
  return gates(all).every(it => before.includes(it))
}
