import { passedElements } from '../learn/devices.ts'
import { attributeOf } from '../tree.ts'
import { type Change, type Draft, type Mended, place, setAttribute } from './change.ts'

/**
 * Virtual functions (SR-IOV) of the host by their addresses; `bound` if vfio-pci has it by itself, so that
 * libvirt does not have to take it from another driver.
 */
export type VirtualFunctions = ReadonlyMap<string, 'bound' | 'unbound'>

/**
 * A virtual function that a guest gets is managed by libvirt: no other part of the host prepares it. What is
 * known of the machine is in `virtual`; an `<interface type='hostdev'>` is a virtual function in any case, as
 * libvirt takes nothing else there. One that says managed='no' and is known to be bound, or is not known at
 * all, stays as it is.
 */
export function mendManaged(root: Draft, virtual: VirtualFunctions): Mended {
  const changes = passedElements(root).flatMap(({ element, holder, as, address }): Change[] => {
    const state = virtual.get(address)
    if (state === undefined && as !== 'interface') return []
    const said = attributeOf(element, 'managed') ?? attributeOf(holder, 'managed')
    const isNo = said === 'no' && state === 'unbound'
    if (said !== undefined && !isNo) return []
    setAttribute(attributeOf(element, 'managed') === undefined ? holder : element, 'managed', 'yes')
    const before = said === undefined ? null : `managed='${said}'`
    return [
      {
        ...{ code: 'MANAGED', path: `devices/${element.name}`, before, after: "managed='yes'" },
        why: `${address} is a virtual function, which is not bound at boot, so libvirt has to take it when the guest starts`,
        ...place(element)
      }
    ]
  })
  return { changes, remarks: [] }
}
