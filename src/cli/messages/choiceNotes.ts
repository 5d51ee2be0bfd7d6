import type { Choice, Decision } from '../../apply/chooseDevices.ts'
import type { VirtualDecision } from '../../apply/virtualFunctions.ts'
import type { Caution } from '../../host/cautions.ts'
import { type PciDevice, slotOf } from '../../host/machine.ts'
import { isVgpu, isVirtual } from '../../host/virtualFunctions.ts'
import { briefDevice, callDevice, list, type Names } from './deviceWords.ts'

/** Each decision with its reason, then what to look out for; a sentence or two each. */
export function choiceNotes({ decisions, cautions }: Choice, names: Names): string[] {
  return [
    ...decisions.map(it => decisionLine(it, names)),
    ...cautions.map(it => `Note: ${cautionLine(it, names)}`)
  ]
}

function decisionLine(decision: Decision, names: Names): string {
  switch (decision.code) {
    case 'WHOLE_CARD': {
      const { display, functions } = decision.card
      const others = functions.filter(it => it !== display).map(briefDevice)
      const along =
        others.length > 0
          ? `; ${list(others)} ${others.length === 1 ? 'goes' : 'go'} along, as a guest takes a card whole`
          : ''
      return `Card: ${callDevice(display, names)}${along}.`
    }
    case 'DEVICE':
      return `Device: ${callDevice(decision.device, names)}.`
    case 'VIRTUAL_FUNCTION':
      return virtualLine(decision, names)
    case 'BY_ID':
      return 'Named by ID, as nothing that stays with the host has the same.'
    case 'BY_ADDRESS':
      return `Named by address, as ${list(decision.twins.map(briefDevice))} of the host ${decision.twins.length === 1 ? 'has' : 'have'} the same ID.`
    case 'PROCESSOR':
      return `IOMMU: that of ${decision.vendor === 'amd' ? 'AMD' : 'Intel'}, as the processor is.`
    case 'DRIVERS':
      return `Drivers: vfio-pci is loaded before ${list(decision.drivers)}, too, as part of the card would go there.`
    case 'FIRST_PHASE':
      return firstPart(decision.specialisation, decision.card.display, names)
    case 'ASSUMED_ISOLATED':
      return 'The IOMMU is off, so nobody sees its groups: that the card shares none is on your word.'
  }
}

function virtualLine({ device, physical, isUnmanaged }: VirtualDecision, names: Names): string {
  const driver = physical?.driver === undefined ? 'its driver' : `its driver, ${physical.driver}`
  const rest = `${physical ? callDevice(physical, names) : device.physicalFunction} stays with ${driver}`
  const how = isVgpu(device)
    ? ', the guest gets it from its driver, nvidia'
    : isUnmanaged
      ? ''
      : ', libvirt takes it when the guest starts'
  return `Virtual function: ${callDevice(device, names)}; nothing is bound at boot${how}, and ${rest}.`
}

function firstPart(specialisation: string | undefined, device: PciDevice, names: Names): string {
  const card = callDevice(device, names)
  // Of a virtual function there is nothing to plan then, but its group can be seen.
  const aim = isVirtual(device) ? `see whether ${card} can go to a guest` : `give ${card} away`
  return specialisation === undefined
    ? `The IOMMU is off, so the first part only turns it on. Reboot, then run this again to ${aim}.`
    : `The IOMMU is off, so the first part only turns it on. Reboot into the boot entry "${specialisation}", then run this again to ${aim}; or add --assume-isolated, if you know that nothing shares its IOMMU group.`
}

function sharedGroup(device: PciDevice, others: readonly PciDevice[]): string {
  const isOwn = others.every(it => slotOf(it.address) === slotOf(device.address))
  const why = `${device.address} shares IOMMU group ${device.group ?? ''} with ${list(others.map(briefDevice))}, and a guest gets all of a group or none of it`
  return isOwn
    ? `${why}; ${others.length === 1 ? 'that is a part' : 'these are parts'} of the same card, so name ${others.length === 1 ? 'it' : 'them'}, too.`
    : `${why}. Put it into another slot, or see whether the firmware has a setting for ACS; "vfio-patch scan" shows the groups.`
}

function cautionLine(caution: Caution, names: Names): string {
  switch (caution.code) {
    case 'BOOT_SCREEN': {
      const { device, isOnly } = caution
      const other = isOnly
        ? ''
        : " Choose the host's card as the primary display in the firmware setup;"
      return `the firmware shows its first screen on ${device.address}${device.holdsFramebuffer ? ', and the kernel draws on it still' : ''}${isOnly ? ';' : '.'}${other} if a guest can't start for that, use --disable-efifb.`
    }
    case 'NO_PICTURE':
      return caution.others.length === 0
        ? 'in that boot entry the host has no picture; see that you can reach it over ssh.'
        : `in that boot entry the monitor at ${caution.device.address} shows the guest; for the host, plug one into ${list(caution.others.map(it => callDevice(it, names)))}.`
    case 'MONITOR_GOES':
      return `the monitor at ${list(caution.monitors)} goes dark for the host.`
    case 'NO_RESET':
      return `${caution.device.address} can't be reset, so a guest may get it only once after each boot.`
    case 'AMD_RESET':
      return `${callDevice(caution.device, names)} may not come back when a guest shuts down; the module vendor-reset helps with many of its kind.`
    case 'SHARED_GROUP':
      return sharedGroup(caution.device, caution.others)
    case 'HOST_WITHOUT_DRIVER':
      return `${callDevice(caution.device, names)} stays with the host and has no driver yet; see that it shows a picture first.`
    case 'HOST_BLACKLISTED':
      return `--blacklist-nvidia takes the driver from ${callDevice(caution.device, names)}, too, which stays with the host.`
    case 'NETWORK_IN_USE':
      return `${list(caution.names)}, which you are connected by, ${caution.names.length === 1 ? 'goes' : 'go'}; other network cards stay, but none is connected.`
    case 'HAS_VIRTUAL_FUNCTIONS':
      return `in that boot entry ${caution.device.address} has no virtual functions, as its own driver does not get it.`
    case 'NO_VIRTUALISATION':
      return 'the processor offers no virtualisation; switch on SVM or VT-x in the firmware setup.'
  }
}
