// The words for virtual functions (SR-IOV): why one is not bound at boot, and how a guest gets one.

import type { VirtualProblem } from '../../apply/virtualFunctions.ts'
import type { PciDevice } from '../../host/machine.ts'
import { isDisplay } from '../../host/pciClass.ts'
import { EXIT, type Message } from '../message.ts'
import { briefDevice, callDevice, list, type Names } from './deviceWords.ts'
import { plural } from './plural.ts'

/** Whether a problem is about virtual functions. */
export function isVirtualProblem(problem: { code: string }): problem is VirtualProblem {
  return CODES.includes(problem.code)
}

const CODES: readonly string[] = [
  'VIRTUAL_FUNCTION',
  'ID_OF_VIRTUAL_FUNCTIONS',
  'HAS_VIRTUAL_FUNCTIONS',
  'PHYSICAL_FUNCTION_GIVEN'
] satisfies VirtualProblem['code'][]

/** Why virtual functions keep a choice from being made, and what to do instead. */
export function virtualMessage(problem: VirtualProblem, names: Names): Message {
  const refuse = (what: string, why: string, remedy: string): Message => ({
    code: problem.code,
    exit: EXIT.hardware,
    what: `${what} Nothing was written.`,
    why,
    remedy
  })
  switch (problem.code) {
    case 'VIRTUAL_FUNCTION': {
      const { address, isThere, physical } = problem
      return refuse(
        `${address} ${isThere ? 'is' : 'would be'} a virtual function of ${physical}.`,
        `${TOO_LATE}; ${physical} stays with its driver.`,
        inDomain(address)
      )
    }
    case 'ID_OF_VIRTUAL_FUNCTIONS': {
      const { id, virtual, physical, others, free } = problem
      const whose =
        virtual.length > 0
          ? callVirtual(virtual)
          : `the virtual functions that ${list(physical.map(briefDevice))} can have`
      const isLost = others.some(it => physical.includes(it))
      return refuse(
        `${id} is the ID of ${whose}${others.length > 0 ? `, and of ${list(others.map(briefDevice))}` : ''}.`,
        others.length > 0
          ? `an ID stands for all devices that have it: vfio-pci would take ${list(others.map(briefDevice))} at boot${isLost ? ', and without its own driver a device has no virtual functions' : ''}.`
          : `${TOO_LATE}.`,
        [
          ...free.map(
            it =>
              `to give away ${callDevice(it, names)}: --${isDisplay(it) ? 'gpu' : 'address'} ${it.address}`
          ),
          inDomain(virtual[0]?.address)
        ].join(';\n')
      )
    }
    case 'HAS_VIRTUAL_FUNCTIONS': {
      const { device, virtual, isNeeded } = problem
      return refuse(
        `${callDevice(device, names)} has ${plural(virtual.length, 'virtual function')}, which would be gone.`,
        'its own driver makes them, and vfio-pci would take the place of that driver.',
        isNeeded
          ? inDomain(virtual[0]?.address)
          : [
              inDomain(virtual[0]?.address),
              `or turn them off first: echo 0 | sudo tee /sys/bus/pci/devices/${device.address}/sriov_numvfs`,
              'or keep them in the usual boot entry: add --specialisation vfio'
            ].join(';\n')
      )
    }
    case 'PHYSICAL_FUNCTION_GIVEN': {
      const { device, physical } = problem
      return refuse(
        `${callDevice(device, names)} is a virtual function of ${physical.address}, which goes to guests itself.`,
        `vfio-pci would take ${physical.address} from its own driver, and without that it has no virtual functions.`,
        `take one of the two out: ${device.address} of the domain, or ${physical.address} of the flags and of virtualisation.vfio`
      )
    }
  }
}

const TOO_LATE =
  'a virtual function is made by the driver of its device, after vfio-pci binds devices at boot'

/** How a guest gets a virtual function, or any one of those that were meant. */
function inDomain(address: string | undefined): string {
  const [, domain, bus, slot, part] =
    /^([0-9a-f]+):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(address ?? '') ?? []
  const place =
    domain === undefined
      ? '<address …/>'
      : `<address domain='0x${domain}' bus='0x${bus}' slot='0x${slot}' function='0x${part}'/>`
  return [
    `give a guest ${address ?? 'one of them'} while it runs, by this in its domain:`,
    `<hostdev mode='subsystem' type='pci' managed='yes'><source>${place}</source></hostdev>`,
    'then: vfio-patch apply --domain GUEST.xml'
  ].join('\n')
}

/** Some virtual functions by their addresses, many by their number. */
export function callVirtual(devices: readonly PciDevice[]): string {
  const addresses = devices.map(it => it.address)
  if (addresses.length > 3) {
    return `${addresses.length} virtual functions, ${addresses[0]} to ${addresses.at(-1)}`
  }
  return `the virtual ${addresses.length === 1 ? 'function' : 'functions'} ${list(addresses)}`
}

/** Why a virtual function with these in its group can't go to a guest, and what to do. */
export function groupOfVirtual(others: readonly PciDevice[], physical: string | undefined) {
  const isOwn = others.some(it => it.address === physical)
  const areVirtual = others.every(it => it.physicalFunction !== undefined)
  return {
    why: isOwn
      ? 'the IOMMU can not keep them apart: no guest starts with the one while a driver of the host has the other, and without that driver there is no virtual function.'
      : 'the IOMMU can not keep them apart: no guest starts with the one while a driver of the host has the other.',
    remedy: areVirtual
      ? 'keep drivers of the host from the virtual functions (sriov_drivers_autoprobe), then run this again'
      : 'put the card into another slot, or see whether the firmware has a setting for ACS: vfio-patch scan'
  }
}
