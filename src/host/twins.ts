import { idOf, type Machine, type PciDevice } from './machine.ts'
import { withoutVirtualFunctions, withVirtualFunctions } from './virtualFunctions.ts'

/**
 * The devices that stay with the host and have an ID of one that goes, so that the ID can't tell
 * them apart. A virtual function is never bound by ID, so one that goes counts as one that stays.
 */
export function twinsOf(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const bound = withoutVirtualFunctions(machine, passed)
  const gone = withVirtualFunctions(machine, bound)
  const ids = new Set(machine.devices.filter(it => bound.has(it.address)).map(idOf))
  return machine.devices.filter(it => !gone.has(it.address) && ids.has(idOf(it)))
}
