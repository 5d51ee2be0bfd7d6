// The edits that fix how devices are named.

import type { IDPlace } from '../lints/bindings.ts'
import type { Fix } from '../lints/index.ts'
import type { DefinitionItem } from '../lints/view.ts'
import { idOf, type PciDevice } from '../machine/machine.ts'
import type { NixValue } from '../nix/index.ts'
import type { DeviceReference } from './requirements.ts'

/** Adds functions of a card to the place that names another one: by ID if `isUniqueID`, otherwise by address. */
export function addFunctions(
  { by }: DeviceReference,
  functions: readonly PciDevice[],
  isUniqueID: boolean
): Fix | undefined {
  if (by.kind === 'address') {
    const path = by.item.definition.fullPath
    return [{ op: 'add', path, items: functions.map(asItem) }]
  }
  const { place } = by
  const { fullPath: path } = place.at.definition
  const ids = [...new Set(functions.map(idOf))]
  if (place.isDeviceOption) {
    return isUniqueID
      ? [{ op: 'add', path, items: ids }]
      : [{ op: 'add', path: addressesPath(path), items: functions.map(asItem) }]
  }
  // Edits only a string that contains nothing but the parameter.
  const source = place.at.definition.file.doc.text.slice(place.range.start, place.range.end)
  const text = /^"(vfio[-_]pci\.ids=[0-9a-fA-F:,]+)"$/.exec(source)?.[1]
  if (!isUniqueID || text === undefined) return undefined
  return [
    { op: 'remove', path, items: [text] },
    { op: 'add', path, items: [[text, ...ids].join(',')] }
  ]
}

/** Names devices by address instead of by an ID that other devices share. */
export function nameByAddress(
  place: IDPlace,
  id: string,
  devices: readonly PciDevice[]
): Fix | undefined {
  const { at, isDeviceOption, lists } = place
  const [list] = lists
  // Without vfio-patch's modules there may be no option for addresses.
  if (!isDeviceOption || list?.text.toLowerCase() !== id) return undefined
  const { fullPath: path } = at.definition
  return [
    { op: 'remove', path, items: [list.text] },
    { op: 'add', path: addressesPath(path), items: devices.map(asItem) }
  ]
}

/** Replaces the address in an item with the device's address. */
export function moveItem({ definition, node }: DefinitionItem, device: PciDevice): Fix | undefined {
  const item = parseItem(node.text)
  if (item === undefined) return undefined
  const path = definition.fullPath
  return [
    { op: 'remove', path, items: [item] },
    { op: 'add', path, items: [{ ...item, address: device.address }] }
  ]
}

/** Removes an item of `addresses`. */
export function removeItem({ definition, node, text }: DefinitionItem): Fix | undefined {
  const item = text ?? parseItem(node.text)
  return item === undefined
    ? undefined
    : [{ op: 'remove', path: definition.fullPath, items: [item] }]
}

/** The address and the ID in an item, if both are string literals. */
function parseItem(source: string): { address: string; id: string } | undefined {
  const [, address, id] =
    /^\{\s*address\s*=\s*"([^"$]*)";\s*id\s*=\s*"([^"$]*)";\s*\}$/.exec(source) ?? []
  return address === undefined || id === undefined ? undefined : { address, id }
}

function asItem(device: PciDevice): NixValue {
  return { address: device.address, id: idOf(device) }
}

/** The path of `addresses` next to `devices` at this path. */
function addressesPath(path: readonly string[]): string[] {
  return [...path.slice(0, -1), 'addresses']
}
