/** Settings with types of their own. The types of other settings come from their rows in the table. */
export interface NamedSettings {
  /** PCI IDs in the grammar of `vfio-pci.ids`, lower case. */
  devices?: readonly string[]
  /** PCI addresses with domain (`0000:01:00.0`), with the expected device ID if known. */
  addresses?: readonly (string | ExpectedDevice)[]
  /** All kernel modules before which vfio-pci has to be loaded. */
  competingDrivers?: readonly string[]
  /** Names of users who may run guests. */
  users?: readonly string[]
  sharedMemoryFiles?: readonly SharedMemoryFile[]
  hugepages?: Hugepages
  /** Whether devices and addresses are added to those of the configuration instead of replacing them. */
  addsDevices?: boolean
  /** Sizes of the kvmfr devices in MiB, used if the configuration defines none. */
  kvmfr?: readonly number[]
  /** Whether libvirt can emulate a TPM. */
  swtpm?: boolean
  guests?: readonly GuestSettings[]
}

/** A guest by its name in libvirt. */
interface GuestSettings {
  name: string
  /** The processors that the host keeps while the guest runs (`0-1,8-9`), if the configuration sets none. */
  hostCPUs?: string
}

/** A device by its address, with the ID that is expected there. */
export interface ExpectedDevice {
  address: string
  /** `vvvv:dddd`. */
  id: string
}

/** A file in /dev/shm. Absent properties have their defaults. */
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
