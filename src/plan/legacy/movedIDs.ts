// IDs that a configuration already assigns to vfio-pci without vfio-patch's options.

import { cardWith, isForGuests } from '../../machine/cards.ts'
import { idOf, type Machine, type PciDevice } from '../../machine/machine.ts'
import type { Settings } from '../../settings/settings.ts'
import type { ExpectedDevice } from '../../settings/values.ts'

/** What the IDs select on a machine. */
interface EarlierIDs {
  /** The settings that select the same devices. */
  settings: Pick<Settings, 'devices' | 'addresses'>
  /** The IDs that devices of the host have too, each with the devices to pass through. */
  byAddress: ReadonlyMap<string, readonly ExpectedDevice[]>
  /** The devices that have one of these IDs but that the host keeps. */
  twins: readonly PciDevice[]
  /**
   * The addresses of devices that vfio-pci has now. The host already works without these devices, so passing them
   * through locks nobody out. Other devices must be checked: with old guides, the device's own driver often binds it
   * before vfio-pci does; with vfio-patch's modules, it does not.
   */
  boundForGuests: ReadonlySet<string>
}

/**
 * Looks up the devices with these IDs. If several devices have the same ID, the host keeps a device in two cases: if it
 * has another driver, but vfio-pci has a device with the same ID; or if the IDs include the graphics function of
 * another card with the ID, but not that of its own card. IDs that vfio-patch's options already name (`named`) do not
 * change.
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
    boundForGuests: new Set(given.map(it => it.address))
  }
}
