/**
 * What a person asked for, by the names of the options. Absent means: not said, so what the
 * configuration has stays.
 */
export interface Settings {
  /** PCI IDs in the grammar of `vfio-pci.ids`, lower case. */
  devices?: readonly string[]
  /** PCI addresses with their domain: `0000:01:00.0`; with the ID that is expected there, if known. */
  addresses?: readonly (string | ExpectedDevice)[]
  IOMMUType?: 'intel' | 'amd'
  disableEFIfb?: boolean
  blacklistNvidia?: boolean
  ignoreMSRs?: boolean
  applyACSpatch?: boolean
  bindAtBoot?: boolean
  /** Kernel modules that vfio-pci has to come before, all of them. */
  competingDrivers?: readonly string[]
  /** Names of users who may run guests. */
  users?: readonly string[]
  sharedMemoryFiles?: readonly SharedMemoryFile[]
  /** Device nodes that QEMU may open besides those that libvirt allows. */
  deviceACL?: readonly string[]
  clearEmulationCapabilities?: boolean
  hugepages?: Hugepages
}

/** A device by its place, and what is there. */
export interface ExpectedDevice {
  address: string
  /** `vvvv:dddd`. */
  id: string
}

/** A file in /dev/shm. What is absent was not said. */
export interface SharedMemoryFile {
  name: string
  user?: string
  group?: string
  mode?: string
}

export interface Hugepages {
  pageSize: '2M' | '1G'
  numPages: number
}

/** Whether anything was asked for. */
export function isEmpty(settings: Settings): boolean {
  return Object.values(settings).every(it => it === undefined)
}
