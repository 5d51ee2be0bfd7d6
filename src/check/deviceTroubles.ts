// What is wrong with single devices on their way to a guest, though they are named well.

import { modprobeLines } from '../lints/bindings.ts'
import { type Finding, type FindingInit, findingAt } from '../lints/finding.ts'
import { wordsOf } from '../lints/kernelParams.ts'
import { cardWith, isForGuests, otherGroupMembers, remainingDisplays } from '../machine/cards.ts'
import {
  cautionsFor,
  closedGates,
  type Gate,
  isDisplayGate,
  showsScreen
} from '../machine/gates.ts'
import type { Machine, PciDevice } from '../machine/machine.ts'
import { briefDevice, describeUses, list, showsWord } from '../machine/messages.ts'
import { isDisplay } from '../machine/read/pci.ts'
import { isVirtual } from '../machine/virtualFunctions.ts'
import { nameByAddress } from './deviceFixes.ts'
import { hasParam, type Named, namedFor } from './requirements.ts'
import { type MachineState, wasReserved } from './state.ts'

/** Devices of the host in a group with those of guests, but for the `forgotten` ones of the same card. */
export function sharedGroupFaults(
  state: MachineState,
  passed: ReadonlySet<string>,
  forgotten: readonly PciDevice[]
): Finding[] {
  const { machine, named, asked } = state
  // The next start splits them up.
  if (asked.splits && !hasParam(machine.kernelParams, asked.splits.param)) return []
  const strangers = otherGroupMembers(machine, passed).filter(it => !forgotten.includes(it))
  const groups = [...new Set(strangers.map(it => it.group))]
  return groups.flatMap(group => {
    const place = named.find(it =>
      it.devices.some(at => at.group === group && passed.has(at.address))
    )
    if (!place) return []
    const others = strangers.filter(it => it.group === group)
    const device = place.devices.find(it => it.group === group)
    return findingAt(place, {
      code: 'SHARED_GROUP',
      level: 'problem',
      message: `${device?.address} shares IOMMU group ${group} with ${list(others.map(briefDevice))}, which the host uses`,
      why: 'the IOMMU does not keep the devices of a group apart, so a guest gets all of them or none.',
      remedy:
        'put the card into another slot, or see whether the firmware has a setting for ACS; vfio-patch scan shows the groups'
    })
  })
}

/** Devices that were to be reserved as the machine started, and that another driver has all the same. */
export function otherDrivers(state: MachineState, passed: ReadonlySet<string>): Finding[] {
  if (!state.asked.bindsAtBoot || !state.entry.isRunning) return []
  return state.named.flatMap(it =>
    it.devices.flatMap(device => {
      const { driver, address, module } = device
      if (!passed.has(address) || isForGuests(device) || !wasReserved(device, it.by, state))
        return []
      // It came after the start, and what its place asks for is a finding of its own.
      if (isVirtual(device)) return []
      const isSaid = modprobeLines(state.entry.view).some(
        ({ line }) => line.startsWith(`softdep ${module} `) && /vfio[-_]pci/.test(line)
      )
      return findingAt(it, {
        code: 'DRIVER_WON',
        level: 'problem',
        message: `${driver ?? 'no driver'} has ${address}, though vfio-pci was to have it`,
        why:
          driver === undefined
            ? 'vfio-pci was not loaded, or did not take it.'
            : 'it was loaded first, and a driver keeps what it has.',
        remedy:
          driver === undefined
            ? 'see that vfio_pci is in boot.initrd.kernelModules'
            : module === undefined
              ? 'it is built into the kernel; name the device in virtualisation.vfio.addresses, which keeps every other driver away'
              : isSaid
                ? 'see that vfio_pci is in boot.initrd.kernelModules, or name the device in virtualisation.vfio.addresses'
                : `add a line to boot.extraModprobeConfig: softdep ${module} pre: vfio-pci`
      })
    })
  )
}

/** Cards on which the kernel draws still with what the firmware set up. */
export function bootFramebuffers(
  { machine, named, asked }: MachineState,
  passed: ReadonlySet<string>
): Finding[] {
  const initcalls = asked.params.flatMap(it => wordsOf(it.param, 'initcall_blacklist'))
  if (!asked.bindsAtBoot || initcalls.includes('sysfb_init')) return []
  const holding = machine.devices.filter(it => passed.has(it.address) && it.holdsFramebuffer)
  return holding.flatMap(device => {
    const place = namedFor(named, device, passed)
    if (!place) return []
    return findingAt(place, {
      code: 'BOOT_FRAMEBUFFER',
      level: 'note',
      message: `the kernel draws on ${device.address} with what the firmware set up (BOOTFB in /proc/iomem)`,
      why: 'while it does, a guest may not get the memory of the card, and its screen stays black.',
      remedy:
        "choose the host's card as the primary display in the firmware setup; if there is no such setting: vfio-patch apply --disable-efifb"
    })
  })
}

