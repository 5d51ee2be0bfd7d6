// Sentences about values of flags that can't be used.

/** A value that can't be used, what is wrong with it, and what a valid one looks like. */
export interface BadSetting {
  value: string
  message: string
  hint: string
}

const ID_HINT = 'an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets'
const ADDRESS_HINT =
  'an address looks like 0000:01:00.0; "lspci -D" prints it at the start of a line'
const SHARED_MEMORY_HINT =
  'use the form NAME[:USER[:GROUP[:MODE]]], for example looking-glass:alice:kvm:0660'
const HUGEPAGES_HINT = 'use the form SIZE:COUNT with a size of 2M or 1G, for example 1G:16'

export function notAnID(value: string): BadSetting {
  return { value, message: `"${value}" is not a PCI ID`, hint: ID_HINT }
}

/** Several IDs in one value. */
export function listOfIDs(value: string): BadSetting {
  const hint = 'repeat the flag for each ID: --device 10de:1b80 --device 10de:10f0'
  return { ...notAnID(value), hint }
}

export function addressForID(value: string): BadSetting {
  const message = `"${value}" is an address, not a PCI ID`
  return { value, message, hint: `use --address ${value}` }
}

export function notAnAddress(value: string): BadSetting {
  return { value, message: `"${value}" is not a PCI address`, hint: ADDRESS_HINT }
}

export function idForAddress(value: string): BadSetting {
  const message = `"${value}" is a PCI ID, not an address`
  return { value, message, hint: `use --device ${value}` }
}

export function notAUser(value: string): BadSetting {
  return { value, message: `"${value}" is not a user name`, hint: 'a user name looks like alice' }
}

export function notAnEntryName(value: string): BadSetting {
  return {
    value,
    message: `"${value}" is not a name for a boot entry`,
    hint: 'use only letters, digits, "_" and "-", e.g. --specialisation vfio'
  }
}

export function notADeviceNode(value: string): BadSetting {
  const hint = 'a device node looks like /dev/kvmfr0'
  return { value, message: `"${value}" is not a device node`, hint }
}

function badSharedMemory(value: string, message: string): BadSetting {
  return { value, message, hint: SHARED_MEMORY_HINT }
}

/** What is wrong with the `part` of a shared memory file that is in `value`. */
export const SHARED_MEMORY = {
  tooManyParts: (value: string) => badSharedMemory(value, `"${value}" has too many parts`),
  notAFileName: (value: string, part: string) =>
    badSharedMemory(value, `"${part}" is not a name for a file in /dev/shm`),
  notAUser: (value: string, part: string) => badSharedMemory(value, `"${part}" is not a user name`),
  notAGroup: (value: string, part: string) =>
    badSharedMemory(value, `"${part}" is not a group name`),
  notAMode: (value: string, part: string) => badSharedMemory(value, `"${part}" is not a file mode`)
}

export function notHugepages(value: string): BadSetting {
  const message = `"${value}" is not a size and a number of huge pages`
  return { value, message, hint: HUGEPAGES_HINT }
}

export function noSuchPageSize(value: string, size: string): BadSetting {
  const message = `x86 has no huge pages of size "${size}"`
  return { value, message, hint: HUGEPAGES_HINT }
}
