# Turns the IOMMU on, and binds the devices to vfio-pci before another driver can bind them.
{
  config,
  lib,
  options,
  ...
}:

let
  inherit (lib)
    any
    concatStringsSep
    mkBefore
    mkDefault
    mkIf
    mkMerge
    optional
    optionalAttrs
    optionals
    optionalString
    splitString
    versionAtLeast
    ;

  cfg = config.virtualisation.vfio;

  # Only for the kernel's version. The choice of the kernel and its patches must not depend on the
  # version, because that recursion would be infinite.
  inherit (config.boot.kernelPackages) kernel;

  vfioModules = [
    "vfio_pci"
    "vfio"
    "vfio_iommu_type1"
  ];

  # NixOS sorts the modules of the initrd by name, so amdgpu, i915, nouveau and nvidia come before
  # vfio_pci. These lines load vfio-pci first.
  softdepFor =
    driver:
    # modprobe uses one softdep line per module, and NixOS sets nvidia-uvm for its NVIDIA driver.
    "softdep ${driver} pre: vfio-pci${optionalString (driver == "nvidia") " post: nvidia-uvm"}";

  softdeps = map softdepFor cfg.competingDrivers;

  bindsByID = cfg.bindAtBoot && cfg.devices != [ ];
  bindsByAddress = cfg.bindAtBoot && cfg.addresses != [ ];

  # A shell command that reserves a device for vfio-pci: with a driver_override, no other driver can
  # bind the device, not even a driver that is already loaded. The command must be valid in sh and in
  # an install rule of modprobe, and have no backslashes.
  reserve =
    { address, id }:
    let
      device = "/sys/bus/pci/devices/${address}";
      steps =
        optionals (id != null) [
          "read -r vendor < ${device}/vendor"
          "read -r device < ${device}/device"
          ''[ "$vendor:$device" = 0x${lib.replaceStrings [ ":" ] [ ":0x" ] id} ]''
        ]
        ++ [ "echo vfio-pci > ${device}/driver_override" ];
      complaint =
        if id == null then
          "there is no device at ${address}"
        else
          "the device at ${address} is not ${id} and is left alone";
    in
    "${concatStringsSep " && " steps} || echo \"vfio: ${complaint}\" >&2";

  # Old releases have only the scripted stage 1, and no options for systemd stage 1. Future releases
  # have only systemd stage 1, and `enable' is not declared or has no value.
  hasSystemdStage1 = options.boot.initrd ? systemd;
  hasScriptedStage1 = options.boot.initrd.systemd.enable.isDefined or false;
  usesSystemdStage1 =
    hasSystemdStage1 && (!hasScriptedStage1 || config.boot.initrd.systemd.enable);

  # The scripted stage 1 can't run commands before it loads modules, but modprobe can: it runs this
  # rule instead of loading vfio-pci, and the softdeps above make it do so before other drivers load.
  # /proc/sys/kernel/modprobe has the path of modprobe, in the initrd and later.
  installRule =
    "install vfio-pci "
    + concatStringsSep "; \\\n  " (
      map reserve cfg.addresses
      ++ [
        "read -r modprobe < /proc/sys/kernel/modprobe"
        ''"$modprobe" --ignore-install vfio-pci $CMDLINE_OPTS''
      ]
    );

  hasSoftdepOfVfio = any (
    line: builtins.match "[[:space:]]*softdep[[:space:]]+vfio[-_]pci[[:space:]].*" line != null
  ) (splitString "\n" config.boot.extraModprobeConfig);
in
{
  config = mkIf cfg.enable (mkMerge [
    {
      boot.kernelParams =
        optional (cfg.IOMMUType != "amd") "intel_iommu=on"
        ++ optional cfg.passthroughDMA "iommu=pt"
        # A kernel parameter, unlike a line for modprobe, can be removed in the boot menu.
        ++ optional bindsByID "vfio-pci.ids=${concatStringsSep "," cfg.devices}"
        ++ optional cfg.disableEFIfb (
          # Since 5.15, NixOS kernels hand the framebuffer to simpledrm instead of efifb.
          if versionAtLeast kernel.version "5.15" then
            "initcall_blacklist=sysfb_init"
          else
            "video=efifb:off"
        )
        ++ optionals cfg.ignoreMSRs [
          "kvm.ignore_msrs=1"
          "kvm.report_ignored_msrs=0"
        ]
        ++ optional cfg.applyACSpatch "pcie_acs_override=${cfg.acsOverride}";

      boot.kernelPatches = mkIf (cfg.applyACSpatch && cfg.acsPatch != null) [
        {
          name = "acs-override";
          patch = cfg.acsPatch;
        }
      ];

      boot.initrd.kernelModules = mkIf cfg.bindAtBoot vfioModules;
      boot.kernelModules = mkIf (!cfg.bindAtBoot) vfioModules;

      # First in the file, because modprobe uses the first line for a module.
      boot.extraModprobeConfig = mkIf (cfg.bindAtBoot && softdeps != [ ]) (
        mkBefore (concatStringsSep "\n" softdeps)
      );

      boot.blacklistedKernelModules = mkIf cfg.blacklistNvidia [
        "nvidia"
        "nvidia_drm"
        "nvidia_modeset"
        "nvidia_uvm"
        "nvidiafb"
        "nouveau"
        "nova_core"
        "nova_drm"
      ];

      services.udev.extraRules = mkIf (cfg.deviceGroup != null) ''
        SUBSYSTEM=="vfio", OWNER="root", GROUP="${cfg.deviceGroup}", MODE="0660"
      '';

      virtualisation.libvirtd = {
        enable = mkDefault true;
        # The default is suspend, which is impossible with a passed-through device.
        onShutdown = mkDefault "shutdown";
      };

      users.groups.libvirtd = mkIf (cfg.users != [ ]) { members = cfg.users; };
    }

    (mkIf (bindsByAddress && !usesSystemdStage1) {
      boot.extraModprobeConfig = mkBefore installRule;

      warnings = optional hasSoftdepOfVfio ''
        A softdep line for vfio-pci in boot.extraModprobeConfig makes modprobe ignore the rule
        that binds virtualisation.vfio.addresses. Remove the line, or set
        boot.initrd.systemd.enable = true;.
      '';
    })

    # An option that this release does not declare must not be defined, not even in a mkIf.
    (optionalAttrs hasSystemdStage1 {
      boot.initrd.systemd.services = mkIf (bindsByAddress && usesSystemdStage1) {
        vfio-driver-override = {
          description = "Reserve PCI devices for vfio-pci";
          wantedBy = [ "sysinit.target" ];
          # All units that can load a driver start after this one.
          before = [
            "systemd-modules-load.service"
            "systemd-udevd.service"
            "systemd-udev-trigger.service"
          ];
          unitConfig.DefaultDependencies = false;
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
          };
          script = concatStringsSep "\n" (map reserve cfg.addresses);
        };
      };
    })
  ]);
}
