// The facts about a machine, as plain data. Unknown facts are undefined.

export interface Machine {
  /** In the order of their addresses. */
  devices: readonly PciDevice[]
  iommu: Iommu
  cpu: Cpu
  memory: Memory
  firmware: Firmware
  /** The parameters of the running kernel. */
  kernelParams: readonly string[]
  /** The running kernel, such as `6.18.2`. */
  kernel?: string
  /** The release of NixOS, such as `26.05`; absent on other systems. */
  nixos?: string
  /** How the host uses its disks. */
  storage: readonly StorageUse[]
  /** The block devices and how the host uses each; absent if unknown. */
  blocks?: readonly BlockDevice[]
  /** True if a ZFS pool is imported; otherwise absent. */
  hasPools?: true
  networks: readonly Network[]
  /** The names of network bridges, including those of libvirt. */
  bridges?: readonly string[]
  keyboards: readonly Keyboard[]
  /** The loaded kernel modules. */
  modules?: readonly string[]
  /** Facts from the kernel log, which only root can read. */
  log?: KernelLog
  /** The NixOS systems, as built. */
  systems?: Systems
}

export interface Systems {
  /** The system that was booted. */
  booted?: System
  /** The system that was activated last. */
  current?: System
  /** The system of the default boot entry for the next boot. */
  next?: System
  /**
   * The booted specialisation, possibly of an older generation; empty for the default boot entry, absent if unknown.
   */
  entry?: string
}

/** One boot entry of NixOS, as built. */
export interface System {
  /** Its store path. */
  path: string
  kernelParams: readonly string[]
  /** The store paths of its kernel, initrd and modules. */
  kernel?: string
  initrd?: string
  modules?: string
  specialisations: readonly { name: string; system: System }[]
}

export interface KernelLog {
  /** True if the messages since boot are complete. */
  isComplete: boolean
  /** True if the ACS override patch is active. */
  hasAcsOverride: boolean
}

export interface PciDevice {
  /** With its domain: `0000:01:00.0`. */
  address: string
  /** Four lower-case hex digits each; the device ID is `vvvv:dddd`. */
  vendor: string
  device: string
  /** Six lower-case hex digits: class, subclass, interface. */
  class: string
  /** The current driver, and the kernel module that contains it. */
  driver?: string
  module?: string
  /** The `driver_override`: the only driver that may bind the device. */
  reservedFor?: string
  /** The kernel modules with an alias for the device; absent if unknown. */
  suitable?: readonly string[]
  /** The IOMMU group; absent if the kernel uses no IOMMU. */
  group?: string
  /** True if the firmware used it as the boot display; only for display devices. */
  bootVga?: boolean
  /** True if the kernel still uses the firmware's framebuffer on this device. */
  holdsFramebuffer?: boolean
  /** The connectors for monitors that its driver reports. */
  connectors: readonly Connector[]
  /** Its reset methods, best first; empty if it can't be reset, absent if unknown. */
  resetMethods?: readonly string[]
  /** The size of its largest prefetchable memory region (BAR), in bytes. */
  window: number
  /** The addresses of the bridges above it, outermost first. */
  upstreamBridges: readonly string[]
  /** For a virtual function (SR-IOV), the address of its physical function. */
  physicalFunction?: string
  /** Its SR-IOV capability; absent for a device that can't have virtual functions. */
  sriov?: Sriov
}

/** The virtual functions that a physical function can have, whether its driver has created them or not. */
export interface Sriov {
  /** The maximum number. */
  total: number
  /** The `dddd` in the ID of the virtual functions, four lower-case hex digits; absent if unknown. */
  device?: string
  /**
   * The distances from the physical function to its first virtual function (`offset`) and from each virtual function to
   * the next (`stride`), in routing IDs (bus, slot and function as one number). Absent if unknown, which is possible
   * while there are no virtual functions.
   */
  offset?: number
  stride?: number
}

export interface Connector {
  /** The kernel's name: `DP-1`, `eDP-1`. */
  name: string
  isConnected: boolean
}

export interface Iommu {
  /** True if the firmware tables describe an IOMMU. */
  isOffered?: boolean
  /** The number of IOMMU groups; the kernel uses an IOMMU if there are any. */
  groups: number
}

