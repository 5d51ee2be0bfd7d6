// Parses values of flags strictly: a bad value could make the system unbootable.

import { defined } from '../collections.ts'
import { err, ok, type Result } from '../nix/result.ts'
import {
  addressForID,
  type BadSetting,
  idForAddress,
  listOfIDs,
  noSuchPageSize,
  notADeviceNode,
  notAnAddress,
  notAnEntryName,
  notAnID,
  notAUser,
  notHugepages,
  SHARED_MEMORY
} from './messages.ts'
import type { Hugepages, SharedMemoryFile } from './values.ts'

export type { BadSetting } from './messages.ts'

/** Parses each value and drops duplicates. The first bad value is the error. */
export function parseEach<T>(
  values: readonly string[],
  parse: (value: string) => Result<T, BadSetting>
): Result<T[], BadSetting> {
  const all = new Set<T>()
  for (const value of values) {
    const parsed = parse(value)
    if (!parsed.ok) return parsed
    all.add(parsed.value)
  }
  return ok([...all])
}

/**
 * A PCI ID in the grammar of `vfio-pci.ids` (`vendor:device[:subvendor[:subdevice[:class[:mask]]]]`),
 * in lower case.
 */
export function parseDevice(value: string): Result<string, BadSetting> {
  const id = value.toLowerCase()
  if (/^[0-9a-f]{4}(?::[0-9a-f]{4}){1,3}(?::[0-9a-f]{1,6}){0,2}$/.test(id)) return ok(id)
  if (parseAddress(value).ok) return err(addressForID(value))
  return err(value.includes(',') ? listOfIDs(value) : notAnID(value))
}

/** A PCI address; the domain is `0000` by default: `01:00.0` is `0000:01:00.0`. */
export function parseAddress(value: string): Result<string, BadSetting> {
  const address = value.toLowerCase()
  if (/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(address)) return ok(address)
  if (/^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(address)) return ok(`0000:${address}`)
  const isID = /^[0-9a-f]{4}:[0-9a-f]{4}$/.test(address)
  return err(isID ? idForAddress(value) : notAnAddress(value))
}

// Names of users and groups that useradd and NixOS accept.
const ACCOUNT = /^[a-z_][a-z0-9_-]{0,30}\$?$/

/** The name of a user or a group. */
export function parseUser(value: string): Result<string, BadSetting> {
  return ACCOUNT.test(value) ? ok(value) : err(notAUser(value))
}

/**
 * The name of a specialisation. It becomes part of file names and of the boot loader's menu, so only
 * characters that every boot loader accepts are allowed.
 */
export function parseSpecialisation(value: string): Result<string, BadSetting> {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}$/.test(value) ? ok(value) : err(notAnEntryName(value))
}

/** `NAME[:USER[:GROUP[:MODE]]]`; an empty part is treated as absent. */
export function parseSharedMemory(value: string): Result<SharedMemoryFile, BadSetting> {
  const parts = value.split(':').map(it => (it === '' ? undefined : it))
  const [name = '', user, group, mode, ...rest] = parts
  if (rest.length > 0) return err(SHARED_MEMORY.tooManyParts(value))
  if (!/^[a-zA-Z0-9_][a-zA-Z0-9._-]*$/.test(name)) {
    return err(SHARED_MEMORY.notAFileName(value, name))
  }
  if (user && !ACCOUNT.test(user)) return err(SHARED_MEMORY.notAUser(value, user))
  if (group && !ACCOUNT.test(group)) return err(SHARED_MEMORY.notAGroup(value, group))
  if (mode && !/^0?[0-7]{3}$/.test(mode)) return err(SHARED_MEMORY.notAMode(value, mode))
  return ok({ name, ...defined({ user, group, mode: mode?.padStart(4, '0') }) })
}

/** A device node: an absolute path below /dev. */
export function parseDeviceNode(value: string): Result<string, BadSetting> {
  const clean = /^\/dev\/[^\s"'\\,]+$/.test(value) && !/(?:^|\/)\.{1,2}(?:\/|$)|\/$/.test(value)
  return clean ? ok(value) : err(notADeviceNode(value))
}

/** `SIZE:COUNT`. x86 has pages of 2M and 1G; the kernel ignores other sizes, such as 1M. */
export function parseHugepages(value: string): Result<Hugepages, BadSetting> {
  const found = /^([^:]*):([^:]*)$/.exec(value)
  const pageSize = found?.[1]?.toUpperCase()
  if (!found || !/^[1-9][0-9]{0,8}$/.test(found[2] ?? '')) {
    return err(notHugepages(value))
  }
  if (pageSize !== '2M' && pageSize !== '1G') {
    return err(noSuchPageSize(value, found[1] ?? ''))
  }
  return ok({ pageSize, numPages: Number(found[2]) })
}
