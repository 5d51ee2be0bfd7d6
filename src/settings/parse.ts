// Reads values from the command line, strictly: what is wrong here would be an unbootable system later.

import { defined } from '../collections.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { Hugepages, SharedMemoryFile } from './values.ts'

/** What is wrong with a value, and what a right one looks like. */
export interface BadSetting {
  value: string
  message: string
  hint: string
}

function bad(value: string, message: string, hint: string): { ok: false; error: BadSetting } {
  return err({ value, message, hint })
}

/** Parses each value; equal ones count once. The first bad value is the error. */
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
  const hint = value.includes(',')
    ? 'give one at a time: --device 10de:1b80 --device 10de:10f0'
    : 'an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets'
  return parseAddress(value).ok
    ? bad(value, `"${value}" is an address, not a PCI ID`, `give it as --address ${value}`)
    : bad(value, `"${value}" is not a PCI ID`, hint)
}

/** A PCI address, with the domain `0000` where none is given: `01:00.0` is `0000:01:00.0`. */
export function parseAddress(value: string): Result<string, BadSetting> {
  const address = value.toLowerCase()
  if (/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(address)) return ok(address)
  if (/^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(address)) return ok(`0000:${address}`)
  const hint = 'an address looks like 0000:01:00.0; "lspci -D" prints it at the start of a line'
  return /^[0-9a-f]{4}:[0-9a-f]{4}$/.test(address)
    ? bad(value, `"${value}" is a PCI ID, not an address`, `give it as --device ${value}`)
    : bad(value, `"${value}" is not a PCI address`, hint)
}

// What useradd and NixOS accept for names of users and groups.
const ACCOUNT = /^[a-z_][a-z0-9_-]{0,30}\$?$/

/** The name of a user or a group. */
export function parseUser(value: string): Result<string, BadSetting> {
  return ACCOUNT.test(value)
    ? ok(value)
    : bad(value, `"${value}" is not a user name`, 'a user name looks like alice')
}

/**
 * The name of a specialisation. It becomes part of file names and of the menu of the boot loader, where
 * not every one of them takes every character: letters, digits, and `_`, `-`, `.` between them.
 */
export function parseSpecialisation(value: string): Result<string, BadSetting> {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}$/.test(value)
    ? ok(value)
    : bad(
        value,
        `"${value}" is not a name for a boot entry`,
        'a name has letters, digits, "_" and "-", e.g. --specialisation vfio'
      )
}

/** `NAME[:USER[:GROUP[:MODE]]]`; an empty part counts as not given. */
export function parseSharedMemory(value: string): Result<SharedMemoryFile, BadSetting> {
  const hint = 'give it as NAME[:USER[:GROUP[:MODE]]], for example looking-glass:alice:kvm:0660'
  const parts = value.split(':').map(it => (it === '' ? undefined : it))
  const [name = '', user, group, mode, ...rest] = parts
  if (rest.length > 0) return bad(value, `"${value}" has too many parts`, hint)
  if (!/^[a-zA-Z0-9_][a-zA-Z0-9._-]*$/.test(name)) {
    return bad(value, `"${name}" is not a name for a file in /dev/shm`, hint)
  }
  if (user && !ACCOUNT.test(user)) return bad(value, `"${user}" is not a user name`, hint)
  if (group && !ACCOUNT.test(group)) return bad(value, `"${group}" is not a group name`, hint)
  if (mode && !/^0?[0-7]{3}$/.test(mode)) return bad(value, `"${mode}" is not a file mode`, hint)
  return ok({ name, ...defined({ user, group, mode: mode?.padStart(4, '0') }) })
}

/** A device node: an absolute path below /dev. */
export function parseDeviceNode(value: string): Result<string, BadSetting> {
  const clean = /^\/dev\/[^\s"'\\,]+$/.test(value) && !/(?:^|\/)\.{1,2}(?:\/|$)|\/$/.test(value)
  return clean
    ? ok(value)
    : bad(value, `"${value}" is not a device node`, 'a device node looks like /dev/kvmfr0')
}

/** `SIZE:COUNT`. x86 has pages of 2M and 1G; the kernel ignores any other size, such as 1M. */
export function parseHugepages(value: string): Result<Hugepages, BadSetting> {
  const hint = 'give it as SIZE:COUNT with a size of 2M or 1G, for example 1G:16'
  const found = /^([^:]*):([^:]*)$/.exec(value)
  const pageSize = found?.[1]?.toUpperCase()
  if (!found || !/^[1-9][0-9]{0,8}$/.test(found[2] ?? '')) {
    return bad(value, `"${value}" is not a size and a count of hugepages`, hint)
  }
  if (pageSize !== '2M' && pageSize !== '1G') {
    return bad(value, `there are no hugepages of the size "${found[1]}" on x86`, hint)
  }
  return ok({ pageSize, numPages: Number(found[2]) })
}
