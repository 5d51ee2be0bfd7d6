import { annotated, type NixValue } from '../nix/index.ts'
import type { Settings, SharedMemoryFile } from './settings.ts'

/** One option that the settings ask for. */
export type OptionChange =
  /** The option has this value. */
  | { kind: 'value'; path: readonly string[]; value: NixValue }
  /** The list is exactly these items, in any order. */
  | { kind: 'exactly'; path: readonly string[]; items: readonly NixValue[] }
  /** The list has these items, among others. */
  | { kind: 'items'; path: readonly string[]; items: readonly NixValue[] }
  /** The option has this value where the configuration says nothing of it. */
  | { kind: 'default'; path: readonly string[]; value: NixValue }

/** What the rest of the configuration says that bears on the wanted options. */
export interface SettingsContext {
  /** The literal items of the user's `boot.kernelParams`. */
  kernelParams: readonly string[]
  /** The literal items of `virtualisation.vfio.users`. */
  users: readonly string[]
}

const VFIO = ['virtualisation', 'vfio'] as const
const LIBVIRTD = ['virtualisation', 'libvirtd'] as const
const HUGEPAGES = ['virtualisation', 'hugepages'] as const
const SHARED_MEMORY = ['virtualisation', 'sharedMemoryFiles'] as const
const KVMFR = ['virtualisation', 'kvmfr'] as const

/** The sets of options that are written as one block where the configuration has none of them. */
export const BLOCKS: readonly (readonly string[])[] = [VFIO, SHARED_MEMORY, HUGEPAGES, KVMFR]

/** Options in the order in which they are written. `names` says what a device ID stands for. */
export function wantedOptions(
  settings: Settings,
  context: SettingsContext,
  names: ReadonlyMap<string, string>
): OptionChange[] {
  const wanted: OptionChange[] = [{ kind: 'default', path: [...VFIO, 'enable'], value: true }]
  const value = (path: readonly string[], it: NixValue | undefined) => {
    if (it !== undefined) wanted.push({ kind: 'value', path, value: it })
  }
  value([...VFIO, 'IOMMUType'], settings.IOMMUType)
  if (isPassthroughOff(context.kernelParams)) {
    wanted.push({ kind: 'default', path: [...VFIO, 'passthroughDMA'], value: false })
  }
  const chosen = settings.devices ?? settings.addresses
  if (chosen) {
    const kind = settings.addsDevices === true ? 'items' : 'exactly'
    const devices = (settings.devices ?? []).map(it => namedID(it, names))
    wanted.push({ kind, path: [...VFIO, 'devices'], items: devices })
    const addresses = (settings.addresses ?? []).map(it =>
      typeof it === 'string' ? it : named({ address: it.address, id: it.id }, it.id, names)
    )
    wanted.push({ kind, path: [...VFIO, 'addresses'], items: addresses })
  }
  value([...VFIO, 'bindAtBoot'], settings.bindAtBoot)
  if (settings.competingDrivers) {
    const items = settings.competingDrivers
    wanted.push({ kind: 'items', path: [...VFIO, 'competingDrivers'], items })
  }
  value([...VFIO, 'disableEFIfb'], settings.disableEFIfb)
  value([...VFIO, 'blacklistNvidia'], settings.blacklistNvidia)
  value([...VFIO, 'ignoreMSRs'], settings.ignoreMSRs)
  value([...VFIO, 'applyACSpatch'], settings.applyACSpatch)
  if (settings.users) {
    wanted.push({ kind: 'items', path: [...VFIO, 'users'], items: settings.users })
  }
  for (const { name, hostCPUs } of settings.guests ?? []) {
    if (hostCPUs === undefined) continue
    const path = [...VFIO, 'guests', name, 'hostCPUs']
    wanted.push({ kind: 'default', path, value: hostCPUs })
  }
  const owner = settings.users?.[0] ?? context.users[0] ?? 'root'
  for (const file of settings.sharedMemoryFiles ?? []) wanted.push(...sharedMemory(file, owner))
  if (settings.hugepages) {
    const { pageSize, numPages } = settings.hugepages
    value([...HUGEPAGES, 'enable'], true)
    value([...HUGEPAGES, 'defaultPageSize'], pageSize)
    value([...HUGEPAGES, 'pageSize'], pageSize)
    value([...HUGEPAGES, 'numPages'], numPages)
  }
  if (settings.kvmfr) {
    value([...KVMFR, 'enable'], true)
    const devices = settings.kvmfr.map(size => ({ size }))
    wanted.push({ kind: 'default', path: [...KVMFR, 'devices'], value: devices })
  }
  if (settings.deviceACL) {
    wanted.push({ kind: 'items', path: [...LIBVIRTD, 'deviceACL'], items: settings.deviceACL })
  }
  value([...LIBVIRTD, 'clearEmulationCapabilities'], settings.clearEmulationCapabilities)
  value([...LIBVIRTD, 'qemu', 'swtpm', 'enable'], settings.swtpm)
  return wanted
}

/** A device ID with what it stands for as a comment, where that is known. */
export function namedID(id: string, names: ReadonlyMap<string, string>): NixValue {
  return named(id, id, names)
}

function named(value: NixValue, id: string, names: ReadonlyMap<string, string>): NixValue {
  const name = names.get(id)
  return name === undefined ? value : annotated(value, name)
}

function sharedMemory(file: SharedMemoryFile, owner: string): OptionChange[] {
  const option = (name: string, given: string | undefined, otherwise: string): OptionChange => {
    const path = [...SHARED_MEMORY, file.name, name]
    return given === undefined
      ? { kind: 'default', path, value: otherwise }
      : { kind: 'value', path, value: given }
  }
  return [
    option('user', file.user, owner),
    option('group', file.group, 'kvm'),
    option('mode', file.mode, '0660')
  ]
}

/** `iommu=pt` and these contradict each other; the user's word stands. */
function isPassthroughOff(kernelParams: readonly string[]): boolean {
  return kernelParams
    .flatMap(it => it.split(/\s+/))
    .some(it => it === 'iommu.passthrough=0' || /^iommu=(?:.*,)?nopt(?:,|$)/.test(it))
}
