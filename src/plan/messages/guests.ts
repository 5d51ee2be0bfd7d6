// Words about guests and their disks.

import type { DiskName } from '../../guests/needs/disks.ts'

/** The remark in the first line of a guest's file. */
export const GUEST_REMARK = 'a guest, made from its XML; you can edit this file'

/** The disk as messages name it: its path, or another name that the domain has for it. */
export function diskLabel(disk: DiskName): string {
  switch (disk.kind) {
    case 'path':
    case 'folder':
      return disk.path
    case 'volume':
      return `the volume ${disk.volume} of the pool ${disk.pool}`
    case 'scsi':
      return `the SCSI device ${disk.address}`
    case 'usb':
      if ('port' in disk) return `the USB device at port ${disk.port}`
      return 'vendor' in disk
        ? `the USB device ${disk.vendor}:${disk.product}`
        : `the USB device ${disk.device} on bus ${disk.bus}`
  }
}
