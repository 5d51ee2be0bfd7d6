// IDs that a configuration already gives to vfio-pci, without vfio-patch's options.

import { cardWith, isForGuests } from '../../machine/cards.ts'
import { idOf, type Machine, type PciDevice } from '../../machine/machine.ts'
import type { Settings } from '../../settings/settings.ts'
import type { ExpectedDevice } from '../../settings/values.ts'

/** The devices of a machine with such IDs. */
interface EarlierIDs {
  /** The settings that select the same devices. */
  settings: Pick<Settings, 'devices' | 'addresses'>
  /** The IDs that the host needs as well, with the devices that are meant for guests. */
  byAddress: ReadonlyMap<string, readonly ExpectedDevice[]>
  /** The devices that have one of these IDs and stay with the host. */
  twins: readonly PciDevice[]
  /**
   * The addresses of devices that vfio-pci has now. The host already works without them, so giving them away
   * locks nobody out. That is unknown for the others: with old guides the device's own driver often binds it
   * first, with vfio-patch's modules it does not.
   */
  inForce: ReadonlySet<string>
}

/**
 * Looks up the devices with these IDs. If several devices share an ID, the host keeps those that have another
 * driver while vfio-pci has their twin, and those on a card whose graphics function is not among the IDs.
 * IDs that vfio-patch's options already name (`named`) are kept as they are.
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