/** Cards that may not come back when a guest shuts down. */
export function withoutReset(
  { machine, named, entry }: MachineState,
  passed: ReadonlySet<string>
): Finding[] {
  const packages = entry.view.items('boot.extraModulePackages')
  const knowsWay = packages.some(it => it.node.text.includes('vendor-reset'))
  return cautionsFor(machine, passed).flatMap(caution => {
    if (caution.code !== 'NO_RESET' && caution.code !== 'AMD_RESET') return []
    const place = namedFor(named, caution.device, passed)
    if (!place || (caution.code === 'AMD_RESET' && knowsWay)) return []
    const message = `${caution.device.address} may not come back when a guest shuts down`
    const words =
      caution.code === 'NO_RESET'
        ? {
            why: 'the kernel knows no way to reset it, so a guest may get it only once after each start of the host.',
            remedy:
              'shut the guest down before the host restarts; in the guest, turn off sleep and fast startup'
          }
        : {
            why: 'cards of this family stay as the guest left them, so the next guest may not get a picture.',
            remedy:
              'if it happens: boot.extraModulePackages = [ config.boot.kernelPackages.vendor-reset ]; and boot.kernelModules = [ "vendor-reset" ];'
          }
    return findingAt(place, { code: 'NO_RESET', level: 'note', message, ...words })
  })
}

/** What the host loses of what it still has. */
export function lockedOut(
  { machine, named, asked, entry }: MachineState,
  passed: ReadonlySet<string>
): Finding[] {
  const free = machine.devices.filter(it => passed.has(it.address) && !isForGuests(it))
  const addresses = new Set(free.map(it => it.address))
  // A guest that takes a device later is started by a person, who sees what it does.
  const gates = closedGates(machine, addresses, { confirmed: [], bindsAtBoot: asked.bindsAtBoot })
  return gates
    .filter(it => entry.view.name === '' || !isDisplayGate(it))
    .flatMap(gate => {
      const place = namedFor(named, gate.device, passed)
      const level = gate.code === 'SHOWS_SCREEN' ? 'note' : 'problem'
      return place ? findingAt(place, { code: 'LOCKS_OUT', level, ...gateWords(gate) }) : []
    })
}

function gateWords(gate: Gate): Pick<FindingInit, 'message' | 'why' | 'remedy'> {
  const device = briefDevice(gate.device)
  const takeOut = 'take it out; "vfio-patch scan" shows what a guest can have'
  switch (gate.code) {
    case 'CARRIES_DISK':
      return {
        message: `your files are behind ${device}: ${describeUses(gate.uses)}`,
        why: 'the host can not reach its own disk once a guest owns the device.',
        remedy: takeOut
      }
    case 'ONLY_NETWORK':
      return {
        message: `${device} is the only network card of the host (${list(gate.names)})`,
        why: 'the host has no network once a guest owns it.',
        remedy: takeOut
      }
    case 'ONLY_KEYBOARD':
      return {
        message: `the only keyboard is plugged into ${device}`,
        why: 'nobody can type anything on the host once a guest owns it.',
        remedy: 'plug the keyboard into another USB port, or take this out'
      }
    case 'ONLY_DISPLAY':
      return {
        message: `no card is left that the host could show a picture on`,
        why: 'the screen of the host stays dark, also if something goes wrong.',
        remedy:
          'put it into a boot entry of its own (vfio-patch apply --specialisation NAME), or let a guest have the card only while it runs (--bind hooks)'
      }
    case 'SHOWS_SCREEN':
      return {
        message: `${device} ${showsWord(gate.device)} your screen, and goes to a guest`,
        why: 'no monitor is plugged into another card, so the screen of the host goes dark.',
        remedy: `plug the monitor into ${list(
          gate.others.map(it => it.address),
          'or'
        )} before the next start`
      }
  }
}

// IDs that something of the host has as well.

/**
 * The devices that are named only since another one has the same ID, and that the host needs. Which
 * display that is, is seen first, as a function of its card goes with it.
 */
export function keptTwins(
  machine: Machine,
  named: readonly Named[],
  all: ReadonlySet<string>
): Set<string> {
  const kept = new Set<string>()
  const isDark = remainingDisplays(machine, all).length === 0
  const twins = named.map(it => it.devices).filter(it => it.length > 1)
  const keep = (found: readonly PciDevice[], needed: readonly PciDevice[]) => {
    if (needed.length < found.length) for (const it of needed) kept.add(it.address)
  }
  const isShown = (it: PciDevice) =>
    isDisplay(it) && (showsScreen(machine, it) || (isDark && it.bootVga === true))
  for (const found of twins) keep(found, found.filter(isShown))
  for (const found of twins) {
    const needed = found.filter(it => !isDisplay(it) && isNeeded(machine, it, all, kept))
    keep(found, needed)
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
 * An ID in the files that means a device of the host as well: one of those that are `kept`, where another is
 * to be `passed`. It is mended by an address.
 */
export function sharedIDs(
  { machine, named }: MachineState,
  kept: ReadonlySet<string>,
  passed: ReadonlySet<string>
): Finding[] {
  return named.flatMap(it => {
    const others = it.devices.filter(at => kept.has(at.address))
    const own = it.devices.filter(at => passed.has(at.address))
    if (others.length === 0 || it.by.kind !== 'id') return []
    const fix = nameByAddress(it.by.binding, it.by.id, own)
    const cards = own.map(at => cardWith(machine, at.address)?.display.address ?? at.address)
    const flags = cards.map(at => `--gpu ${at}`)
    return findingAt(it, {
      code: 'SHARED_ID',
      level: 'problem',
      message: `${list(others.map(briefDevice))} of the host ${others.length === 1 ? 'has' : 'have'} the same ID and ${others.length === 1 ? 'goes' : 'go'} along`,
      why: 'an ID stands for all devices that have it, so the host loses its own.',
      remedy: `name the device by its address (${list(own.map(at => at.address))}) in virtualisation.vfio.addresses: vfio-patch apply ${list(flags, 'or')}`,
      fix
    })
  })
}
