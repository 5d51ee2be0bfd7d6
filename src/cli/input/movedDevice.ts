import { innerModule } from '../../apply/innerModule.ts'
import { prefixOf, profilesOf } from '../../apply/specialisation.ts'
import { idOf, type Machine } from '../../host/machine.ts'
import { physicalFunctionFor } from '../../host/virtualFunctions.ts'
import { parseDocument } from '../../nix/index.ts'

/** An address behind which something else stands than the configuration says. */
export interface MovedDevice {
  address: string
  /** What the configuration expects there, and what is there. */
  expected: string
  found: string | undefined
}

/** The first address in the configuration behind which there is something else than it says. */
export function movedDevice(text: string, machine: Machine): MovedDevice | undefined {
  const { devices } = machine
  const doc = parseDocument(text)
  const prefixes = [undefined, ...profilesOf(doc).specialisations].map(prefixOf)
  const addresses = prefixes.flatMap(it =>
    (innerModule(doc, it)?.doc ?? doc).itemsIn([...it, 'virtualisation', 'vfio', 'addresses'])
  )
  for (const item of addresses) {
    if (typeof item !== 'object' || item === null || !('address' in item) || !('id' in item))
      continue
    const { address, id } = item
    if (typeof address !== 'string' || typeof id !== 'string') continue
    const device = devices.find(it => it.address === address)
    if (device !== undefined && idOf(device) === id.toLowerCase()) continue
    // A virtual function that is not there now did not move; "check" tells of it.
    if (physicalFunctionFor(machine, address)) continue
    return { address, expected: id, found: device && idOf(device) }
  }
  return undefined
}
