import { idOf, type Machine, type PciDevice } from './machine.ts'

/**
 * The devices that stay with the host and have an ID of one that goes, so that the ID can't tell
 * them apart.
 */
export function twinsOf(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const ids = new Set(machine.devices.filter(it => passed.has(it.address)).map(idOf))
  return machine.devices.filter(it => !passed.has(it.address) && ids.has(idOf(it)))
}
