import type { PciDevice } from './machine.ts'
import { isVirtual } from './virtualFunctions.ts'

/**
 * Whether it is a graphics device of any kind that the host could use. A virtual function of one is not: it
 * has no monitors, and only its physical function is a card.
 */
export function isDisplay(device: PciDevice): boolean {
  return device.class.startsWith('03') && !isVirtual(device)
}

/**
 * Whether a monitor can be at it. 3D controllers have no outputs; of "other" display devices only
 * those count whose driver knows a place for a monitor.
 */
export function canShow(device: PciDevice): boolean {
  const { class: code, connectors } = device
  return isDisplay(device) && (/^030[01]/.test(code) || connectors.length > 0)
}

/** Whether it is a bridge, which is never given away and never in the way. */
export function isBridge(device: PciDevice): boolean {
  return device.class.startsWith('06')
}

const CLASSES: readonly [code: string, word: string][] = [
  ['0106', 'SATA'],
  ['0108', 'NVMe'],
  ['01', 'storage'],
  ['0280', 'Wi-Fi'],
  ['02', 'network'],
  ['0302', '3D'],
  ['03', 'display'],
  ['0403', 'audio'],
  ['04', 'multimedia'],
  ['05', 'memory'],
  ['06', 'bridge'],
  ['07', 'serial'],
  ['0805', 'card reader'],
  ['08', 'system'],
  ['0c03', 'USB'],
  ['0c05', 'SMBus'],
  ['0c80', 'USB-C'],
  ['0c', 'serial bus'],
  ['10', 'encryption'],
  ['11', 'signals']
]

/** What kind of device it is, in a word or two. */
export function classWord(code: string): string {
  return CLASSES.find(([it]) => code.startsWith(it))?.[1] ?? 'other'
}
