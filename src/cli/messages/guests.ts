import type { Guest } from '../../guests/needs/needs.ts'
import type { DomainError } from '../../guests/problem.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { evaluateDomain } from '../../plan/evaluate.ts'
import type { GuestPlan } from '../../plan/guest.ts'
import { type GuestNote, guestOption } from '../../plan/guestSettings.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import type { Hugepages } from '../../settings/values.ts'
import type { FileProblem } from '../../storage/problem.ts'
import { type Context, nameOfFile } from '../context.ts'
import { type Message, plural, shellWord, type Wording, type Words, wordsOf } from '../message.ts'
import { drawnByToolkit } from '../output/output.ts'
import type { GuestReport } from '../report.ts'
import { briefDevice, callDevice, list, type Names } from './devices.ts'
import { readMessage } from './files.ts'

const DUMP = 'virsh dumpxml --inactive NAME > NAME.xml'

/** Why a domain was not converted, with the line that it is about. */
export function domainMessage(error: DomainError, context: Context): Message {
  const { code, message, hint, at } = error
  const { file, color, width } = context
  const isBug = code === 'NOT_LOSSLESS'
  const place = at === undefined ? '' : `:${at.line}:${at.column}`
  // The excerpt is indented, and may be cut off on both sides.
  const excerpt = drawnByToolkit(error.excerpt({ color, width: width - 4 }))
  return {
    code,
    what: `${at === undefined ? nameOfFile(context) : file}${place}: ${message}.`,
    ...(at === undefined ? {} : { at: { path: file, ...at } }),
    ...(excerpt === '' ? {} : { excerpt }),
    ...(isBug ? { why: 'a conversion that could lose something is never shown.' } : {}),
    ...(isBug ? { remedy: `please report it, with the file and this call: ${context.line}` } : {}),
    ...(hint === undefined ? {} : { remedy: hint })
  }
}

/** Why the file could not be read. */
export function domainReadMessage(problem: FileProblem, context: Context): Message {
  const { code, path } = problem
  if (code === 'NOT_FOUND') {
    return { code, what: `${path} does not exist.`, remedy: `write it: ${DUMP}` }
  }
  if (code === 'IS_DIRECTORY') {
    return {
      ...{ code, what: `${path} is a folder.` },
      remedy: `pass the file of a guest; to write one: ${DUMP}`
    }
  }
  return readMessage(problem, context)
}

/** It is Nix, and XML was expected. */
export function nixInsteadOfXml(context: Context): Message {
  return {
    code: 'NOT_XML',
    what: `${nameOfFile(context)} holds Nix, not the XML of a domain.`,
    remedy: `to get XML from it: ${context.line} --to xml`
  }
}

/** A part of the domain would have to be computed, and that did not work. */
export function computedMessage(
  error: DomainError,
  evaluated: Exclude<ReturnType<typeof evaluateDomain>, { status: 'ok' }>,
  context: Context
): Message {
  if (evaluated.status === 'missing') {
    return {
      ...domainMessage(error, context),
      why: `it has to be computed, and ${evaluated.detail}.`,
      remedy: 'write it out, or run this where Nix is installed'
    }
  }
  return {
    code: 'EVALUATION_FAILED',
    what: `${nameOfFile(context)}: Nix can not compute the domain.`,
    why: evaluated.output,
    remedy: 'write out in the file what it needs from elsewhere'
  }
}

// The words for what keeps a guest out of a configuration.

type GuestProblem = Extract<ApplyProblem, { code: `GUEST_${string}` }>

/** `guest` is the XML that the guest is made from. They are refusals unless they say otherwise. */
export const GUEST_WORDS: Wording<GuestProblem, { context: Context; guest: string }, Words> = {
  GUEST_DEFINED: ({ path, name, at }) => ({
    what: `${path}:${at.line}:${at.column}: the guest ${name} stands in your own configuration.`,
    nothingWritten: true,
    at: { path, ...at },
    why: 'defined in two places, it would be two guests in one.',
    remedy: `take it out there, then run this again; or leave --domain away, and edit it there`
  }),
  GUEST_UUID: ({ path, name, uuid }) => ({
    what: `${path} is another guest with the UUID of ${name}, ${uuid}.`,
    nothingWritten: true,
    why: 'libvirt knows its guests by that, so to libvirt the two are one.',
    remedy: `if ${name} is its new name, delete that file, then run this again; else give ${name} a UUID of its own, which uuidgen makes`
  }),
  GUEST_EDITED: ({ path, name, isOurs }, { context, guest }) => ({
    what: `${path} ${isOurs ? 'was changed by hand' : 'is not from vfio-patch'}, and the XML says something else.`,
    nothingWritten: true,
    why: `both may have news of ${name}, and one of them would be lost.`,
    remedy: [
      'edit the file by hand; what the XML says as Nix is shown by:',
      `vfio-patch domain ${shellWord(guest)} --mend`,
      `or take the XML in place of the file: ${context.line} --replace-modules`
    ].join('\n')
  }),
  GUEST_NOT_CONVERTED: ({ message }, { context }) => ({
    what: `the guest could not be made into Nix: ${message}.`,
    nothingWritten: true,
    why: 'a conversion that could lose something is never written.',
    remedy: `please report it, with the XML and this call: ${context.line}`
  })
}

