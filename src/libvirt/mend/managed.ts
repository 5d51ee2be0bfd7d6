import { passedElements } from '../learn/devices.ts'
import { attributeOf } from '../tree.ts'
import { type Change, type Draft, type Mended, place, setAttribute } from './change.ts'

/**
 * A virtual function (SR-IOV) that a guest gets is managed by libvirt where the domain does not say: no other
 * part of the host prepares it. `virtual` are the addresses of those that this is known of; an
 * `<interface type='hostdev'>` is a virtual function on any machine, as libvirt takes nothing else there.
 */
export function mendManaged(root: Draft, virtual: ReadonlySet<string>): Mended {
  const changes = passedElements(root).flatMap(({ element, holder, as, address }): Change[] => {
    if (!virtual.has(address) && as !== 'interface') return []
    const said = attributeOf(element, 'managed') ?? attributeOf(holder, 'managed')
    if (said !== undefined) return []
    setAttribute(holder, 'managed', 'yes')
    return [
      {
        ...{
          code: 'MANAGED',
          path: `devices/${element.name}`,
          before: null,
          after: "managed='yes'"
        },
        why: `${address} is a virtual function, which is not bound at boot, so libvirt has to take it when the guest starts`,
        ...place(element)
      }
    ]
  })
  return { changes, remarks: [] }
}
