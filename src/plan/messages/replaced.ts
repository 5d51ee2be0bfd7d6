// Sentences about settings of old guides that options of vfio-patch replace, or conflict with.

/** `source` is the kernel parameter as written. */
export function efifbReplaced(source: string): string {
  return `${source} does nothing since Linux 5.15; virtualisation.vfio.disableEFIfb works if it is needed`
}

export function idsMoved(option: string): string {
  return `IDs for vfio-pci are in ${option}, and only one of the lists takes effect`
}

export function aclMoved(): string {
  return 'cgroup_device_acl is written by virtualisation.libvirtd.deviceACL'
}

/** A refusal in the words of the toolkit; its place is added where it is raised. */
interface Conflict {
  code: 'CONFLICT'
  message: string
  hint: string
}

export function otherIDs(): Conflict {
  return {
    code: 'CONFLICT',
    message:
      'this already lists IDs for vfio-pci, and it cannot take effect together with virtualisation.vfio.devices',
    hint: 'remove them here, then run this again; add other devices for guests to virtualisation.vfio.devices'
  }
}

/** The keys of qemu.conf that options of vfio-patch write, and what to write for each instead. */
const INSTEAD = {
  cgroup_device_acl: 'its devices as virtualisation.libvirtd.deviceACL = [ … ];',
  clear_emulation_capabilities: 'virtualisation.libvirtd.clearEmulationCapabilities = false;'
}

export function keyWrittenTwice(key: keyof typeof INSTEAD): Conflict {
  return {
    code: 'CONFLICT',
    message: `${key} is already set here, and libvirt reads only one of the two`,
    hint: `write ${INSTEAD[key]} here instead, then run this again`
  }
}
