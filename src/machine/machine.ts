// What is known of a machine, as plain data. What could not be found out is undefined.

export interface Machine {
  /** In the order of their addresses. */
  devices: readonly PciDevice[]
  iommu: Iommu
  cpu: Cpu
  memory: Memory
  firmware: Firmware
  /** The parameters that the running kernel was started with. */
  kernelParams: readonly string[]
  /** The running kernel, such as `6.18.2`. */
  kernel?: string
  /** The release of NixOS, such as `26.05`; absent on another system. */
  nixos?: string
  /** What the host has on its disks. */
  storage: readonly StorageUse[]
  /** The block devices and what the host does with each; absent where the machine does not say. */
  blocks?: readonly BlockDevice[]
  /** Whether the host has a pool of ZFS; absent where it has none. */
  hasPools?: true
  networks: readonly Network[]
  /** The bridges that there are now, those of libvirt's networks included. */
  bridges?: readonly string[]
  keyboards: readonly Keyboard[]
  /** The kernel modules that are loaded. */
  modules?: readonly string[]
  /** What the kernel wrote into its log; only root may read that. */
  log?: KernelLog
  /** The systems of NixOS, as they were built. */
  systems?: Systems
}

export interface Systems {
  /** What the machine was started with. */
  booted?: System
  /** What was switched to since. */
  current?: System
  /** What it starts with unless another is chosen in the boot menu. */
  next?: System
  /**
   * The specialisation that it was started with, be that of an older generation; blank for the usual boot
   * entry, absent where that is not known.
   */
  entry?: string
}

/** One boot entry of NixOS, as it was built. */
export interface System {
  /** Its path in the store. */
  path: string
  /** The parameters that its kernel is started with. */
  kernelParams: readonly string[]
  /** Where its kernel, initrd and modules are in the store. */
  kernel?: string
  initrd?: string
  modules?: string
  /** The further boot entries that were built with it. */
  specialisations: readonly { name: string; system: System }[]
}

export interface KernelLog {
  /** Whether nothing of the start is lost. */
  isWhole: boolean
  /** Whether a patch for ACS is at work. */
  splitsGroups: boolean
}

export interface PciDevice {
  /** With its domain: `0000:01:00.0`. */
  address: string
  /** Four lower-case hex digits each, as is the ID `vvvv:dddd` that is made from them. */
  vendor: string
  device: string
  /** Six lower-case hex digits: class, subclass, interface. */
  class: string
  /** The driver that has it now, and the kernel module that this driver is from. */
  driver?: string
  module?: string
  /** The driver that it is reserved for, whatever others say. */
  reservedFor?: string
  /** The modules that say they are drivers for it; absent where nobody says. */
  suitable?: readonly string[]
  /** The IOMMU group; absent where the kernel uses no IOMMU. */
  group?: string
  /** Whether the firmware drew its first screen on it; only display devices say so. */
  bootVga?: boolean
  /** Whether the kernel draws on it still with what the firmware set up. */
  holdsFramebuffer?: boolean
  /** The places for monitors that its driver knows. */
  connectors: readonly Connector[]
  /** How it can be reset, the best first; empty if it can't be, absent if nobody says. */
  resetMethods?: readonly string[]
  /** The largest window into its memory, in bytes. */
  window: number
  /** The addresses of the bridges above it, the outermost first. */
  upstreamBridges: readonly string[]
  /** The address of the device that it is a virtual function of (SR-IOV); absent for every other device. */
  physicalFunction?: string
  /** What it says about the virtual functions that it can have; absent for a device that can have none. */
  sriov?: Sriov
}

/** What a physical function says about its virtual functions, also while there are none. */
export interface Sriov {
  /** How many it can have at most. */
  total: number
  /** The second half of the ID of each, four lower-case hex digits; absent where the kernel does not say. */
  device?: string
  /**
   * The distance from the physical function to its first virtual function, and from each to the next one, in
   * routing IDs (bus, slot and function as one number); absent where the kernel does not say, which can be
   * so while there are none.
   */
  offset?: number
  stride?: number
}

export interface Connector {
  /** As the kernel calls it: `DP-1`, `eDP-1`. */
  name: string
  isConnected: boolean
}

