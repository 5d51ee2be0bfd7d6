/** The properties of a NixOS release that the modules depend on. */
export interface Release {
  name: string
  /** Its default kernel. */
  kernel: string
  /** The arguments of nixosOptions.nix for the release. */
  shape: string
  /** Whether lists of kernel modules are sorted. */
  sorts: boolean
  stage1: 'scripted' | 'systemd'
  /** Whether `hardware.nvidia.moduleParams` is declared. */
  hasModuleParams: boolean
}

/**
 * The releases that the modules support, and the release before them. Their differences in nixpkgs:
 *
 * - the lists of kernel modules are sets of names since pull request 375975 (June 2025), see
 *   `attrNamesToTrue` in nixos/modules/system/boot/kernel.nix
 * - systemd stage 1 is the default since pull request 435781 (April 2026), which announces that
 *   26.11 has no other stage 1; nixos/modules/system/boot/systemd/initrd.nix
 * - `libvirtd.qemu.ovmf` is only a stub that rejects any value since pull request 421549 (July 2025);
 *   nixos/modules/virtualisation/libvirtd.nix
 * - NVIDIA's parameters are `hardware.nvidia.moduleParams` since pull request 498612 (April 2026);
 *   nixos/modules/hardware/video/nvidia.nix
 * - a kernel parameter may have spaces only in quotation marks in unstable;
 *   nixos/modules/system/boot/kernel.nix (`kernelParam`)
 * - the kernels: `linuxPackages` in pkgs/top-level/linux-kernels.nix; for unstable a newer one than the
 *   default, to test Linux 7
 */
export const RELEASES: readonly Release[] = [
  {
    name: '24.11',
    kernel: '6.6.88',
    shape: shape(
      '6.6.88',
      'scripted',
      'sortsModules = false; partsParams = false; ovmf = true; moduleParams = false;'
    ),
    sorts: false,
    stage1: 'scripted',
    hasModuleParams: false
  },
  {
    name: '25.11',
    kernel: '6.12.60',
    shape: shape('6.12.60', 'scripted', 'partsParams = false; moduleParams = false;'),
    sorts: true,
    stage1: 'scripted',
    hasModuleParams: false
  },
  {
    name: '26.05',
    kernel: '6.18.9',
    shape: shape('6.18.9', 'systemd', 'partsParams = false;'),
    sorts: true,
    stage1: 'systemd',
    hasModuleParams: true
  },
  {
    name: 'unstable',
    kernel: '7.1.4',
    shape: shape('7.1.4', 'only'),
    sorts: true,
    stage1: 'systemd',
    hasModuleParams: true
  }
]

function shape(kernel: string, stage1: string, more = ''): string {
  return `kernelVersion = "${kernel}"; stage1 = "${stage1}"; ${more}`
}
