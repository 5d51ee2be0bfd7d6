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

/** Why a domain was not converted, with the line at fault. */
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

/** Why the file of a domain could not be read. */
export function domainReadMessage(problem: FileProblem, context: Context): Message {
  const { code, path } = problem
  if (code === 'NOT_FOUND') {
    return { code, what: `${path} does not exist.`, remedy: `create it: ${DUMP}` }
  }
  if (code === 'IS_DIRECTORY') {
    return {
      ...{ code, what: `${path} is a folder.` },
      remedy: `pass the XML file of a guest; to create it: ${DUMP}`
    }
  }
  return readMessage(problem, context)
}

/** The file contains Nix where XML was expected. */
export function nixInsteadOfXml(context: Context): Message {
  return {
    code: 'NOT_XML',
    what: `${nameOfFile(context)} contains Nix, not the XML of a domain.`,
    remedy: `to get XML from it: ${context.line} --to xml`
  }
}

/** A part of the domain has to be computed, and Nix could not do that. */
export function computedMessage(
  error: DomainError,
  evaluated: Exclude<ReturnType<typeof evaluateDomain>, { status: 'ok' }>,
  context: Context
): Message {
  if (evaluated.status === 'missing') {
    return {
      ...domainMessage(error, context),
      why: `only Nix can compute this value, but ${evaluated.detail}.`,
      remedy: 'write the value literally, or run this on a machine with Nix'
    }
  }
  return {
    code: 'EVALUATION_FAILED',
    what: `${nameOfFile(context)}: Nix cannot evaluate the domain.`,
    why: evaluated.output,
    remedy: 'make the file independent of other files and options'
  }
}

/** Nix does not evaluate the converted domain to the same domain; `output` is its error, if any. */
export function notLossless(output: string | undefined, context: Context): Message {
  return {
    code: 'NOT_LOSSLESS',
    what: `${nameOfFile(context)}: Nix does not evaluate the result to the same domain.`,
    ...(output === undefined ? {} : { why: output }),
    remedy: `please report it, with the file and this call: ${context.line}`
  }
}

/** A domain converts without loss; `detail` is the result of Nix, or why Nix was not asked. */
export function sameDomain(kind: 'nix' | 'xml', detail: string, context: Context): string {
  const target = kind === 'xml' ? 'Nix' : 'XML'
  return `${nameOfFile(context)} converts to ${target} without loss (${detail}).`
}

export const SAME_BY_NIX = 'nix-instantiate produces the same domain'

export const NOTHING_TO_FIX = 'There was nothing to fix.'

/** A processing instruction is omitted from the result. */
export const INSTRUCTION_OMITTED = 'the instruction "<?…?>" is omitted, because libvirt ignores it'

/** What to do if nothing comes from standard input. */
export const PIPE_GUEST = 'pass the guest, e.g. with < win10.xml'

/** Standard input can't be read; `errno` is the name of the system's error. */
export function inputMessage(errno: string, remedy: string): Message {
  return { code: 'IO_ERROR', what: `standard input could not be read (${errno}).`, remedy }
}

// Why a guest can't be added to a configuration.

type GuestProblem = Extract<ApplyProblem, { code: `GUEST_${string}` }>

/** `guest` is the XML file of the guest. */
export const GUEST_WORDS: Wording<GuestProblem, { context: Context; guest: string }, Words> = {
  GUEST_DEFINED: ({ path, name, at }) => ({
    what: `${path}:${at.line}:${at.column}: your configuration already defines the guest ${name}.`,
    nothingWritten: true,
    at: { path, ...at },
    why: 'the two definitions would be merged into one guest.',
    remedy: `remove that definition, then run this again; or omit --domain, and edit that definition`
  }),
  GUEST_UUID: ({ path, name, uuid }) => ({
    what: `${path} defines another guest with the UUID of ${name}, ${uuid}.`,
    nothingWritten: true,
    why: 'libvirt identifies guests by their UUIDs, so it would treat the two as one guest.',
    remedy: `if that guest was renamed to ${name}, delete that file, then run this again; otherwise give ${name} another UUID, e.g. from uuidgen`
  }),
  GUEST_EDITED: ({ path, name, hasStamp }, { context, guest }) => ({
    what: `${path} ${hasStamp ? 'has local edits' : 'was not made by vfio-patch'}, and the XML differs from it.`,
    nothingWritten: true,
    why: `both may have changes to ${name}, and one of them would be lost.`,
    remedy: [
      'edit the file yourself; this shows the XML as Nix:',
      `vfio-patch domain ${shellWord(guest)} --mend`,
      `or replace the file with the converted XML: ${context.line} --replace-modules`
    ].join('\n')
  }),
  GUEST_NOT_CONVERTED: ({ message }, { context }) => ({
    what: `the guest could not be converted to Nix: ${message}.`,
    nothingWritten: true,
    why: 'a conversion that could lose something is never written.',
    remedy: `please report it, with the XML and this call: ${context.line}`
  })
}

