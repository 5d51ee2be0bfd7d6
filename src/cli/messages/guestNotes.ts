// What a person has to know of a guest that goes into the configuration, in sentences.

import { type GuestNote, guestOption } from '../../apply/guestSettings.ts'
import type { GuestPlan } from '../../apply/planGuest.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Hugepages } from '../../vfio/settings.ts'
import type { Guest } from '../input/readGuest.ts'
import type { GuestReport } from '../report.ts'
import { briefDevice, callDevice, list, type Names } from './deviceWords.ts'
import { plural } from './plural.ts'

/** The guest, what was mended in it, and what to look at; nothing where its file stays as it is. */
export function fileNotes(plan: GuestPlan, guest: Guest): string[] {
  const { before, after, isEdited } = plan
  const { name, file, needs } = guest
  if (before === after) {
    return isEdited
      ? [`Note: the file of ${name} was edited since; it stays, as ${file} is as it was then.`]
      : []
  }
  const { changes, remarks } = reportGuest(plan, guest)
  const line = (it: { line: number | null }) => (it.line === null ? '' : `, line ${it.line}`)
  const size = [
    ...(needs.processors === undefined ? [] : [plural(needs.processors, 'processor')]),
    ...(needs.memory === undefined ? [] : [`${GiB(needs.memory)} of memory`])
  ]
  return [
    `Guest: ${[name, ...size].join(', ')}; its file is yours to edit.`,
    ...changes.map(it => `Mended ${it.path}${line(it)}: ${change(it)}. Why: ${it.why}.`),
    ...remarks.map(
      it => `Note: ${file}${line(it)}${it.path === '' ? '' : ` (${it.path})`}: ${it.what}.`
    )
  ]
}

/** The guest as data, with lines of its XML. */
export function reportGuest(plan: GuestPlan, { xml }: Guest): GuestReport {
  const { name, path, changes, remarks } = plan
  const withLine = <T extends { start?: number }>({ start, ...rest }: T) => ({
    ...rest,
    line: start === undefined ? null : placeOf(xml, start).line
  })
  return { name, path, changes: changes.map(withLine), remarks: remarks.map(withLine) }
}

function change({ before, after }: GuestReport['changes'][number]): string {
  if (before === null) return `adds ${after}`
  return after === null ? `takes ${before} out` : `${before} becomes ${after}`
}

/** How what the guest needs was understood, and what of it does not fit. */
export function needNotes(
  notes: readonly GuestNote[],
  { name, file }: Guest,
  names: Names
): string[] {
  return notes.map(it =>
    it.code === 'HOST_CPUS' ? kept(it, name) : `Note: ${noteLine(it, name, file, names)}`
  )
}

function kept({ guest, host }: { guest: string; host: string }, name: string): string {
  return `Processors: while ${name} runs, the host keeps ${host}, as its own are tied to ${guest}.`
}

