// Findings about libvirt's options and its qemu.conf.

import type { FindingText } from '../finding.ts'

export function ovmfOption(): FindingText {
  return {
    code: 'OVMF_OPTION',
    level: 'problem',
    message: 'NixOS no longer has options for OVMF',
    why: 'since NixOS 25.11, all firmware that comes with QEMU is available without an option. The build fails while an OVMF option is set.',
    remedy: "remove it; in the domain, <os firmware='efi'> finds the firmware without a path"
  }
}

/** Both names are relative to `virtualisation.libvirtd`. */
export function optionRenamed(name: string, newName: string): FindingText {
  return {
    code: 'RENAMED_OPTION',
    level: 'note',
    message: `virtualisation.libvirtd.${name} was renamed to ${newName}`,
    why: 'NixOS still accepts the old name, with a warning at each build.',
    remedy: `write virtualisation.libvirtd.${newName}`
  }
}

/** `missing` are devices that QEMU needs and that the list lacks. */
export function deviceListIncomplete(missing: readonly string[]): FindingText {
  return {
    code: 'ACL_INCOMPLETE',
    level: 'problem',
    message: `cgroup_device_acl lacks ${missing.join(', ')}`,
    why: "this list replaces libvirt's own, so QEMU may not open the missing devices, and guests do not start.",
    remedy:
      'move only your own devices to virtualisation.libvirtd.deviceACL (vfio-patch apply --device-acl …) and remove this list, or add the missing devices'
  }
}

export function storePathInQemuConf(path: string): FindingText {
  return storePath(
    'qemu.conf contains a path in the Nix store',
    /ovmf/i.test(path)
      ? 'remove it: libvirt finds the firmware that comes with QEMU'
      : 'refer to the package instead, for example ${pkgs.qemu}'
  )
}

/** `element` is the element of the domain that contains the path. */
export function storePathInDomain(element: string): FindingText {
  return storePath(
    'the domain contains a path in the Nix store',
    element === 'emulator'
      ? 'omit the emulator, or write /run/libvirt/nix-emulators/qemu-system-x86_64'
      : "write <os firmware='efi'> and omit the path"
  )
}

function storePath(message: string, remedy: string): FindingText {
  return {
    code: 'STORE_PATH',
    level: 'problem',
    message,
    why: 'after an update and a garbage collection the path is gone, and the guest does not start.',
    remedy
  }
}

/** `file` is a file name such as `OVMF_CODE.fd`. */
export function firmwareFileRemoved(file: string): FindingText {
  return {
    code: 'OVMF_FILE',
    level: 'problem',
    message: `NixOS 25.11 removed ${file}`,
    why: "the firmware files now have QEMU's own names, so a guest with this path does not start.",
    remedy: "write <os firmware='efi'> and omit the path, or write edk2-x86_64-code.fd"
  }
}

export function namespacesLost(): FindingText {
  return {
    code: 'NAMESPACES',
    level: 'problem',
    message: "this discards NixOS' default for QEMU, namespaces = []",
    why: 'NixOS drops the default when the option is set. Each QEMU then gets its own /dev, without devices that are added later or that libvirt does not know.',
    remedy: 'add the line: namespaces = []'
  }
}

/** `isSet` if the configuration sets `onShutdown = "suspend"`; otherwise it has this value by default. */
export function suspendsAtShutdown(isSet: boolean): FindingText {
  return {
    code: 'SHUTDOWN_SUSPENDS',
    level: isSet ? 'problem' : 'note',
    message: `${isSet ? '' : 'by default, '}libvirt saves guests when the host shuts down, which fails with a passed-through device`,
    why: 'the host waits in vain for the guest to be saved, then kills it.',
    remedy: 'set virtualisation.libvirtd.onShutdown = "shutdown";'
  }
}

export function guestsWithoutNetwork(): FindingText {
  return {
    code: 'GUEST_NETWORK',
    level: 'note',
    message: "guests on libvirt's default network may get no address",
    why: "with nftables, NixOS' firewall drops their DHCP and DNS requests to the host.",
    remedy:
      'if a guest has no network, set networking.firewall.interfaces.virbr0 = { allowedUDPPorts = [ 53 67 ]; allowedTCPPorts = [ 53 ]; };'
  }
}

export function diskInHome(): FindingText {
  return {
    code: 'IMAGE_IN_HOME',
    level: 'note',
    message: "a guest's disk is in a home folder, which QEMU may not be allowed to enter",
    why: 'with runAsRoot = false, QEMU runs as the user qemu-libvirtd, and home folders are closed to other users. libvirt gives it access to the file, but not to the folders above it.',
    remedy:
      'move the disk to /var/lib/libvirt/images, or let other users enter the folders: chmod o+x'
  }
}
