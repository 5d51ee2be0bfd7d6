// Findings about kernel modules, the kernel itself and the initrd.

import type { FindingText } from '../finding.ts'

// ---- kernel modules

/** `isInInitrd` is false for `boot.kernelModules`. */
export function virqfdRemoved(module: string, isInInitrd: boolean): FindingText {
  return {
    code: 'VIRQFD',
    level: 'problem',
    message: `Linux 6.2 removed the kernel module ${module}`,
    why: isInInitrd
      ? "its code is now part of the module vfio. The build fails because the initrd can't include a missing module."
      : 'its code is now part of the module vfio. The boot log shows an error for the missing module.',
    remedy: 'remove it'
  }
}

/** `list` is the list that NixOS sorts by name. */
export function loadsBeforeVfio(
  driver: string,
  list: 'boot.initrd.kernelModules' | 'the modules of the initrd'
): FindingText {
  return {
    code: 'LOAD_ORDER',
    level: 'problem',
    message: `${driver} is loaded before vfio-pci and can take the guest's card`,
    why: `since 25.11, NixOS sorts ${list} by name; the order in the configuration has no effect.`,
    remedy: `add this line to boot.extraModprobeConfig: softdep ${driver} pre: vfio-pci`
  }
}

export function softdepOnDrm(): FindingText {
  return {
    code: 'SOFTDEP_DRM',
    level: 'problem',
    message: 'a softdep on drm has no effect',
    why: 'drm is built into NixOS kernels and never loaded as a module.',
    remedy: "name the card's driver instead, for example: softdep nvidia pre: vfio-pci"
  }
}

/** `module` is not part of Linux; `kernelPackages` is the chosen kernel, such as `pkgs.linuxPackages_latest`. */
export function fragileModule(module: string, kernelPackages: string): FindingText {
  return {
    code: 'FRAGILE_MODULE',
    level: 'note',
    message: `${module} often fails to build with the newest kernels`,
    why: `it is not part of Linux and lags behind new kernels, but ${kernelPackages} adopts them early.`,
    remedy:
      module === 'kvmfr'
        ? 'if the build fails, share the memory through a file (virtualisation.sharedMemoryFiles), or choose an older kernel'
        : 'if the build fails, choose an older kernel, for example pkgs.linuxPackages'
  }
}

// ---- the kernel and the initrd

/** `kernelPackages` is the chosen kernel; undefined for the default one. */
export function kernelWithoutAcsPatch(kernelPackages: string | undefined): FindingText {
  return {
    code: 'ACS_WITHOUT_PATCH',
    level: 'problem',
    message: 'the IOMMU groups are not split: this kernel lacks the ACS override patch',
    why: `${kernelPackages ?? 'the default kernel of NixOS'} silently ignores pcie_acs_override.`,
    remedy:
      'choose a kernel with the patch, for example boot.kernelPackages = pkgs.linuxPackages_zen, or remove this setting'
  }
}

/** `option` has commands of the scripted initrd that bind devices to vfio-pci. */
export function scriptedInitrdOnly(option: string): FindingText {
  return {
    code: 'PRE_DEVICE_COMMANDS',
    level: 'problem',
    message: `${option} is not supported with systemd in the initrd`,
    why: 'the build fails. systemd in the initrd is the default since NixOS 26.05. In the scripted initrd, preDeviceCommands run too late as well: after the modules in boot.initrd.kernelModules are loaded.',
    remedy:
      'name the devices in virtualisation.vfio.addresses (vfio-patch apply --address …), and remove the commands'
  }
}

const REPLACED_BY = {
  'virtualisation.libvirtd.enableKVM': 'QEMU uses KVM whenever the processor supports it.',
  'boot.vesa': 'The kernel draws on the framebuffer that the firmware sets up.'
} as const

/** Options that NixOS removed without a successor. */
export type RemovedOption = keyof typeof REPLACED_BY

export function optionRemoved(option: RemovedOption): FindingText {
  return {
    code: 'REMOVED_OPTION',
    level: 'problem',
    message: `NixOS no longer has the option ${option}`,
    why: `the build fails while it is set. ${REPLACED_BY[option]}`,
    remedy: 'remove it'
  }
}
