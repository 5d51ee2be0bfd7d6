// Findings about devices that are named correctly but can't be passed through, or that the host needs.

import { modprobeLines } from '../lints/bindings.ts'
import { type Finding, findingAt } from '../lints/finding.ts'
import { paramValues } from '../lints/kernelParams.ts'
import { cardWith, isForGuests, otherGroupMembers, remainingDisplays } from '../machine/cards.ts'
import { cautionsFor, closedGates, isDisplayGate, showsScreen } from '../machine/gates.ts'
import type { Machine, PciDevice } from '../machine/machine.ts'
import { isDisplay } from '../machine/read/pci.ts'
import { isVirtual } from '../machine/virtualFunctions.ts'
import { nameByAddress } from './deviceFixes.ts'
import {
  driverBoundFirst,
  firmwareFramebufferInUse,
  groupShared,
  hostLocksOut,
  idShared,
  needsVendorReset,
  noResetMethod
} from './messages/devices.ts'
import { type DeviceReference, hasParam, referenceFor } from './requirements.ts'
import { type MachineState, wasReserved } from './state.ts'

/** The host's devices that share an IOMMU group with a guest's card, except `missing` functions of the card. */
export function findSharedGroups(
  state: MachineState,
  passed: ReadonlySet<string>,
  missing: readonly PciDevice[]
): Finding[] {
  const { machine, references, required } = state
  // The next boot splits the groups.
  if (required.acsOverride && !hasParam(machine.kernelParams, required.acsOverride.param)) return []
  const members = otherGroupMembers(machine, passed).filter(it => !missing.includes(it))
  const groups = [...new Set(members.map(it => it.group))]
  return groups.flatMap(group => {
    const place = references.find(it =>
      it.devices.some(at => at.group === group && passed.has(at.address))
    )
    if (!place) return []
    const others = members.filter(it => it.group === group)
    const device = place.devices.find(it => it.group === group)
    return findingAt(place, groupShared(device?.address ?? '', group ?? '', others))
  })
}

/** Devices that were reserved for vfio-pci at boot but are not bound to it. */
export function findOtherDrivers(state: MachineState, passed: ReadonlySet<string>): Finding[] {
  if (!state.required.bindsAtBoot || !state.entry.isRunning) return []
  return state.references.flatMap(it =>
    it.devices.flatMap(device => {
      if (!passed.has(device.address) || isForGuests(device)) return []
      // Virtual functions are created after boot, and have findings of their own.
      if (!wasReserved(device, it.by, state) || isVirtual(device)) return []
      const hasSoftdep = modprobeLines(state.entry.view).some(
        ({ line }) => line.startsWith(`softdep ${device.module} `) && /vfio[-_]pci/.test(line)
      )
      return findingAt(it, driverBoundFirst(device, hasSoftdep))
    })
  )
}

/** Cards on which the kernel still draws with the firmware's framebuffer. */
export function findBootFramebuffers(
  { machine, references, required }: MachineState,
  passed: ReadonlySet<string>
): Finding[] {
  const initcalls = required.params.flatMap(it => paramValues(it.param, 'initcall_blacklist'))
  if (!required.bindsAtBoot || initcalls.includes('sysfb_init')) return []
  const holding = machine.devices.filter(it => passed.has(it.address) && it.holdsFramebuffer)
  return holding.flatMap(device => {
    const place = referenceFor(references, device, passed)
    if (!place) return []
    return findingAt(place, firmwareFramebufferInUse(device.address))
  })
}

/** Cards that may not work again after a guest shuts down. */
export function findCardsWithoutReset(
  { machine, references, entry }: MachineState,
  passed: ReadonlySet<string>
): Finding[] {
  const packages = entry.view.itemsIn('boot.extraModulePackages')
  const hasVendorReset = packages.some(it => it.node.text.includes('vendor-reset'))
  return cautionsFor(machine, passed).flatMap(caution => {
    if (caution.code !== 'NO_RESET' && caution.code !== 'AMD_RESET') return []
    const place = referenceFor(references, caution.device, passed)
    if (!place || (caution.code === 'AMD_RESET' && hasVendorReset)) return []
    const { device } = caution
    const isAMD = caution.code === 'AMD_RESET'
    return findingAt(place, isAMD ? needsVendorReset(device) : noResetMethod(device.address))
  })
}

/** What the host will lose when guests get the passed-through devices that the host still has. */
export function findHostLosses(
  { machine, references, required, entry }: MachineState,
  passed: ReadonlySet<string>
): Finding[] {
  const free = machine.devices.filter(it => passed.has(it.address) && !isForGuests(it))
  const addresses = new Set(free.map(it => it.address))
  // If the device is bound only when a guest starts, the user sees the effect at that time.
  const gates = closedGates(machine, addresses, {
    confirmed: [],
    bindsAtBoot: required.bindsAtBoot
  })
  return gates
    .filter(it => entry.view.name === '' || !isDisplayGate(it))
    .flatMap(gate => {
      const place = referenceFor(references, gate.device, passed)
      return place ? findingAt(place, hostLocksOut(gate)) : []
    })
}

// IDs that select devices of both the host and a guest.

/**
 * The host's devices that are selected only because they share an ID with a guest's device. Displays are decided
 * first because the other functions of a card follow its display.
 */
export function sharedIdDevicesOfHost(
  machine: Machine,
  references: readonly DeviceReference[],
  all: ReadonlySet<string>
): Set<string> {
  const kept = new Set<string>()
  const isDark = remainingDisplays(machine, all).length === 0
  const sets = references.map(it => it.devices).filter(it => it.length > 1)
  const keep = (devices: readonly PciDevice[], needed: readonly PciDevice[]) => {
    if (needed.length < devices.length) for (const it of needed) kept.add(it.address)
  }
  const isShown = (it: PciDevice) =>
    isDisplay(it) && (showsScreen(machine, it) || (isDark && it.bootVga === true))
  for (const devices of sets) keep(devices, devices.filter(isShown))
  for (const devices of sets) {
    const needed = devices.filter(it => !isDisplay(it) && isNeeded(machine, it, all, kept))
    keep(devices, needed)
  }
  return kept
}

function isNeeded(
  machine: Machine,
  device: PciDevice,
  all: ReadonlySet<string>,
  kept: ReadonlySet<string>
): boolean {
  const display = cardWith(machine, device.address)?.display.address
  if (display !== undefined) return kept.has(display) || !all.has(display)
  const uses = [...machine.storage, ...machine.keyboards, ...machine.networks.filter(it => it.isUp)]
  return uses.some(it => it.through.includes(device.address))
}

/**
 * IDs that select both a device of the host (in `kept`) and a guest's device (in `passed`). The fix names the
 * guest's device by address.
 */
export function findSharedIDs(
  { machine, references }: MachineState,
  kept: ReadonlySet<string>,
  passed: ReadonlySet<string>
): Finding[] {
  return references.flatMap(it => {
    const others = it.devices.filter(at => kept.has(at.address))
    const guest = it.devices.filter(at => passed.has(at.address))
    if (others.length === 0 || it.by.kind !== 'id') return []
    const fix = nameByAddress(it.by.place, it.by.id, guest)
    const cards = guest.map(at => cardWith(machine, at.address)?.display.address ?? at.address)
    return findingAt(it, { ...idShared(others, guest, cards), fix })
  })
}
