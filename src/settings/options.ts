// How settings become options.

import { annotated, type NixValue } from '../nix/values.ts'
import type { NamedSettings, SharedMemoryFile } from './values.ts'

/** A change to one option that the settings ask for. */
export type OptionChange =
  /** The option has this value. */
  | { kind: 'value'; path: readonly string[]; value: NixValue }
  /** The list is exactly these items, in any order. */
  | { kind: 'exactly'; path: readonly string[]; items: readonly NixValue[] }
  /** The list has these items, among others. */
  | { kind: 'items'; path: readonly string[]; items: readonly NixValue[] }
  /** The option has this value where the configuration has no definition of it. */
  | { kind: 'default'; path: readonly string[]; value: NixValue }

/** What the option changes depend on besides the settings. */
export interface SettingsContext {
  /** The literal items of the user's `boot.kernelParams`. */
  kernelParams: readonly string[]
  /** The literal items of `virtualisation.vfio.users`. */
  users: readonly string[]
  /** Names of devices by their IDs, for comments. */
  names: ReadonlyMap<string, string>
}

/** An option, or a set of options, that is written for a setting. */
export interface SettingOption {
  path: readonly string[]
  /** Options are written by this number, as the help has the flags in another order. */
  order: number
  /** What the settings change in it; nothing where they leave it as it is. */
  changes: (settings: NamedSettings, context: SettingsContext) => readonly OptionChange[]
}

export const VFIO = ['virtualisation', 'vfio'] as const
export const LIBVIRTD = ['virtualisation', 'libvirtd'] as const
export const HUGEPAGES = ['virtualisation', 'hugepages'] as const
const SHARED_MEMORY = ['virtualisation', 'sharedMemoryFiles'] as const
export const KVMFR = ['virtualisation', 'kvmfr'] as const

/** The sets of options that are written as one block where the configuration has none of them. */
export const BLOCKS: readonly (readonly string[])[] = [VFIO, SHARED_MEMORY, HUGEPAGES, KVMFR]

/** An option that gets the value of a setting, by default that of its name; it stays if there is none. */
export function valueOption(
  order: number,
  path: readonly string[],
  setting: string | undefined = path.at(-1)
): SettingOption {
  const changes = (settings: NamedSettings): OptionChange[] => {
    const value = settingOf(settings, setting)
    return value === undefined ? [] : [{ kind: 'value', path, value }]
  }
  return { path, order, changes }
}

/** A list that gets the items of the setting of its name, among others. */
export function itemsOption(order: number, path: readonly string[]): SettingOption {
  const changes = (settings: NamedSettings): OptionChange[] => {
    const items = settingOf(settings, path.at(-1))
    return Array.isArray(items) ? [{ kind: 'items', path, items }] : []
  }
  return { path, order, changes }
}

function settingOf(settings: NamedSettings, name = ''): NixValue | undefined {
  return (settings as Readonly<Record<string, NixValue | undefined>>)[name]
}

/** An option that gets a value where the configuration has none; undefined is no value. */
export function defaultOption(
  order: number,
  path: readonly string[],
  pick: (context: SettingsContext) => NixValue | undefined
): SettingOption {
  const changes = (_: NamedSettings, context: SettingsContext): OptionChange[] => {
    const value = pick(context)
    return value === undefined ? [] : [{ kind: 'default', path, value }]
  }
  return { path, order, changes }
}

/** An option that only the plan writes, not `wantedOptions`. */
export function plannedOption(path: readonly string[]): SettingOption {
  return { path, order: 0, changes: () => [] }
}

/** The devices for guests, by ID. */
export const devicesOption: SettingOption = deviceList(40, 'devices', ({ devices = [] }, names) =>
  devices.map(it => namedID(it, names))
)

/** The devices for guests, by address. */
export const addressesOption: SettingOption = deviceList(
  50,
  'addresses',
  ({ addresses = [] }, names) =>
    addresses.map(it =>
      typeof it === 'string' ? it : named({ address: it.address, id: it.id }, it.id, names)
    )
)

/** Both lists are one choice: where one is set, the other one is, too. */
function deviceList(
  order: number,
  name: string,
  itemsOf: (settings: NamedSettings, names: SettingsContext['names']) => readonly NixValue[]
): SettingOption {
  const path = [...VFIO, name]
  const changes = (settings: NamedSettings, { names }: SettingsContext): OptionChange[] => {
    if (!settings.devices && !settings.addresses) return []
    const kind = settings.addsDevices === true ? 'items' : 'exactly'
    return [{ kind, path, items: itemsOf(settings, names) }]
  }
  return { path, order, changes }
}

/** A device ID with the name of the device as a comment, where that is known. */
export function namedID(id: string, names: ReadonlyMap<string, string>): NixValue {
  return named(id, id, names)
}

function named(value: NixValue, id: string, names: ReadonlyMap<string, string>): NixValue {
  const name = names.get(id)
  return name === undefined ? value : annotated(value, name)
}

/** The processors that the host keeps while a guest runs. */
export const guestsOption: SettingOption = {
  path: [...VFIO, 'guests'],
  order: 130,
  changes: ({ guests = [] }) =>
    guests.flatMap(({ name, hostCPUs }): OptionChange[] => {
      const path = [...VFIO, 'guests', name, 'hostCPUs']
      return hostCPUs === undefined ? [] : [{ kind: 'default', path, value: hostCPUs }]
    })
}

/** Files in /dev/shm; they belong to the first user unless the settings name an owner. */
export const sharedMemoryOption: SettingOption = {
  path: SHARED_MEMORY,
  order: 140,
  changes: ({ sharedMemoryFiles = [], users = [] }, context) =>
    sharedMemoryFiles.flatMap(it => sharedMemoryChanges(it, users[0] ?? context.users[0] ?? 'root'))
}

function sharedMemoryChanges(file: SharedMemoryFile, owner: string): OptionChange[] {
  const usual = { user: owner, group: 'kvm', mode: '0660' }
  return (['user', 'group', 'mode'] as const).map(it => ({
    kind: file[it] === undefined ? 'default' : 'value',
    path: [...SHARED_MEMORY, file.name, it],
    value: file[it] ?? usual[it]
  }))
}

/** Huge pages for the memory of guests. */
export const hugepagesOption: SettingOption = {
  path: HUGEPAGES,
  order: 150,
  changes: ({ hugepages }) => {
    if (!hugepages) return []
    const { pageSize, numPages } = hugepages
    const values = { enable: true, defaultPageSize: pageSize, pageSize, numPages }
    return Object.entries(values).map(([name, value]) => ({
      kind: 'value',
      path: [...HUGEPAGES, name],
      value
    }))
  }
}

/** Shared memory that is a device. */
export const kvmfrOption: SettingOption = {
  path: KVMFR,
  order: 160,
  changes: ({ kvmfr }) =>
    kvmfr
      ? [
          { kind: 'value', path: [...KVMFR, 'enable'], value: true },
          { kind: 'default', path: [...KVMFR, 'devices'], value: kvmfr.map(size => ({ size })) }
        ]
      : []
}