function noteLine(
  note: Exclude<GuestNote, { code: 'HOST_CPUS' }>,
  name: string,
  file: string,
  names: Names
): string {
  const hostCPUs = guestOption(name, 'hostCPUs')
  switch (note.code) {
    case 'DEVICES_UNSEEN':
      return `${list(note.addresses)}, which ${name} is to have, ${note.addresses.length === 1 ? 'is' : 'are'} not set up, as the configuration is another machine's. Run this there; or save that machine there with "vfio-patch scan --dump DIR", and add --sysfs DIR.`
    case 'DEVICE_MISSING':
      return `this machine has nothing at ${note.address}, which ${name} is to have${note.others.length > 0 ? `, but ${list(note.others.map(it => callDevice(it, names)))}` : ''}. Put it in, or change the address in ${file}; "vfio-patch scan" shows what is where.`
    case 'VIRTUAL_FUNCTION_MISSING': {
      const { address, physical } = note
      return `${address}, which ${name} is to have, is a virtual function that ${callDevice(physical, names)} does not have at the moment. See that its driver${physical.driver === undefined ? '' : `, ${physical.driver},`} makes it before ${name} starts: write a number into /sys/bus/pci/devices/${physical.address}/sriov_numvfs`
    }
    case 'VIRTUAL_FUNCTIONS_UNMADE':
      return `nothing in the configuration makes virtual functions, so after a restart ${list(note.physical)} ${note.physical.length === 1 ? 'has' : 'have'} none. See that a number is written into ${list(note.physical.map(it => `/sys/bus/pci/devices/${it}/sriov_numvfs`))} before ${name} starts.`
    case 'INTERFACE_NOT_VIRTUAL':
      return `${callDevice(note.device, names)} is no virtual function, and libvirt takes nothing else for an <interface type='hostdev'>. In ${file}, write <hostdev> in its place.`
    case 'DEVICE_IS_BRIDGE':
      return `${briefDevice(note.device)}, which ${name} is to have, can't be given away; ${file} seems to be from another machine. "vfio-patch scan" shows what is where.`
    case 'FUNCTIONS_LEFT':
      return `${name} gets ${note.device.address} without ${list(note.others.map(briefDevice))} of the same card, which the host gives away all the same. Add a <hostdev> for it if ${name} should have it.`
    case 'NOT_MANAGED':
      return `${list(note.addresses)}: nobody takes it from the host's driver when ${name} starts. In ${file}, say managed='yes' there.`
    case 'DEVICE_ARGUMENT':
      return `${list(note.addresses)} is given to ${name} by a <qemu:arg>, so libvirt does not prepare it. Put a <hostdev> in its place.`
    case 'VIRTUAL_FUNCTION_ARGUMENT':
      return `${list(note.addresses)} is a virtual function that ${name} gets by a <qemu:arg>, so nobody takes it from the host's driver: libvirt does not know of it, and it is not bound at boot. Put a <hostdev> with managed='yes' in its place.`
    case 'MEMORY_OVER':
      return `${name} is to have ${GiB(note.needed)} of memory, and this machine has ${GiB(note.total)}. Make <memory> smaller.`
    case 'PAGES_UNUSABLE':
      return `no huge pages are set aside for ${name}: ${note.sizes.length > 1 ? 'it wants several sizes' : 'x86 has none of that size'}, and the options know 2M or 1G. Change <hugepages> in ${file}, or add --hugepages.`
    case 'PAGES_1G_MISSING':
      return `no huge pages are set aside for ${name}: this processor has none of 1G. Take <page size=…> out of ${file}, or make it 2M.`
    case 'PAGES_OVER':
      return `no huge pages are set aside for ${name}: ${pages(note.pages)} would leave the host less than 4 GiB of ${GiB(note.total)}. Make <memory> smaller, or take <hugepages> out; or add --hugepages ${note.pages.pageSize}:${note.pages.numPages} if you mean it.`
    case 'PAGES_OTHER':
      return `${name} needs ${pages(note.pages)}, and the configuration sets huge pages aside in its own way. See that there are enough.`
    case 'CPUS_MISSING':
      return `${name} is tied to the processors ${note.missing}, and this machine has ${note.online}. It can't start like that: change <cputune> and <vcpu> in ${file}.`
    case 'HOST_CPUS_UNKNOWN':
      return `${name} is tied to the processors ${note.pinned}. To keep the host off these while it runs, set ${hostCPUs} to those that the host keeps.`
    case 'HOST_CPUS_NONE':
      return `${name} is tied to all processors, so none is kept for the host alone. Leave it one or two, if it gets slow.`
    case 'HOST_CPUS_OTHER':
      return `${hostCPUs} is ${note.said} and stays; by its <cputune>, it would be "${note.host}".`
    case 'NETWORK':
      return `${name} needs ${note.names.length === 1 ? 'the network' : 'the networks'} ${list(note.names)} of libvirt. See that it is there and started: virsh net-list --all`
    case 'BRIDGE_MISSING':
      if (note.isMasked)
        return `${name} needs the bridge ${note.name}, which no option declares. A dump has no names that people give, so it is not known whether the machine has it: see ip link there.`
      return `${name} needs the bridge ${note.name}, which no option declares and this machine does not have. Declare it, e.g. networking.bridges.${note.name}.interfaces = [ "enp5s0" ];, or use the network "default".`
    case 'INTERFACE':
      return note.isMissing
        ? `${name} is connected to ${note.name}, which this machine does not have. Change it in ${file}.`
        : `${name} is connected to ${note.name} directly, so host and guest can't reach each other over it. A bridge can do that.`
    case 'KVMFR_UNUSABLE':
      return `the devices of kvmfr are not set up: they have to begin with /dev/kvmfr0, and each needs a size in MiB that is a power of two. Change it in ${file}.`
    case 'KVMFR_SAID':
      return `virtualisation.kvmfr.devices stays as it is; ${name} needs ${list(note.sizes.map(it => `${it} MiB`))}, in this order. See that it fits.`
    case 'NODE_UNUSABLE':
      return `QEMU can't be let at ${note.node}, as the option takes no such path. Put a <input>, <disk> or <hostdev> in its place.`
    case 'INPUT_GROUP':
      return 'QEMU does not run as root here. To open /dev/input it needs: users.users.qemu-libvirtd.extraGroups = [ "input" ];'
  }
}

/** A size in KiB as people say it. */
function GiB(size: number): string {
  return `${Number((size / 1024 / 1024).toFixed(1))} GiB`
}

function pages({ pageSize, numPages }: Hugepages): string {
  return `${numPages} huge pages of ${pageSize}`
}
