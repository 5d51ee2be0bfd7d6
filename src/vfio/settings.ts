/**
 * What a person asked for, by the names of the options. Absent means: not said, so what the
 * configuration has stays.
 */
export interface Settings {
  /** PCI IDs in the grammar of `vfio-pci.ids`, lower case. */
  devices?: readonly string[]
  /** PCI addresses with their domain: `0000:01:00.0`. */
  addresses?: readonly string[]
  IOMMUType?: 'intel' | 'amd'
  disableEFIfb?: boolean
  blacklistNvidia?: boolean
  ignoreMSRs?: boolean
  applyACSpatch?: boolean
  bindAtBoot?: boolean
  /** Names of users who may run guests. */
  users?: readonly string[]
  sharedMemoryFiles?: readonly SharedMemoryFile[]
  /** Device nodes that QEMU may open besides those that libvirt allows. */
  deviceACL?: readonly string[]
  clearEmulationCapabilities?: boolean
  hugepages?: Hugepages
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
