// Why a domain is changed, and what its owner should check. These are sentences without a period.

import type { Change, Warning } from '../modernize/change.ts'

type Reason = Pick<Change, 'code' | 'why'>
type Finding = Pick<Warning, 'code' | 'what'>

// ---- changes

export function uuidMissing(): Reason {
  return {
    code: 'UUID',
    why: 'without one, libvirt generates a new UUID each time and no longer recognizes the guest'
  }
}

export function macMissing(): Reason {
  return {
    code: 'MAC',
    why: 'without one, libvirt generates a new address each time, and the guest finds a new network card'
  }
}

const NEW_MACHINE = 'the guest may detect its devices again, and Windows may ask for activation'

export function machineRemoved(): Reason {
  return { code: 'MACHINE', why: `QEMU removes machine types after six years; ${NEW_MACHINE}` }
}

export function machineOfDistribution(): Reason {
  return { code: 'MACHINE', why: `only another distribution's QEMU has it; ${NEW_MACHINE}` }
}

/** `address` is the PCI address of the virtual function. */
export function virtualFunctionUnmanaged(address: string): Reason {
  return {
    code: 'MANAGED',
    why: `${address} is a virtual function, which is not bound at boot, so libvirt must bind it when the guest starts`
  }
}

export function firmwareSelected(): Reason {
  return {
    code: 'FIRMWARE',
    why: "libvirt then selects this system's firmware; if the guest does not start with its old variables, restore them or let libvirt create new ones"
  }
}

export function templateDropped(): Reason {
  return {
    code: 'FIRMWARE',
    why: 'the template belongs to the firmware, which libvirt now selects'
  }
}

export function keysDropped(): Reason {
  return {
    code: 'FIRMWARE',
    why: 'NixOS ships firmware without Secure Boot keys; existing variables keep their keys, new ones need them enrolled'
  }
}

export function emulatorInStore(): Reason {
  return {
    code: 'EMULATOR',
    why: 'garbage collection can remove this build of QEMU; NixOS links the current one at the new path'
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

/** A firmware image that is not replaced: not for pflash, or for another processor. */
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
    what: `${missingImage(image)}; NixOS has raw images, so make the variables raw too: qemu-img convert -O raw VARS.qcow2 VARS.fd; then set <nvram> to that file without a format, and replace this <loader> with ${elements}`
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
    what: 'the guest was running when this was dumped, so it contains state of that run; use virsh dumpxml --inactive NAME'
  }
}

export function passwordFound(): Finding {
  return {
    code: 'PASSWORD',
    what: 'there is a password here, and every user can read the Nix store'
  }
}