/** The domain of `file` has no name, or one that no guest of a configuration can have. */
export function badName(name: string | undefined, file: string): Message {
  return {
    code: 'GUEST_NAME',
    what: `${file}: ${name === undefined ? 'the domain has no <name>' : `a guest can not be called "${name}" here`}.`,
    nothingWritten: true,
    why:
      name === undefined
        ? 'libvirt knows its guests by their names.'
        : 'a name has no slash, does not begin with a dot, and is no number or UUID, which libvirt would take it for.',
    remedy: 'give it another <name>, such as win10'
  }
}

/** The domain is one of another machine monitor than QEMU. */
export function otherMonitor(type: string, file: string): Message {
  return {
    code: 'GUEST_TYPE',
    what: `${file} is a guest for ${type}, and NixOS runs guests of libvirt with QEMU.`,
    nothingWritten: true,
    remedy: "for a guest of QEMU it says <domain type='kvm'>"
  }
}

/** The domain holds a password, at a line of the file. */
export function passwordIn(file: string, line: number | undefined): Message {
  return {
    code: 'PASSWORD',
    what: `${file}${line === undefined ? '' : `:${line}`}: there is a password here.`,
    nothingWritten: true,
    why: 'a configuration gets into the Nix store, which everybody on this machine can read.',
    remedy: `take it out of ${shellWord(file)}; a screen that listens on 127.0.0.1 only needs none`
  }
}

// What a person has to know of a guest that goes into the configuration, in sentences.

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
  return { name, path, changes: withLines(changes, xml), remarks: withLines(remarks, xml) }
}

/** Changes or remarks with lines of the XML in place of offsets; null where no text is given. */
export function withLines<T extends { start?: number | undefined }>(
  all: readonly T[],
  xml: string | undefined
) {
  return all.map(({ start, ...rest }) => ({
    ...rest,
    line: start === undefined || xml === undefined ? null : placeOf(xml, start).line
  }))
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
  const about = { name, file, names, hostCPUs: guestOption(name, 'hostCPUs') }
  return notes.map(it =>
    it.code === 'HOST_CPUS' ? kept(it, name) : `Note: ${wordsOf(NOTES, it, about)}`
  )
}

function kept({ guest, host }: { guest: string; host: string }, name: string): string {
  return `Processors: while ${name} runs, the host keeps ${host}, as its own are tied to ${guest}.`
}

interface About {
  name: string
  file: string
  names: Names
  hostCPUs: string
}

