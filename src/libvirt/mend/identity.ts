import { element } from '../tree.ts'
import {
  addChild,
  type Change,
  type Draft,
  draftOf,
  draftsIn,
  type Mended,
  place
} from './change.ts'

/** Where new identities come from; each call gives another. */
export interface Identities {
  /** A random UUID, such as `8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10`. */
  uuid: () => string
  /** A random address of QEMU's range, such as `52:54:00:6b:3c:58`. */
  mac: () => string
}

/** A guest without a UUID, and a network card without a MAC address, get them for good. */
export function mendIdentity(root: Draft, identities: Identities): Mended {
  const changes: Change[] = []
  if (draftsIn(root, 'uuid').length === 0) {
    const uuid = identities.uuid()
    addChild(root, element('uuid', {}, uuid), 'name')
    const why = 'libvirt would make up another one each time, and not know the guest again'
    changes.push({ code: 'UUID', path: 'uuid', before: null, after: uuid, why })
  }
  const [devices] = draftsIn(root, 'devices')
  for (const card of draftsIn(devices, 'interface')) {
    if (draftsIn(card, 'mac').length > 0) continue
    const address = identities.mac()
    card.children.unshift(draftOf(element('mac', { address })))
    const why = 'libvirt would make up another one each time, and the guest find a new network card'
    const path = 'devices/interface'
    changes.push({
      code: 'MAC',
      path,
      before: null,
      after: `<mac address='${address}'/>`,
      why,
      ...place(card)
    })
  }
  return { changes, remarks: [] }
}
