// Why a domain is changed, and what the user should check: sentences without a period.

import type { Change, Warning } from '../modernize/change.ts'

type Reason = Pick<Change, 'code' | 'why'>
type Finding = Pick<Warning, 'code' | 'what'>

// ---- changes

export function uuidMissing(): Reason {
  return {
    code: 'UUID',
    why: 'without a UUID, libvirt generates a new one each time it defines the guest, and treats it as a different guest'
  }
}

export function macMissing(): Reason {
  return {
    code: 'MAC',
    why: 'without a MAC address, libvirt generates a new one each time it defines the guest, which then finds a new network card'
  }
}

const NEW_MACHINE =
  'the guest may see its devices as new hardware, and Windows may ask for activation'

export function machineRemoved(): Reason {
  return { code: 'MACHINE', why: `QEMU removes machine types after six years; ${NEW_MACHINE}` }
}

export function machineOfDistribution(): Reason {
  return {
    code: 'MACHINE',
    why: `only another distribution's QEMU has this machine type; ${NEW_MACHINE}`
  }
}

/** `address` is the PCI address of the virtual function. */
export function virtualFunctionUnmanaged(address: string): Reason {
  return {
    code: 'MANAGED',
    why: `${address} is a virtual function, which is not bound to vfio-pci at boot, so libvirt must bind it when the guest starts`
  }
}

export function firmwareSelected(): Reason {
  return {
    code: 'FIRMWARE',
    why: "libvirt then selects this system's firmware; if the guest does not start with its old UEFI variables, restore them from a backup or let libvirt create new ones"
  }
}

export function templateDropped(): Reason {
  return {
    code: 'FIRMWARE',
    why: 'libvirt now selects the template together with the firmware'
  }
}

export function keysDropped(): Reason {
  return {
    code: 'FIRMWARE',
    why: 'NixOS ships firmware without Secure Boot keys; existing variables keep their keys, but in new variables you must enroll them'
  }
}

export function emulatorInStore(): Reason {
  return {
    code: 'EMULATOR',
    why: 'garbage collection can remove this build of QEMU; NixOS links its current build at the new path'
  }
}

export function emulatorElsewhere(): Reason {
  return { code: 'EMULATOR', why: 'NixOS links its QEMU at the new path' }
}

export function programMoved(): Reason {
  return {
    code: 'PROGRAM',
    why: 'the new path exists if environment.systemPackages contains pkgs.virtiofsd'
  }
}

export function evdevElement(): Reason {
  return { code: 'EVDEV', why: 'libvirt then gives QEMU access to the device' }
}

export function shmemElement(): Reason {
  return { code: 'SHMEM', why: 'libvirt then knows the memory and its PCI address' }
}

// ---- warnings

/** `argument` is the QEMU argument that is kept, `element` the libvirt element, as in `<shmem>`. */
export function argumentKept(argument: string, element: string): Finding {
  return { code: 'ARGUMENT', what: `kept ${argument}, which ${element} can't express` }
}

/** A firmware image that is not replaced because it is not for pflash or is for another processor. */
export function firmwareKept(image: string): Finding {
  return {
    code: 'FIRMWARE',
    what: `${missingImage(image)}; choose one from /run/libvirt/nix-ovmf`
  }
}

/** A firmware image in qcow2 format; `isSecure` if its loader has `secure='yes'`. */
export function qcow2FirmwareKept(image: string, isSecure: boolean): Finding {
  const elements = `<os firmware='efi'>${isSecure ? " with <loader secure='yes'/>" : ''}`
  return {
    code: 'FIRMWARE',
    what: `${missingImage(image)}; NixOS has only raw images, so convert the variables to raw: qemu-img convert -O raw VARS.qcow2 VARS.fd; then set <nvram> to VARS.fd, without a format attribute, and replace this <loader> with ${elements}`
  }
}

function missingImage(image: string): string {
  return `${image} does not exist on NixOS, or garbage collection can remove it`
}

export function storePath(path: string): Finding {
  return {
    code: 'STORE_PATH',
    what: `garbage collection can remove ${path}; refer to the package in Nix, as in "\${pkgs.virtio-win}/…", or copy the file`
  }
}

export function runningGuest(): Finding {
  return {
    code: 'RUNNING',
    what: 'this XML was dumped while the guest was running, so it contains runtime state; use virsh dumpxml --inactive NAME'
  }
}

export function passwordFound(): Finding {
  return {
    code: 'PASSWORD',
    what: 'there is a password here, but every user can read the Nix store'
  }
}