const NOTES: Wording<Exclude<GuestNote, { code: 'HOST_CPUS' }>, About, string> = {
  DEVICES_UNSEEN: ({ addresses }, { name }) =>
    `${list(addresses)}, which ${name} is to have, ${addresses.length === 1 ? 'is' : 'are'} not set up, as the configuration is another machine's. Run this there; or save that machine there with "vfio-patch scan --dump DIR", and add --sysfs DIR.`,
  DEVICE_MISSING: ({ address, others }, { name, file, names }) =>
    `this machine has nothing at ${address}, which ${name} is to have${others.length > 0 ? `, but ${list(others.map(it => callDevice(it, names)))}` : ''}. Put it in, or change the address in ${file}; "vfio-patch scan" shows what is where.`,
  VIRTUAL_FUNCTION_MISSING: ({ address, physical }, { name, names }) =>
    `${address}, which ${name} is to have, is a virtual function that ${callDevice(physical, names)} does not have at the moment. See that its driver${physical.driver === undefined ? '' : `, ${physical.driver},`} makes it before ${name} starts: write a number into /sys/bus/pci/devices/${physical.address}/sriov_numvfs`,
  VIRTUAL_FUNCTIONS_UNMADE: ({ physical }, { name }) =>
    `nothing in the configuration makes virtual functions, so after a restart ${list(physical)} ${physical.length === 1 ? 'has' : 'have'} none. See that a number is written into ${list(physical.map(it => `/sys/bus/pci/devices/${it}/sriov_numvfs`))} before ${name} starts.`,
  INTERFACE_NOT_VIRTUAL: ({ device }, { file, names }) =>
    `${callDevice(device, names)} is no virtual function, and libvirt takes nothing else for an <interface type='hostdev'>. In ${file}, write <hostdev> in its place.`,
  DEVICE_IS_BRIDGE: ({ device }, { name, file }) =>
    `${briefDevice(device)}, which ${name} is to have, can't be given away; ${file} seems to be from another machine. "vfio-patch scan" shows what is where.`,
  FUNCTIONS_LEFT: ({ device, others }, { name }) =>
    `${name} gets ${device.address} without ${list(others.map(briefDevice))} of the same card, which the host gives away all the same. Add a <hostdev> for it if ${name} should have it.`,
  NOT_MANAGED: ({ addresses }, { name, file }) =>
    `${list(addresses)}: nobody takes it from the host's driver when ${name} starts. In ${file}, say managed='yes' there.`,
  DEVICE_ARGUMENT: ({ addresses }, { name }) =>
    `${list(addresses)} is given to ${name} by a <qemu:arg>, so libvirt does not prepare it. Put a <hostdev> in its place.`,
  VIRTUAL_FUNCTION_ARGUMENT: ({ addresses }, { name }) =>
    `${list(addresses)} is a virtual function that ${name} gets by a <qemu:arg>, so nobody takes it from the host's driver: libvirt does not know of it, and it is not bound at boot. Put a <hostdev> with managed='yes' in its place.`,
  MEMORY_OVER: ({ needed, total }, { name }) =>
    `${name} is to have ${GiB(needed)} of memory, and this machine has ${GiB(total)}. Make <memory> smaller.`,
  PAGES_UNUSABLE: ({ sizes }, { name, file }) =>
    `no huge pages are set aside for ${name}: ${sizes.length > 1 ? 'it wants several sizes' : 'x86 has none of that size'}, and the options know 2M or 1G. Change <hugepages> in ${file}, or add --hugepages.`,
  PAGES_1G_MISSING: (_, { name, file }) =>
    `no huge pages are set aside for ${name}: this processor has none of 1G. Take <page size=…> out of ${file}, or make it 2M.`,
  PAGES_OVER: (note, { name }) =>
    `no huge pages are set aside for ${name}: ${pages(note.pages)} would leave the host less than 4 GiB of ${GiB(note.total)}. Make <memory> smaller, or take <hugepages> out; or add --hugepages ${note.pages.pageSize}:${note.pages.numPages} if you mean it.`,
  PAGES_OTHER: (note, { name }) =>
    `${name} needs ${pages(note.pages)}, and the configuration sets huge pages aside in its own way. See that there are enough.`,
  CPUS_MISSING: ({ missing, online }, { name, file }) =>
    `${name} is tied to the processors ${missing}, and this machine has ${online}. It can't start like that: change <cputune> and <vcpu> in ${file}.`,
  HOST_CPUS_UNKNOWN: ({ pinned }, { name, hostCPUs }) =>
    `${name} is tied to the processors ${pinned}. To keep the host off these while it runs, set ${hostCPUs} to those that the host keeps.`,
  HOST_CPUS_NONE: (_, { name }) =>
    `${name} is tied to all processors, so none is kept for the host alone. Leave it one or two, if it gets slow.`,
  HOST_CPUS_OTHER: ({ said, host }, { hostCPUs }) =>
    `${hostCPUs} is ${said} and stays; by its <cputune>, it would be "${host}".`,
  NETWORK: ({ names }, { name }) =>
    `${name} needs ${names.length === 1 ? 'the network' : 'the networks'} ${list(names)} of libvirt. See that it is there and started: virsh net-list --all`,
  BRIDGE_MISSING: (note, { name }) => {
    if (note.isMasked)
      return `${name} needs the bridge ${note.name}, which no option declares. A dump has no names that people give, so it is not known whether the machine has it: see ip link there.`
    return `${name} needs the bridge ${note.name}, which no option declares and this machine does not have. Declare it, e.g. networking.bridges.${note.name}.interfaces = [ "enp5s0" ];, or use the network "default".`
  },
  INTERFACE: (note, { name, file }) =>
    note.isMissing
      ? `${name} is connected to ${note.name}, which this machine does not have. Change it in ${file}.`
      : `${name} is connected to ${note.name} directly, so host and guest can't reach each other over it. A bridge can do that.`,
  KVMFR_UNUSABLE: (_, { file }) =>
    `the devices of kvmfr are not set up: they have to begin with /dev/kvmfr0, and each needs a size in MiB that is a power of two. Change it in ${file}.`,
  KVMFR_SAID: ({ sizes }, { name }) =>
    `virtualisation.kvmfr.devices stays as it is; ${name} needs ${list(sizes.map(it => `${it} MiB`))}, in this order. See that it fits.`,
  NODE_UNUSABLE: ({ node }) =>
    `QEMU can't be let at ${node}, as the option takes no such path. Put a <input>, <disk> or <hostdev> in its place.`,
  INPUT_GROUP: () =>
    'QEMU does not run as root here. To open /dev/input it needs: users.users.qemu-libvirtd.extraGroups = [ "input" ];'
}

/** A size in KiB as people say it. */
function GiB(size: number): string {
  return `${Number((size / 1024 / 1024).toFixed(1))} GiB`
}

function pages({ pageSize, numPages }: Hugepages): string {
  return `${numPages} huge pages of ${pageSize}`
}