export interface Iommu {
  /** Whether the firmware tells the kernel of one. */
  isOffered?: boolean
  /** How many groups the kernel made; it uses an IOMMU if there are any. */
  groups: number
}

export interface Cpu {
  vendor?: 'intel' | 'amd'
  model?: string
  /** Whether it can run guests at full speed. */
  hasVirtualisation?: boolean
  /** Whether it has pages of 1 GiB. */
  hasHugePages1G?: boolean
  /** The numbers of the processors that are in use, as the kernel spells them: `0-7,16-23`. */
  online?: string
}

export interface Memory {
  /** In KiB, as the kernel counts. */
  total?: number
  hugepages: readonly { sizeKiB: number; count: number }[]
}

export interface Firmware {
  isEfi: boolean
  board?: string
  isLaptop: boolean
  /** What the switch of a laptop lets draw on its own panel. */
  mux?: 'integrated' | 'discrete'
}

/** Something of the host's that is gone when a device is given away. */
export interface ReachedThrough {
  /** The PCI devices that it is reached through; empty where that is unknown or none. */
  through: readonly string[]
}

export interface StorageUse extends ReachedThrough {
  kind: 'mount' | 'swap' | 'luks' | 'zfs'
  /** Where it is mounted; else the block device. */
  name: string
  /** The name of the block device, such as `nvme0n1p2`. */
  blockDevice: string
}

/** A disk, a partition, an array or a mapping, as the kernel has it. */
export interface BlockDevice {
  /** The name of the kernel: `nvme0n1p2`, `dm-0`. */
  name: string
  /** Its major and minor number: `259:2`. */
  number?: string
  /** The block device that it is a partition of. */
  disk?: string
  /** The block devices that it is made of: members of an array, or what a mapping lies on. */
  parts: readonly string[]
  /** The name of a mapping, as in `/dev/mapper/NAME`. */
  mapping?: string
  /** Its other paths below `/dev`, such as `disk/by-id/…`; absent where they are not all known. */
  links?: readonly string[]
  /** Host, bus, target and unit of a SCSI device: `0:0:0:0`. */
  scsi?: string
  /** The character device that takes SCSI commands for it: `sg0`. */
  generic?: string
  /** The USB device that it is in. */
  usb?: UsbPlace
  /** Whether it can be unplugged while the machine runs. */
  isRemovable: boolean
  /** What udev found on it, in the words of libblkid: `ext4`, `crypto_LUKS`, `LVM2_member`. */
  content?: string
  /** The name of the ZFS pool that it is a member of, where udev says it. */
  pool?: string
  /** What the host does with this block device itself at this moment. */
  uses: readonly BlockUse[]
}

/** Something that the host does with a block device. */
export interface BlockUse {
  /** `mapping` is a mapping that is of no kind known here; the others but `mount` and `swap` are memberships. */
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
  /** The mount point; or the mapping, array or pool that it is a member of. Empty where that is unknown. */
  name: string
}

/** A USB device: four lower-case hex digits each for vendor and product, numbers of its bus and on it. */
export interface UsbPlace {
  vendor?: string
  product?: string
  bus?: number
  device?: number
  /** The bus and the ports on the way to it: `2-1.4`. */
  port: string
}

export interface Network extends ReachedThrough {
  /** The interface: `enp5s0`. */
  name: string
  isUp: boolean
}

export interface Keyboard extends ReachedThrough {
  name: string
  /** Whether what it is part of has a mouse as well, as receivers and many mice have. */
  hasMouse: boolean
  /** Whether it is built in or at a port of its own, so that no PCI device can take it away. */
  isBuiltIn: boolean
}

/** Vendor and device as the kernel writes them: `10de:1b80`. */
export function idOf({ vendor, device }: PciDevice): string {
  return `${vendor}:${device}`
}

/** Domain, bus and slot: what the functions of one card have in common. */
export function slotOf(address: string): string {
  return address.replace(/\.[0-7]$/, '')
}

/** The PCI addresses that a path of sysfs goes through, the outermost first. */
export function addressesIn(path: string): string[] {
  return path.match(/\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](?=\/|$)/g) ?? []
}
