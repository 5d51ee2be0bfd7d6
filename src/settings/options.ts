// Which options are written for a setting.

import { annotated, type NixValue } from '../nix/values.ts'
import type { NamedSettings, SharedMemoryFile } from './values.ts'

/** A change to one option. */
export type OptionChange =
  /** Sets the option to this value. */
  | { kind: 'value'; path: readonly string[]; value: NixValue }
  /** Makes these items the whole list, in any order. */
  | { kind: 'exactly'; path: readonly string[]; items: readonly NixValue[] }
  /** Adds these items to the list. */
  | { kind: 'items'; path: readonly string[]; items: readonly NixValue[] }
  /** Sets the option to this value if the configuration does not define it. */
  | { kind: 'default'; path: readonly string[]; value: NixValue }

/** What the option changes depend on, apart from the settings. */
export interface SettingsContext {
  /** The literal items of the user's `boot.kernelParams`. */
  kernelParams: readonly string[]
  /** The literal items of `virtualisation.vfio.users`. */
  users: readonly string[]
  /** Names of devices by their IDs, for comments. */
  names: ReadonlyMap<string, string>
}

/** An option or a set of options that is written for a setting. */
export interface SettingOption {
  path: readonly string[]
  /** Options are written in ascending order of this number; the flags in the help have another order. */
  order: number
  /** The changes for these settings; none if they leave the option as it is. */
  changes: (settings: NamedSettings, context: SettingsContext) => readonly OptionChange[]
}

export const VFIO = ['virtualisation', 'vfio'] as const
export const LIBVIRTD = ['virtualisation', 'libvirtd'] as const
export const HUGEPAGES = ['virtualisation', 'hugepages'] as const
const SHARED_MEMORY = ['virtualisation', 'sharedMemoryFiles'] as const
export const KVMFR = ['virtualisation', 'kvmfr'] as const

/** The sets of options that are written as one block if the configuration defines none of them. */
export const BLOCKS: readonly (readonly string[])[] = [VFIO, SHARED_MEMORY, HUGEPAGES, KVMFR]

/** An option that is set to the value of a setting; by default the setting has the name of the option. */
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

/** A list option to which the items of the setting of the same name are added. */
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

/** An option that is set if the configuration does not define it and `pick` returns a value. */
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

/** An option that the plan writes instead of `wantedOptions`. */
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
      typeof it === 'string' ? it : withName({ address: it.address, id: it.id }, it.id, names)
    )
)

/** A list of devices for guests. Both lists are one choice: if either setting is present, both are written. */
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

/** A device ID with the device's name as a comment, if the name is known. */
export function namedID(id: string, names: ReadonlyMap<string, string>): NixValue {
  return withName(id, id, names)
}

function withName(value: NixValue, id: string, names: ReadonlyMap<string, string>): NixValue {
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

/** Files in /dev/shm; by default the first user owns them. */
export const sharedMemoryOption: SettingOption = {
  path: SHARED_MEMORY,
  order: 140,
  changes: ({ sharedMemoryFiles = [], users = [] }, context) =>
    sharedMemoryFiles.flatMap(it => sharedMemoryChanges(it, users[0] ?? context.users[0] ?? 'root'))
}

function sharedMemoryChanges(file: SharedMemoryFile, owner: string): OptionChange[] {
  const defaults = { user: owner, group: 'kvm', mode: '0660' }
  return (['user', 'group', 'mode'] as const).map(it => ({
    kind: file[it] === undefined ? 'default' : 'value',
    path: [...SHARED_MEMORY, file.name, it],
    value: file[it] ?? defaults[it]
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

/** The devices of kvmfr. */
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