/** The domain in `file` has no name, or a name that is not valid for a guest. */
export function badName(name: string | undefined, file: string): Message {
  return {
    code: 'GUEST_NAME',
    what: `${file}: ${name === undefined ? 'the domain has no <name>' : `"${name}" is not a valid name for a guest`}.`,
    nothingWritten: true,
    why:
      name === undefined
        ? 'libvirt identifies guests by their names.'
        : 'a valid name has no slash, does not begin with a dot, and is not a number or a UUID.',
    remedy: `give it ${name === undefined ? 'a' : 'another'} <name>, such as win10`
  }
}

/** The domain is for another hypervisor than QEMU. */
export function otherMonitor(type: string, file: string): Message {
  return {
    code: 'GUEST_TYPE',
    what: `${file} is a guest for ${type}, but libvirt on NixOS runs guests with QEMU.`,
    nothingWritten: true,
    remedy: "a guest for QEMU begins with <domain type='kvm'>"
  }
}

/** The domain contains a password, at a line of the file. */
export function passwordIn(file: string, line: number | undefined): Message {
  return {
    code: 'PASSWORD',
    what: `${file}${line === undefined ? '' : `:${line}`}: the domain contains a password.`,
    nothingWritten: true,
    why: 'a configuration is copied to the Nix store, which everybody on this machine can read.',
    remedy: `remove it from ${shellWord(file)}; a display that only listens on 127.0.0.1 needs no password`
  }
}

// Notes on a guest that is added to the configuration.

/** Lines on the guest, what was fixed in it, and warnings; none if the plan does not change its file. */
export function fileNotes(plan: GuestPlan, guest: Guest): string[] {
  const { before, after, isEdited } = plan
  const { name, file, needs } = guest
  if (before === after) {
    return isEdited
      ? [`Note: ${name}.nix has local edits and ${file} is unchanged, so ${name}.nix is kept.`]
      : []
  }
  const { changes, remarks } = reportGuest(plan, guest)
  const line = (it: { line: number | null }) => (it.line === null ? '' : `, line ${it.line}`)
  const size = [
    ...(needs.processors === undefined ? [] : [plural(needs.processors, 'processor')]),
    ...(needs.memory === undefined ? [] : [`${GiB(needs.memory)} of memory`])
  ]
  return [
    `Guest: ${[name, ...size].join(', ')}; you may edit its file.`,
    ...changes.map(it => `Fixed ${it.path}${line(it)}: ${changeText(it)}. Why: ${it.why}.`),
    ...remarks.map(
      it => `Note: ${file}${line(it)}${it.path === '' ? '' : ` (${it.path})`}: ${it.what}.`
    )
  ]
}

/** The guest as data, with lines of its XML. */
export function reportGuest(plan: GuestPlan, { xml }: Guest): GuestReport {
  const { name, path, changes, warnings } = plan
  return { name, path, changes: withLines(changes, xml), remarks: withLines(warnings, xml) }
}

/** Changes or remarks with lines of the XML instead of offsets; the lines are null without the XML. */
export function withLines<T extends { start?: number | undefined }>(
  all: readonly T[],
  xml: string | undefined
) {
  return all.map(({ start, ...rest }) => ({
    ...rest,
    line: start === undefined || xml === undefined ? null : placeOf(xml, start).line
  }))
}

