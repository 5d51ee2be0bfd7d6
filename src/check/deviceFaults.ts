// Findings about the devices that a configuration passes through, on its machine.

import { type Finding, findingAt } from '../lints/finding.ts'
import { type Card, cardsOf, isForGuests } from '../machine/cards.ts'
import { closedGates } from '../machine/gates.ts'
import { idOf, type Machine, type PciDevice } from '../machine/machine.ts'
import { isVirtual } from '../machine/virtualFunctions.ts'
import { addFunctions, moveItem } from './deviceFixes.ts'
import {
  findBootFramebuffers,
  findCardsWithoutReset,
  findHostLosses,
  findOtherDrivers,
  findSharedGroups,
  findSharedIDs,
  sharedIdDevicesOfHost
} from './deviceTroubles.ts'
import { deviceMissing, deviceMoved, functionsMissing } from './messages/devices.ts'
import { type DeviceReference, isBoundByID, referenceFor } from './requirements.ts'
import type { MachineState } from './state.ts'
import { findVirtualFunctionFaults, namesOnlyVirtualFunctions } from './virtualFaults.ts'

/** All findings about single devices and cards, each at a place that names the device. */
export function findDeviceFaults(state: MachineState): Finding[] {
  const { machine, references } = state
  const all = new Set(references.flatMap(it => it.devices.map(at => at.address)))
  const kept = sharedIdDevicesOfHost(machine, references, all)
  const passed = new Set([...all].filter(it => !kept.has(it)))
  const moves = moved(state, passed)
  const parts = partialCards(state, passed)
  const missing = parts.flatMap(it => it.missing)
  // The fixes are applied together, so all devices that they add are checked together.
  const more = [...moves.flatMap(it => certainTarget(it, moves) ?? []), ...missing]
  const isSafe = isHarmless(machine, passed, more)
  return [
    ...missingDevices(state),
    ...findVirtualFunctionFaults(state),
    ...movedDevices(state, moves, isSafe),
    ...findSharedIDs(state, kept, passed),
    ...missingFunctions(state, passed, parts, isSafe),
    ...findSharedGroups(state, passed, missing),
    ...findHostLosses(state, passed),
    ...findOtherDrivers(state, passed),
    ...findBootFramebuffers(state, passed),
    ...findCardsWithoutReset(state, passed)
  ]
}

/** Named devices that the machine does not have. */
function missingDevices({ machine, references }: MachineState): Finding[] {
  return references.flatMap(it => {
    const { by, devices } = it
    if (devices.length > 0 || (by.kind === 'address' && by.expected !== undefined)) return []
    if (namesOnlyVirtualFunctions(machine, it)) return []
    return findingAt(it, deviceMissing(by.kind === 'id' ? { id: by.id } : { address: by.address }))
  })
}

/** Devices that are no longer at their address, and where they may be now. */
function moved({ machine, references }: MachineState, passed: ReadonlySet<string>): Move[] {
  return references.flatMap(place => {
    const { by } = place
    if (by.kind === 'id' || by.expected === undefined || place.devices.length > 0) return []
    if (namesOnlyVirtualFunctions(machine, place)) return []
    const { expected } = by
    const candidates = machine.devices.filter(
      it => idOf(it) === expected && !passed.has(it.address) && !isVirtual(it)
    )
    return [{ place, by, expected, candidates }]
  })
}

interface Move {
  place: DeviceReference
  by: Extract<DeviceReference['by'], { kind: 'address' }>
  expected: string
  candidates: readonly PciDevice[]
}

/** The device that certainly moved: the only device with this ID, if no other place expects the ID. */
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
    const current = machine.devices.find(it => it.address === by.address)
    const target = certainTarget(move, moves)
    const fix = target && isSafe ? moveItem(by.item, target) : undefined
    const addresses = candidates.map(it => it.address)
    return findingAt(place, { ...deviceMoved(expected, by.address, current, addresses), fix })
  })
}

interface PartialCard {
  card: Card
  place: DeviceReference
  missing: readonly PciDevice[]
}

/** Cards of which the configuration names only some functions. */
function partialCards(
  { machine, references }: MachineState,
  passed: ReadonlySet<string>
): PartialCard[] {
  return cardsOf(machine).flatMap(card => {
    const place = referenceFor(references, card.display, passed)
    const missing = place && !card.isIntegrated ? unnamedFunctions(machine, card, passed) : []
    return place && missing.length > 0 ? [{ card, place, missing }] : []
  })
}

function missingFunctions(
  { machine }: MachineState,
  passed: ReadonlySet<string>,
  cards: readonly PartialCard[],
  isSafe: boolean
): Finding[] {
  const all = cards.flatMap(it => it.missing)
  const isFree = (it: PciDevice) => all.includes(it) || passed.has(it.address)
  // If a device of the host has the same ID, that device would be passed through as well.
  const isUniqueID = (device: PciDevice) =>
    machine.devices.filter(it => idOf(it) === idOf(device)).every(isFree)
  return cards.map(({ card, place, missing }) => {
    const groups = card.functions.filter(it => passed.has(it.address)).map(it => it.group)
    const isGrouped = missing.some(it => groups.includes(it.group))
    // One fix for all cards that are named in the same parameter.
    const together = cards.filter(it => isSamePlace(it.place, place)).flatMap(it => it.missing)
    const fix = isSafe ? addFunctions(place, together, together.every(isUniqueID)) : undefined
    const names = missing.map(it => (isUniqueID(it) ? idOf(it) : it.address))
    return findingAt(place, { ...functionsMissing(missing, isGrouped, names), fix })
  })
}

function isSamePlace({ by: a }: DeviceReference, { by: b }: DeviceReference): boolean {
  return a.kind === 'id' && b.kind === 'id'
    ? a.place.at.node === b.place.at.node
    : a.kind === 'address' && b.kind === 'address' && a.item === b.item
}

/** The functions of a card that are not passed through with it. */
function unnamedFunctions(
  { kernelParams }: Machine,
  { functions }: Card,
  passed: ReadonlySet<string>
): PciDevice[] {
  return functions.filter(
    it =>
      !passed.has(it.address) &&
      // A function that is bound for guests in another way is not missing, unless an ID in the running kernel's
      // parameters binds it: the next boot may lack that ID.
      (!isForGuests(it) || isBoundByID(kernelParams, idOf(it)))
  )
}

/** Whether passing these devices through as well locks the user out in no new way. */
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
