// The wording of device names, and messages about virtual functions.

import { monitorsAt } from '../../machine/cards.ts'
import type { Reason } from '../../machine/gates.ts'
import { idOf, type Machine, type PciDevice } from '../../machine/machine.ts'
import { briefDevice, classWord, describeUses, list, showsWord } from '../../machine/messages.ts'
import { isDisplay } from '../../machine/read/pci.ts'
import type { VirtualProblem } from '../../plan/guestDevices.ts'
import { plural, refusal, type Wording, type Words } from '../message.ts'

export { briefDevice, describeUses, list, showsWord }

/** Names of devices by their IDs. */
export type Names = ReadonlyMap<string, string>

/** `0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080]` */
export function callDevice(device: PciDevice, names: Names): string {
  return `${device.address} ${names.get(idOf(device)) ?? `(${classWord(device.class)})`}`
}

/** Why a guest can't have a card as it is, in a clause. */
export function whyNot(reason: Reason): string {
  switch (reason.code) {
    case 'INTEGRATED':
      return 'it is part of the processor'
    case 'CARRIES_DISK':
      return `this system uses a disk attached to ${briefDevice(reason.device)}: ${describeUses(reason.uses)}`
    case 'ONLY_NETWORK':
      return `${briefDevice(reason.device)} is your only network card`
    case 'ONLY_KEYBOARD':
      return `your only keyboard is plugged into ${briefDevice(reason.device)}`
    case 'ONLY_DISPLAY':
      return 'the host has no other card for its display output'
    case 'SHOWS_SCREEN':
      return `it ${showsWord(reason.device)} your screen${places(monitorsAt(reason.device))}`
    case 'SHARED_GROUP': {
      const groups = [...new Set(reason.others.map(it => it.group))]
      return `it shares IOMMU group ${list(groups.map(String))} with ${list(reason.others.map(briefDevice))}`
    }
    case 'HAS_VIRTUAL_FUNCTIONS':
      return `its ${plural(reason.virtual.length, 'virtual function')} would be lost`
  }
}

function places(monitors: readonly string[]): string {
  return monitors.length === 0 ? '' : ` (${monitors.join(', ')})`
}

/** The name of the IOMMU in firmware setups. */
export function iommuName({ cpu }: Machine): string {
  return cpu.vendor === 'amd' ? 'AMD-Vi' : cpu.vendor === 'intel' ? 'VT-d' : 'VT-d or AMD-Vi'
}

// Virtual functions (SR-IOV): why they are not bound at boot, and how a guest gets one.

/** Why a device can't be chosen because of virtual functions, and what to do instead. */
export const VIRTUAL_WORDS: Wording<VirtualProblem, { names: Names }, Words> = {
  VIRTUAL_FUNCTION: ({ address, isPresent, physical }) =>
    refusal(
      `${address} ${isPresent ? 'is' : 'would be'} a virtual function of ${physical}.`,
      `${TOO_LATE}; ${physical} keeps its driver.`,
      inDomain(address)
    ),
  ID_OF_VIRTUAL_FUNCTIONS: ({ id, virtual, physical, others, free }, { names }) => {
    const whose =
      virtual.length > 0
        ? callVirtual(virtual)
        : `the virtual functions that ${list(physical.map(briefDevice))} can have`
    const isLost = others.some(it => physical.includes(it))
    return refusal(
      `${id} is the ID of ${whose}${others.length > 0 ? `, and of ${list(others.map(briefDevice))}` : ''}.`,
      others.length > 0
        ? `an ID selects every device with that ID: vfio-pci would bind ${list(others.map(briefDevice))} at boot${isLost ? ', and a device has no virtual functions without its own driver' : ''}.`
        : `${TOO_LATE}.`,
      [
        ...free.map(
          it =>
            `to pass through ${callDevice(it, names)}: --${isDisplay(it) ? 'gpu' : 'address'} ${it.address}`
        ),
        inDomain(virtual[0]?.address)
      ].join(';\n')
    )
  },
  HAS_VIRTUAL_FUNCTIONS: ({ device, virtual, isNeeded }, { names }) =>
    refusal(
      `${callDevice(device, names)} has ${plural(virtual.length, 'virtual function')}, which would be lost if it were passed through.`,
      'its own driver creates them, but vfio-pci would replace that driver.',
      isNeeded
        ? inDomain(virtual[0]?.address)
        : [
            inDomain(virtual[0]?.address),
            `or turn them off first: echo 0 | sudo tee /sys/bus/pci/devices/${device.address}/sriov_numvfs`,
            'or keep them in the default boot entry: add --specialisation vfio'
          ].join(';\n')
    ),
  PHYSICAL_FUNCTION_GIVEN: ({ device, physical }, { names }) =>
    refusal(
      `${callDevice(device, names)} is a virtual function of ${physical.address}, which is itself passed through.`,
      `vfio-pci would replace the driver of ${physical.address}, which creates the virtual functions.`,
      `remove one of the two: ${device.address} from the domain, or ${physical.address} from the flags and virtualisation.vfio`
    )
}

const TOO_LATE =
  'the driver of the device creates virtual functions only after vfio-pci binds devices at boot'

/** How a guest gets the virtual function at `address`, or one of several if `address` is undefined. */
function inDomain(address: string | undefined): string {
  const [, domain, bus, slot, part] =
    /^([0-9a-f]+):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(address ?? '') ?? []
  const place =
    domain === undefined
      ? '<address …/>'
      : `<address domain='0x${domain}' bus='0x${bus}' slot='0x${slot}' function='0x${part}'/>`
  return [
    `to give ${address ?? 'a virtual function'} to a guest while it runs, add this to the guest's domain:`,
    `<hostdev mode='subsystem' type='pci' managed='yes'><source>${place}</source></hostdev>`,
    'then: vfio-patch apply --domain GUEST.xml'
  ].join('\n')
}

/** Up to three virtual functions by their addresses, more by their number. */
function callVirtual(devices: readonly PciDevice[]): string {
  const addresses = devices.map(it => it.address)
  if (addresses.length > 3) {
    return `${addresses.length} virtual functions, ${addresses[0]} to ${addresses.at(-1)}`
  }
  return `the virtual ${addresses.length === 1 ? 'function' : 'functions'} ${list(addresses)}`
}

/** Why a virtual function can't be passed through while these devices share its IOMMU group, and what to do. */
export function groupOfVirtual(others: readonly PciDevice[], physical: string | undefined) {
  const includesPhysical = others.some(it => it.address === physical)
  const areVirtual = others.every(it => it.physicalFunction !== undefined)
  return {
    why: includesPhysical
      ? "the IOMMU can't isolate them from each other: a guest can't start with one device while a host driver uses the other, and without that driver there is no virtual function."
      : "the IOMMU can't isolate them from each other: a guest can't start with one device while a host driver uses the other.",
    remedy: areVirtual
      ? 'keep host drivers from binding the virtual functions (sriov_drivers_autoprobe), then run this again'
      : 'put the card into another slot, or look for an ACS setting in the firmware setup, then: vfio-patch scan'
  }
}
