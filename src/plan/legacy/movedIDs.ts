// IDs that a configuration gives to vfio-pci already, in other words than by our options.

import { cardWith, isForGuests } from '../../machine/cards.ts'
import { idOf, type Machine, type PciDevice } from '../../machine/machine.ts'
import type { Settings } from '../../settings/settings.ts'
import type { ExpectedDevice } from '../../settings/values.ts'

/** What such IDs come to on a machine. */
interface EarlierIDs {
  /** As they would be named; only of what the machine has. */
  settings: Pick<Settings, 'devices' | 'addresses'>
  /** The IDs that the host needs as well, and the devices that are meant by them. */
  byAddress: ReadonlyMap<string, readonly ExpectedDevice[]>
  /** The devices of the host with one of these. */
  twins: readonly PciDevice[]
  /**
   * The addresses of those that vfio-pci has now. The host lives without them already, so that they stay
   * there locks nobody out; of the others that is not known, as old guides often lose against the
   * device's own driver, and our modules don't.
   */
  inForce: ReadonlySet<string>
}

/**
 * Looks up what the IDs name. Where several devices have one, the host keeps those that another driver
 * has while vfio-pci has their twin, and those on a card whose graphics are not named. IDs that are
 * `named` by our options already are named as they are.
 */
export function placeEarlierIDs(
  machine: Machine,
  ids: readonly string[],
  named: readonly string[]
): EarlierIDs {
  const all = [...new Set([...ids, ...named])]
  const having = (id: string) => machine.devices.filter(it => idOf(it) === id)
  const isOnNamedCard = ({ address }: PciDevice) => {
    const card = cardWith(machine, address)
    return card === undefined ? undefined : all.includes(idOf(card.display))
  }
  const isKept = (device: PciDevice, equal: readonly PciDevice[]) =>
    (!isForGuests(device) && device.driver !== undefined && equal.some(isForGuests)) ||
    (isOnNamedCard(device) === false && equal.some(it => isOnNamedCard(it) === true))
  const byAddress = new Map<string, ExpectedDevice[]>()
  const twins: PciDevice[] = []
  for (const id of ids) {
    const equal = named.includes(id) ? [] : having(id)
    const kept = equal.filter(it => isKept(it, equal))
    if (kept.length === 0) continue
    twins.push(...kept)
    const meant = equal.filter(it => !kept.includes(it))
    byAddress.set(
      id,
      meant.map(({ address }) => ({ address, id }))
    )
  }
  const devices = all.filter(it => !byAddress.has(it))
  const addresses = [...byAddress.values()].flat()
  const given = all.flatMap(having).filter(isForGuests)
  return {
    settings: { devices, addresses },
    byAddress,
    twins,
    inForce: new Set(given.map(it => it.address))
  }
}