function changeText({ before, after }: GuestReport['changes'][number]): string {
  if (before === null) return `adds ${after}`
  return after === null ? `removes ${before}` : `${before} becomes ${after}`
}

/** What was derived from the guest's needs, and which of them can't be met. */
export function needNotes(
  notes: readonly GuestNote[],
  { name, file }: Guest,
  names: Names
): string[] {
  const about = { name, file, names, hostCPUs: guestOption(name, 'hostCPUs') }
  return notes.map(it =>
    it.code === 'HOST_CPUS' ? hostCpusLine(it, name) : `Note: ${wordsOf(NOTES, it, about)}`
  )
}

function hostCpusLine({ guest, host }: { guest: string; host: string }, name: string): string {
  return `Processors: while ${name} runs, the host keeps ${host}, because ${name} is pinned to ${guest}.`
}

interface About {
  name: string
  file: string
  names: Names
  hostCPUs: string
}

const NOTES: Wording<Exclude<GuestNote, { code: 'HOST_CPUS' }>, About, string> = {
  DEVICES_UNSEEN: ({ addresses }, { name }) =>
    `${list(addresses)} of ${name} ${addresses.length === 1 ? 'is' : 'are'} not set up, because the configuration is for another machine. Run this on that machine; or save a dump there with "vfio-patch scan --dump DIR", and add --sysfs DIR.`,
  DEVICE_MISSING: ({ address, others }, { name, file, names }) =>
    `${name} needs the device at ${address}, but this machine has ${others.length > 0 ? `only ${list(others.map(it => callDevice(it, names)))} in that slot` : 'no device there'}. Install the device, or change the address in ${file}; "vfio-patch scan" lists the devices.`,
  VIRTUAL_FUNCTION_MISSING: ({ address, physical }, { name, names }) =>
    `${name} needs ${address}, a virtual function that ${callDevice(physical, names)} does not have at the moment. Let its driver${physical.driver === undefined ? '' : `, ${physical.driver},`} create it before ${name} starts: write the number of virtual functions to /sys/bus/pci/devices/${physical.address}/sriov_numvfs`,
  VIRTUAL_FUNCTIONS_UNMADE: ({ physical }, { name }) =>
    `nothing in the configuration creates virtual functions, so after a restart ${list(physical)} ${physical.length === 1 ? 'has' : 'have'} none. Let the configuration write their number to ${list(physical.map(it => `/sys/bus/pci/devices/${it}/sriov_numvfs`))} before ${name} starts.`,
  INTERFACE_NOT_VIRTUAL: ({ device }, { file, names }) =>
    `${callDevice(device, names)} is not a virtual function, but libvirt requires one for <interface type='hostdev'>. In ${file}, use <hostdev> instead.`,
  DEVICE_IS_BRIDGE: ({ device }, { name, file }) =>
    `${name} needs ${briefDevice(device)}, which can't be passed through; ${file} seems to be from another machine. "vfio-patch scan" lists the devices.`,
  FUNCTIONS_LEFT: ({ device, others }, { name }) =>
    `${name} gets ${device.address}, but not ${list(others.map(briefDevice))} of the same card, which the host can't use either. Add a <hostdev> for each function that ${name} should have.`,
  NOT_MANAGED: ({ addresses }, { name, file }) =>
    `nothing detaches ${list(addresses)} from the host's driver when ${name} starts. In ${file}, add managed='yes' to the element of the device.`,
  DEVICE_ARGUMENT: ({ addresses }, { name }) =>
    `${name} gets ${list(addresses)} by a <qemu:arg>, so libvirt does not prepare the device. Use a <hostdev> instead.`,
  VIRTUAL_FUNCTION_ARGUMENT: ({ addresses }, { name }) =>
    `${name} gets the virtual function ${list(addresses)} by a <qemu:arg>, so nothing detaches it from the host's driver: libvirt does not know about it, and it is not bound at boot. Use a <hostdev> with managed='yes' instead.`,
  MEMORY_OVER: ({ needed, total }, { name }) =>
    `${name} needs ${GiB(needed)} of memory, but this machine has ${GiB(total)}. Make <memory> smaller.`,
  PAGES_UNUSABLE: ({ sizes }, { name, file }) =>
    `no huge pages are reserved for ${name}: ${sizes.length > 1 ? 'it needs several sizes, but the options support one' : 'x86 has no pages of that size, only 2M and 1G'}. Change <hugepages> in ${file}, or add --hugepages.`,
  PAGES_1G_MISSING: (_, { name, file }) =>
    `no huge pages are reserved for ${name}: this processor has no pages of 1G. Remove <page size=…> from ${file}, or change it to 2M.`,
  PAGES_OVER: (note, { name }) =>
    `no huge pages are reserved for ${name}: ${pages(note.pages)} would leave the host less than 4 GiB of ${GiB(note.total)}. Make <memory> smaller, or remove <hugepages>; or add --hugepages ${note.pages.pageSize}:${note.pages.numPages} to reserve them anyway.`,
  PAGES_OTHER: (note, { name }) =>
    `${name} needs ${pages(note.pages)}, but the configuration reserves huge pages with other options. Check that it reserves enough.`,
  CPUS_MISSING: ({ missing, online }, { name, file }) =>
    `${name} is pinned to the processors ${missing}, but this machine has only ${online}. The guest can't start: change <cputune> and <vcpu> in ${file}.`,
  HOST_CPUS_UNKNOWN: ({ pinned }, { name, hostCPUs }) =>
    `${name} is pinned to the processors ${pinned}. To keep the host off these processors while ${name} runs, set ${hostCPUs} to those that the host keeps.`,
  HOST_CPUS_NONE: (_, { name }) =>
    `${name} is pinned to all processors, so the host has none for itself. Leave the host one or two if it gets slow.`,
  HOST_CPUS_OTHER: ({ configured, host }, { hostCPUs }) =>
    `${hostCPUs} keeps its value, ${configured}; the guest's <cputune> suggests "${host}".`,
  NETWORK: ({ names }, { name }) =>
    `${name} needs libvirt's ${names.length === 1 ? 'network' : 'networks'} ${list(names)}. Check that ${names.length === 1 ? 'it is' : 'they are'} defined and started: virsh net-list --all`,
  BRIDGE_MISSING: (note, { name }) => {
    if (note.isMasked)
      return `${name} needs the bridge ${note.name}, which no option declares. A dump does not contain bridge names like this one, so check on the machine whether it has the bridge: ip link`
    return `${name} needs the bridge ${note.name}, which no option declares and this machine does not have. Declare it, e.g. networking.bridges.${note.name}.interfaces = [ "enp5s0" ];, or use the network "default".`
  },
  INTERFACE: (note, { name, file }) =>
    note.isMissing
      ? `${name} is connected to ${note.name}, which this machine does not have. Change it in ${file}.`
      : `${name} is connected to ${note.name} directly, so host and guest can't reach each other over it. With a bridge they can.`,
  KVMFR_UNUSABLE: (_, { file }) =>
    `the kvmfr devices are not set up: the first one has to be /dev/kvmfr0, and each needs a size in MiB that is a power of two. Change them in ${file}.`,
  KVMFR_SAID: ({ sizes }, { name }) =>
    `virtualisation.kvmfr.devices keeps its value. Check that it fits ${name}, which needs ${list(sizes.map(it => `${it} MiB`))}, in this order.`,
  NODE_UNUSABLE: ({ node }) =>
    `QEMU can't get access to ${node}, because virtualisation.libvirtd.deviceACL does not accept such a path. Use <input>, <disk> or <hostdev> instead.`,
  INPUT_GROUP: () =>
    'QEMU does not run as root in this configuration. To open /dev/input, it needs: users.users.qemu-libvirtd.extraGroups = [ "input" ];'
}

/** A size in KiB, as GiB. */
function GiB(size: number): string {
  return `${Number((size / 1024 / 1024).toFixed(1))} GiB`
}

function pages({ pageSize, numPages }: Hugepages): string {
  return `${numPages} huge pages of ${pageSize}`
}
