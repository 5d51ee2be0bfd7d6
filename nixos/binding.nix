# What virtualisation.vfio does to the host: turns the IOMMU on and lets vfio-pci have the devices
# before any other driver can take them.
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

  # The kernel is only asked for its version, and neither the choice of the kernel nor its patches
  # may depend on the answer: that would go round in a circle.
  inherit (config.boot.kernelPackages) kernel;

  vfioModules = [
    "vfio_pci"
    "vfio"
    "vfio_iommu_type1"
  ];

  # NixOS sorts the modules of the initrd by name, which puts amdgpu, i915, nouveau and
  # nvidia before vfio_pci. These lines say what the order of a list cannot.
  softdepFor =
    driver:
    # modprobe heeds one softdep line per module, and NixOS has this one for its NVIDIA driver.
    "softdep ${driver} pre: vfio-pci${optionalString (driver == "nvidia") " post: nvidia-uvm"}";

  softdeps = map softdepFor cfg.competingDrivers;

  bindsByID = cfg.bindAtBoot && cfg.devices != [ ];
  bindsByAddress = cfg.bindAtBoot && cfg.addresses != [ ];

  # Shell command that reserves one device for vfio-pci: a driver_override keeps every
  # other driver away, also one that is loaded already. Only what both a plain sh and
  # modprobe's install rule understand; no backslashes.
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

  # Scripted stage 1 was the only one once, and is on its way out: an `enable' that is not
  # declared any more, or only to say that it is gone, is on.
  hasSystemdStage1 = options.boot.initrd ? systemd;
  hasScriptedStage1 = options.boot.initrd.systemd.enable.isDefined or false;
  usesSystemdStage1 =
    hasSystemdStage1 && (!hasScriptedStage1 || config.boot.initrd.systemd.enable);

  # The old stage 1 runs no command of ours before it loads modules, but modprobe does:
  # this rule replaces the loading of vfio-pci, which the softdeps above put first.
  # /proc/sys/kernel/modprobe knows where modprobe is, in the initrd and after.
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
        # A parameter rather than a line for modprobe: it can be removed in the boot menu.
        ++ optional bindsByID "vfio-pci.ids=${concatStringsSep "," cfg.devices}"
        ++ optional cfg.disableEFIfb (
          # From 5.15 on, kernels of NixOS hand the framebuffer to simpledrm, and efifb has no say.
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

      # First in the file, since modprobe heeds the first line for a module.
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
        # NixOS would suspend the guests, and one with a passed-through device cannot be.
        onShutdown = mkDefault "shutdown";
      };

      users.groups.libvirtd = mkIf (cfg.users != [ ]) { members = cfg.users; };
    }

    (mkIf (bindsByAddress && !usesSystemdStage1) {
      boot.extraModprobeConfig = mkBefore installRule;

      warnings = optional hasSoftdepOfVfio ''
        A softdep line for vfio-pci in boot.extraModprobeConfig makes modprobe pass over the
        rule that binds virtualisation.vfio.addresses. Take the line out, or set
        boot.initrd.systemd.enable = true;.
      '';
    })

    # An option that this NixOS does not declare must not be named at all, mkIf or not.
    (optionalAttrs hasSystemdStage1 {
      boot.initrd.systemd.services = mkIf (bindsByAddress && usesSystemdStage1) {
        vfio-driver-override = {
          description = "Reserve PCI devices for vfio-pci";
          wantedBy = [ "sysinit.target" ];
          # Whoever can load a driver waits for this one.
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
