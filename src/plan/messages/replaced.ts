// Sentences about settings of old guides that vfio-patch's options replace, or that conflict with them.

/** `source` is the kernel parameter as written. */
export function efifbReplaced(source: string): string {
  return `${source} has had no effect since Linux 5.15; if you need it, use virtualisation.vfio.disableEFIfb`
}

export function idsMoved(option: string): string {
  return `${option} lists IDs for vfio-pci; vfio-patch writes its own list, and only one takes effect`
}

export function aclMoved(): string {
  return 'virtualisation.libvirtd.deviceACL writes cgroup_device_acl'
}

/** An error of the toolkit without its place, which the caller adds. */
interface Conflict {
  code: 'CONFLICT'
  message: string
  hint: string
}

export function otherIDs(): Conflict {
  return {
    code: 'CONFLICT',
    message:
      'this lists IDs for vfio-pci, but only one list can take effect: this one or virtualisation.vfio.devices',
    hint: 'remove the IDs here, then run this again; list all devices for guests in virtualisation.vfio.devices'
  }
}

/** The keys of qemu.conf that vfio-patch's options write, each with what to write instead. */
const INSTEAD = {
  cgroup_device_acl: 'its devices as virtualisation.libvirtd.deviceACL = [ … ];',
  clear_emulation_capabilities: 'virtualisation.libvirtd.clearEmulationCapabilities = false;'
}

export function keyWrittenTwice(key: keyof typeof INSTEAD): Conflict {
  return {
    code: 'CONFLICT',
    message: `this and vfio-patch's modules both set ${key}, but libvirt reads only one of them`,
    hint: `write ${INSTEAD[key]} here instead, then run this again`
  }
}
