// The edits that mend how devices are named, where one does for sure.

import type { Binding } from '../lints/bindings.ts'
import type { Fix } from '../lints/index.ts'
import type { EntryItem } from '../lints/view.ts'
import { idOf, type PciDevice } from '../machine/machine.ts'
import type { NixValue } from '../nix/index.ts'
import type { Named } from './requirements.ts'

/** Names more functions of a card beside one that is named; by ID where no device of the host has one. */
export function addFunctions(
  { by }: Named,
  functions: readonly PciDevice[],
  isPlain: boolean
): Fix | undefined {
  if (by.kind === 'address') {
    const path = by.item.entry.fullPath
    return [{ op: 'add', path, items: functions.map(asItem) }]
  }
  const { binding } = by
  const { fullPath: path } = binding.at.entry
  const ids = [...new Set(functions.map(idOf))]
  if (binding.isOurs) {
    return isPlain
      ? [{ op: 'add', path, items: ids }]
      : [{ op: 'add', path: addressesPath(path), items: functions.map(asItem) }]
  }
  // A parameter, if it is a string that says nothing else.
  const source = binding.at.entry.file.doc.text.slice(binding.range.start, binding.range.end)
  const text = /^"(vfio[-_]pci\.ids=[0-9a-fA-F:,]+)"$/.exec(source)?.[1]
  if (!isPlain || text === undefined) return undefined
  return [
    { op: 'remove', path, items: [text] },
    { op: 'add', path, items: [[text, ...ids].join(',')] }
  ]
}

/** Names devices by address instead of by the ID that others have, too. */
export function nameByAddress(
  binding: Binding,
  id: string,
  devices: readonly PciDevice[]
): Fix | undefined {
  const { at, isOurs, lists } = binding
  const [list] = lists
  // Elsewhere there may be no option for addresses.
  if (!isOurs || list?.text.toLowerCase() !== id) return undefined
  const { fullPath: path } = at.entry
  return [
    { op: 'remove', path, items: [list.text] },
    { op: 'add', path: addressesPath(path), items: devices.map(asItem) }
  ]
}

/** Writes the address that a device has now. */
export function moveItem({ entry, node }: EntryItem, device: PciDevice): Fix | undefined {
  const item = parseItem(node.text)
  if (item === undefined) return undefined
  const path = entry.fullPath
  return [
    { op: 'remove', path, items: [item] },
    { op: 'add', path, items: [{ ...item, address: device.address }] }
  ]
}

/** Takes an item of `addresses` out. */
export function removeItem({ entry, node, text }: EntryItem): Fix | undefined {
  const item = text ?? parseItem(node.text)
  return item === undefined ? undefined : [{ op: 'remove', path: entry.fullPath, items: [item] }]
}

/** What an item says, if that is an address and an ID in so many words. */
function parseItem(source: string): { address: string; id: string } | undefined {
  const [, address, id] =
    /^\{\s*address\s*=\s*"([^"$]*)";\s*id\s*=\s*"([^"$]*)";\s*\}$/.exec(source) ?? []
  return address === undefined || id === undefined ? undefined : { address, id }
}

function asItem(device: PciDevice): NixValue {
  return { address: device.address, id: idOf(device) }
}

/** `addresses` beside `devices`. */
function addressesPath(path: readonly string[]): string[] {
  return [...path.slice(0, -1), 'addresses']
}