export interface Cpu {
  vendor?: 'intel' | 'amd'
  model?: string
  /** True if it supports VT-x or AMD-V. */
  hasVirtualisation?: boolean
  /** True if it supports pages of 1 GiB. */
  hasHugePages1G?: boolean
  /** The online processors in the kernel's format: `0-7,16-23`. */
  online?: string
}

export interface Memory {
  /** In KiB. */
  total?: number
  hugepages: readonly { sizeKiB: number; count: number }[]
}

export interface Firmware {
  isEfi: boolean
  board?: string
  isLaptop: boolean
  /** The card to which a laptop's mux connects the panel. */
  mux?: 'integrated' | 'discrete'
}

/** A resource that the host loses if a PCI device that leads to it is passed through. */
export interface ReachedThrough {
  /** The addresses of the PCI devices that lead to it; empty if there are none or they are unknown. */
  through: readonly string[]
}

export interface StorageUse extends ReachedThrough {
  kind: 'mount' | 'swap' | 'luks' | 'zfs'
  /** The mount point; without one, the block device. */
  name: string
  /** The name of the block device, such as `nvme0n1p2`. */
  blockDevice: string
}

/** A disk, a partition, an array or a mapping. */
export interface BlockDevice {
  /** The kernel's name: `nvme0n1p2`, `dm-0`. */
  name: string
  /** Its major and minor number: `259:2`. */
  number?: string
  /** The block device that it is a partition of. */
  disk?: string
  /** The block devices that it is built on: members of an array or of a mapping. */
  parts: readonly string[]
  /** The name of a mapping in `/dev/mapper`. */
  mapping?: string
  /** Its symlinks, relative to `/dev`, such as `disk/by-id/…`; absent if not all are known. */
  links?: readonly string[]
  /** The SCSI address, as host, bus, target and unit: `0:0:0:0`. */
  scsi?: string
  /** The character device for SCSI commands: `sg0`. */
  generic?: string
  /** The USB device that it is part of. */
  usb?: UsbPlace
  /** True if it can be unplugged while the machine runs. */
  isRemovable: boolean
  /** Its content according to udev, as named by libblkid: `ext4`, `crypto_LUKS`, `LVM2_member`. */
  content?: string
  /** The ZFS pool that it is a member of, if udev knows it. */
  pool?: string
  /** How the host uses this block device itself now. */
  uses: readonly BlockUse[]
}

/** A use of a block device by the host. */
export interface BlockUse {
  /** `mapping` is a mapping of unknown kind. All but `mount` and `swap` are memberships. */
  kind:
    | 'mount'
    | 'swap'
    | 'luks'
    | 'lvm'
    | 'md'
    | 'zfs'
    | 'btrfs'
    | 'bcachefs'
    | 'bcache'
    | 'loop'
    | 'mapping'
  /** The mount point, or the mapping, array or pool that it is a member of; empty if unknown. */
  name: string
}

/** A USB device. */
export interface UsbPlace {
  /** Four lower-case hex digits each. */
  vendor?: string
  product?: string
  /** The number of its bus, and its number on the bus. */
  bus?: number
  device?: number
  /** Its bus and ports: `2-1.4`. */
  port: string
}

export interface Network extends ReachedThrough {
  /** The interface: `enp5s0`. */
  name: string
  isUp: boolean
}

export interface Keyboard extends ReachedThrough {
  name: string
  /** True if its USB device also has a mouse, like receivers and many mice. */
  hasMouse: boolean
  /** True if it is connected without a PCI device, so that the host can't lose it. */
  isBuiltIn: boolean
}

/** The device ID, vendor and device: `10de:1b80`. */
export function idOf({ vendor, device }: PciDevice): string {
  return `${vendor}:${device}`
}

/** The address without the function: `0000:01:00`. */
export function slotOf(address: string): string {
  return address.replace(/\.[0-7]$/, '')
}

/** The PCI addresses in a sysfs path, outermost first. */
export function addressesIn(path: string): string[] {
  return path.match(/\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](?=\/|$)/g) ?? []
}
