import { idOf, type Machine } from '../../host/machine.ts'
import type { Settings } from '../../vfio/settings.ts'

/** A note for each device of the settings that the machine does not have: it may come yet. */
export function absentDevices(settings: Settings, { devices }: Machine): string[] {
  const here = new Set(devices.flatMap(it => [it.address, idOf(it)]))
  const addresses = (settings.addresses ?? []).map(it => (typeof it === 'string' ? it : it.address))
  const ids = (settings.devices ?? []).filter(it => !here.has(it.split(':').slice(0, 2).join(':')))
  return [...ids, ...addresses.filter(it => !here.has(it))].map(
    it => `Note: this machine has no ${it} at the moment.`
  )
}
