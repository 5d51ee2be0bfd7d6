/** The settings with types of their own; the type of any other one comes from its row in the table. */
export interface NamedSettings {
  /** PCI IDs in the grammar of `vfio-pci.ids`, lower case. */
  devices?: readonly string[]
  /** PCI addresses with their domain: `0000:01:00.0`; with the ID that is expected there, if known. */
  addresses?: readonly (string | ExpectedDevice)[]
  /** Kernel modules that vfio-pci has to come before, all of them. */
  competingDrivers?: readonly string[]
  /** Names of users who may run guests. */
  users?: readonly string[]
  sharedMemoryFiles?: readonly SharedMemoryFile[]
  hugepages?: Hugepages
  /** Whether devices and addresses come to those that the configuration has, instead of in their place. */
  addsDevices?: boolean
  /** Sizes of the devices of kvmfr in MiB, where the configuration has none. */
  kvmfr?: readonly number[]
  /** Whether libvirt can play a TPM. */
  swtpm?: boolean
  guests?: readonly GuestSettings[]
}

/** A guest by its name in libvirt. */
export interface GuestSettings {
  name: string
  /** The processors that the host keeps while it runs (`0-1,8-9`), where the configuration says nothing of it. */
  hostCPUs?: string
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
