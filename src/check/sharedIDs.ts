// IDs that something of the host has as well.

import { cardWith, displaysLeft } from '../host/cards.ts'
import { showsScreen } from '../host/gates.ts'
import type { Machine, PciDevice } from '../host/machine.ts'
import { isDisplay } from '../host/pciClass.ts'
import { briefDevice, list } from '../host/words.ts'
import type { Finding } from '../lints/index.ts'
import { nameByAddress } from './deviceFixes.ts'
import { at, type Named } from './passed.ts'
import type { Held } from './state.ts'

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
  const isDark = displaysLeft(machine, all).length === 0
  const twins = named.map(it => it.devices).filter(it => it.length > 1)
  const keep = (found: readonly PciDevice[], needed: readonly PciDevice[]) => {
    if (needed.length < found.length) for (const it of needed) kept.add(it.address)
  }
  for (const found of twins) {
    const shown = found.filter(
      it => isDisplay(it) && (showsScreen(machine, it) || (isDark && it.bootVga === true))
    )
    keep(found, shown)
  }
  for (const found of twins) {
    keep(
      found,
      found.filter(it => !isDisplay(it) && isNeeded(machine, it, all, kept))
    )
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
  { machine, named }: Held,
  kept: ReadonlySet<string>,
  passed: ReadonlySet<string>
): Finding[] {
  return named.flatMap((it): Finding[] => {
    const others = it.devices.filter(at => kept.has(at.address))
    const own = it.devices.filter(at => passed.has(at.address))
    if (others.length === 0 || it.by.kind !== 'id') return []
    const fix = nameByAddress(it.by.binding, it.by.id, own)
    const words = list(
      own.map(at => `--gpu ${cardWith(machine, at.address)?.display.address ?? at.address}`),
      'or'
    )
    return [
      at(it, {
        code: 'SHARED_ID',
        level: 'problem',
        message: `${list(others.map(briefDevice))} of the host ${others.length === 1 ? 'has' : 'have'} the same ID and ${others.length === 1 ? 'goes' : 'go'} along`,
        why: 'an ID stands for all devices that have it, so the host loses its own.',
        remedy: `name the device by its address (${list(own.map(at => at.address))}) in virtualisation.vfio.addresses: vfio-patch apply ${words}`,
        ...(fix ? { fix } : {})
      })
    ]
  })
}
