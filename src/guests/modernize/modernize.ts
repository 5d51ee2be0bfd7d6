import { passedElements } from '../needs/needs.ts'
import { attributeOf, element, type XmlElement } from '../xml/tree.ts'
import { modernizeArguments } from './arguments.ts'
import { addChild, type Draft, draftOf, draftsIn, type Modernized, setAttribute } from './change.ts'
import { modernizeFirmware } from './firmware.ts'
import { modernizeEmulator, modernizeStorePaths } from './paths.ts'

/**
 * A domain from another system or time as NixOS can run it, and each change; the root that was given
 * stays as it is. What is right already is not touched, so mending twice changes nothing more. `virtual` are
 * the addresses of virtual functions of the host that libvirt is to manage, as far as it is known.
 */
export function modernize(
  root: XmlElement,
  identities: Identities,
  virtual: ReadonlySet<string> = new Set()
): Modernized & { root: XmlElement } {
  const draft = draftOf(root)
  const done: Modernized = { changes: [], warnings: [] }
  addIdentity(draft, identities, done)
  modernizeMachine(draft, done)
  modernizeFirmware(draft, done)
  modernizeEmulator(draft, done)
  modernizeArguments(draft, done)
  modernizeManaged(draft, virtual, done)
  modernizeStorePaths(draft, done)
  return { root: draft, ...done }
}

/** Where new identities come from; each call gives another. */
export interface Identities {
  /** A random UUID, such as `8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10`. */
  uuid: () => string
  /** A random address of QEMU's range, such as `52:54:00:6b:3c:58`. */
  mac: () => string
}

/** A guest without a UUID, and a network card without a MAC address, get them for good. */
function addIdentity(root: Draft, identities: Identities, { changes }: Modernized): void {
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
    changes.push({
      ...{ code: 'MAC', path: 'devices/interface', start: card.start },
      before: null,
      after: `<mac address='${address}'/>`,
      why: 'libvirt would make up another one each time, and the guest find a new network card'
    })
  }
}

// QEMU takes a machine type out six years after it came: 4.2 went with QEMU 10.2.
const LAST_GONE = [4, 2] as const

/** A machine type that QEMU has no more, or that only one distribution has, gives way to its family. */
function modernizeMachine(root: Draft, { changes }: Modernized): void {
  const [os] = draftsIn(root, 'os')
  const [type] = draftsIn(os, 'type')
  const before = (type && attributeOf(type, 'machine')) ?? ''
  const [, family, version = ''] = /^pc(?:-(q35|i440fx))?-([\w.]+(?:-[\w.-]+)?)$/.exec(before) ?? []
  const numbers = /^(\d+)\.(\d+)$/.exec(version)
  if (!type || version === '' || (numbers && !isGone(Number(numbers[1]), Number(numbers[2]))))
    return
  const after = family === 'q35' ? 'q35' : 'pc'
  setAttribute(type, 'machine', after)
  const reason = numbers
    ? 'QEMU takes machine types out after six years'
    : 'only the QEMU of another distribution has it'
  const why = `${reason}; the guest may find its devices anew, and Windows may ask to be activated`
  changes.push({ code: 'MACHINE', path: 'os/type', before, after, why, start: type.start })
}

function isGone(major: number, minor: number): boolean {
  const [lastMajor, lastMinor] = LAST_GONE
  return major < lastMajor || (major === lastMajor && minor <= lastMinor)
}

/**
 * A virtual function (SR-IOV) that a guest gets is managed by libvirt where the domain does not say: no other
 * part of the host prepares it. `virtual` are the addresses of those that this is known of; an
 * `<interface type='hostdev'>` is a virtual function on any machine, as libvirt takes nothing else there.
 */
function modernizeManaged(
  root: Draft,
  virtual: ReadonlySet<string>,
  { changes }: Modernized
): void {
  for (const { element, holder, as, address } of passedElements(root)) {
    if (!virtual.has(address) && as !== 'interface') continue
    if ((attributeOf(element, 'managed') ?? attributeOf(holder, 'managed')) !== undefined) continue
    setAttribute(holder, 'managed', 'yes')
    changes.push({
      ...{ code: 'MANAGED', path: `devices/${element.name}`, start: element.start },
      before: null,
      after: "managed='yes'",
      why: `${address} is a virtual function, which is not bound at boot, so libvirt has to take it when the guest starts`
    })
  }
}
