// Modules like those that were published before vfio-patch, and a configuration that uses all of them.

import { text } from '../../cli/support/text.ts'

export const OLD_VFIO: string = text`
  { lib, pkgs, config, ... }:
  with lib;
  let
    vfio = config.virtualisation.vfio;
    patch = file: {
      name = "\${file}.patch";
      url = "https://example.org/v5/\${file}.patch";
      sha256 = "0000000000000000000000000000000000000000000000000000";
    };
  in
  {
    options.virtualisation.vfio = {
      enable = mkEnableOption "passing devices through";
      IOMMUType = mkOption {
        type = types.enum [ "intel" "amd" ];
        example = "amd";
      };
      devices = mkOption {
        type = types.listOf (types.strMatching "[0-9a-f]{4}:[0-9a-f]{4}");
        default = [ ];
        example = [ "1002:73bf" "1002:ab28" ];
      };
      disableEFIfb = mkOption { type = types.bool; default = false; };
      blacklistNvidia = mkOption { type = types.bool; default = false; };
      ignoreMSRs = mkOption { type = types.bool; default = false; };
      applyACSpatch = mkOption { type = types.bool; default = false; };
    };

    config = mkIf vfio.enable {
      boot.kernelParams =
        (if vfio.IOMMUType == "intel" then [ "intel_iommu=on" "intel_iommu=igfx_off" ] else [ "amd_iommu=on" ])
        ++ optional (vfio.devices != [ ]) ("vfio-pci.ids=" + concatStringsSep "," vfio.devices)
        ++ optionals vfio.applyACSpatch [ "pcie_acs_override=downstream,multifunction" "pci=nomsi" ]
        ++ optional vfio.disableEFIfb "video=efifb:off"
        ++ optionals vfio.ignoreMSRs [ "kvm.ignore_msrs=1" "kvm.report_ignored_msrs=0" ];
      boot.kernelModules = [ "vfio_virqfd" "vfio_pci" "vfio_iommu_type1" "vfio" ];
      boot.initrd.kernelModules = [ "vfio_virqfd" "vfio_pci" "vfio_iommu_type1" "vfio" ];
      boot.blacklistedKernelModules = optionals vfio.blacklistNvidia [ "nvidia" "nouveau" ];
      boot.kernelPatches = optionals vfio.applyACSpatch [
        { name = "acs-override"; patch = pkgs.fetchurl (patch "acs"); }
        { name = "i915-vga-arbiter"; patch = pkgs.fetchurl (patch "i915"); }
      ];
      services.udev.extraRules = ''
        SUBSYSTEM=="vfio", OWNER="root", GROUP="kvm"
      '';
    };
  }
  `

export const OLD_LIBVIRT: string = text`
  { lib, config, ... }:
  let
    inherit (lib) types mkOption;
    daemon = config.virtualisation.libvirtd;
    number = yes: if yes then "1" else "0";
    quoted = lib.concatMapStringsSep ", " lib.escapeNixString daemon.deviceACL;
  in
  {
    options.virtualisation.libvirtd = {
      deviceACL = mkOption { type = types.listOf types.str; default = [ ]; };
      clearEmulationCapabilities = mkOption { type = types.bool; default = true; };
    };

    config = {
      users.users.qemu-libvirtd = {
        extraGroups = lib.optionals (!daemon.qemuRunAsRoot) [ "kvm" "input" ];
        isSystemUser = true;
      };
      virtualisation.libvirtd.qemuVerbatimConfig = ''
        clear_emulation_capabilities = \${number daemon.clearEmulationCapabilities}
        cgroup_device_acl = [ \${quoted} ]
      '';
    };
  }
  `

export const OLD_VIRTUALISATION: string = text`
  { lib, config, ... }:
  with lib;
  let
    name = default: mkOption { type = types.str; inherit default; };
    size = mkOption { type = types.strMatching "[0-9]*[kKmMgG]"; default = "1M"; };
    line = name: file: "f /dev/shm/\${name} \${file.mode} \${file.user} \${file.group} -";
    pages = config.virtualisation.hugepages;
  in
  {
    options.virtualisation.sharedMemoryFiles = mkOption {
      type = types.attrsOf (types.submodule {
        options = { user = name "root"; group = name "root"; mode = name "0600"; };
      });
      default = { };
    };
    options.virtualisation.hugepages = {
      enable = mkEnableOption "huge pages";
      defaultPageSize = size;
      pageSize = size;
      numPages = mkOption { type = types.ints.positive; default = 1; };
    };

    config.systemd.tmpfiles.rules = mapAttrsToList line config.virtualisation.sharedMemoryFiles;
    config.boot.kernelParams = optionals pages.enable [
      "default_hugepagesz=\${pages.defaultPageSize}"
      "hugepagesz=\${pages.pageSize}"
      "hugepages=\${toString pages.numPages}"
    ];
  }
  `

/** The three modules by their usual file names. */
export const OLD_MODULES: Record<string, string> = {
  'vfio.nix': OLD_VFIO,
  'libvirt.nix': OLD_LIBVIRT,
  'virtualisation.nix': OLD_VIRTUALISATION
}

/** A configuration that uses the modules to pass a GTX 1080 through; the host keeps another card. */
export const OLD_USAGE: string = text`
  { config, pkgs, ... }:

  {
    imports = [
      ./vfio.nix
      ./libvirt.nix
      ./virtualisation.nix
    ];

    virtualisation = {
      sharedMemoryFiles = {
        scream = { user = "alice"; group = "qemu-libvirtd"; mode = "666"; };
        looking-glass = { user = "alice"; group = "qemu-libvirtd"; mode = "666"; };
      };
      libvirtd = {
        enable = true;
        qemuOvmf = true;
        qemuRunAsRoot = false;
        onBoot = "ignore";
        onShutdown = "shutdown";
        clearEmulationCapabilities = false;
        deviceACL = [
          "/dev/input/by-id/usb-Keyboard-event-kbd"
          "/dev/vfio/vfio"
          "/dev/kvm"
          "/dev/shm/scream"
          "/dev/shm/looking-glass"
        ];
      };
      vfio = {
        enable = true;
        IOMMUType = "amd";
        devices = [ "10de:1b80" "10de:10f0" ];
        blacklistNvidia = true;
        disableEFIfb = true;
        ignoreMSRs = true;
      };
    };

    system.stateVersion = "26.05";
  }
  `
