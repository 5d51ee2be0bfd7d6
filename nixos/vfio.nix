# Gives PCI devices, above all a graphics card, to guests: turns the IOMMU on and
# lets vfio-pci have the devices before any other driver can take them.
{
  config,
  lib,
  options,
  ...
}:

let
  inherit (lib)
    any
    concatMap
    concatStringsSep
    elem
    filter
    hasInfix
    hasPrefix
    intersectLists
    mkBefore
    mkDefault
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    optional
    optionalAttrs
    optionals
    optionalString
    splitString
    toLower
    types
    unique
    versionAtLeast
    ;

  cfg = config.virtualisation.vfio;

  # The kernel is only asked for its version and name, and neither the choice of the
  # kernel nor its patches may depend on the answer: that would go round in a circle.
  inherit (config.boot.kernelPackages) kernel;

  # ---- what may be written

  hex4 = "[0-9a-fA-F]{4}";
  # ffffffff stands for "any".
  hex4OrAny = "(${hex4}|[fF]{8})";
  hexUpTo8 = "[0-9a-fA-F]{1,8}";
  optionally = rest: "(:${rest})?";

  deviceID =
    types.strMatching (
      "${hex4}:${hex4OrAny}"
      + optionally (
        hex4OrAny + optionally (hex4OrAny + optionally (hexUpTo8 + optionally hexUpTo8))
      )
    )
    // {
      description = "PCI ID, such as 10de:1b80 (vendor:device[:subvendor[:subdevice[:class[:mask]]]])";
    };

  vendorAndDevice = types.strMatching "${hex4}:${hex4}" // {
    description = "PCI ID, such as 10de:1b80";
  };

  pciAddress = types.strMatching "[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F][.][0-7]" // {
    description = "PCI address, such as 0000:01:00.0";
  };

  moduleName = types.strMatching "[A-Za-z0-9_-]+" // {
    description = "name of a kernel module";
  };

  acsOverride =
    let
      choice = "(downstream|multifunction|id:${hex4}:${hex4})";
    in
    types.strMatching "${choice}(,${choice})*"
    // {
      description = "list of downstream, multifunction and id:VVVV:DDDD, joined by commas";
    };

  addressOptions.options = {
    address = mkOption {
      type = pciAddress;
      apply = toLower;
      example = "0000:01:00.0";
      description = "Address of the device, as `lspci -D` shows it.";
    };

    id = mkOption {
      type = types.nullOr vendorAndDevice;
      default = null;
      apply = id: if id == null then null else toLower id;
      example = "10de:1b80";
      description = ''
        The device that is expected there. Addresses move when a card is added or the
        firmware is updated; with this, a different device at the address is left alone.
      '';
    };
  };

  # ---- load order and binding

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

  # Scripted stage 1 was the only one once, and is on its way out.
  hasSystemdStage1 = options.boot.initrd ? systemd;
  usesSystemdStage1 = hasSystemdStage1 && (config.boot.initrd.systemd.enable or true);

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

  # ---- what the finished configuration says, for the checks below

  kernelParams = concatMap (splitString " ") config.boot.kernelParams;

  # To modprobe, - and _ in the name of a module are the same.
  sameDashes = lib.replaceStrings [ "-" ] [ "_" ];

  # The words of each line, without blanks around them.
  modprobeWords = map (
    line: filter (word: word != "") (splitString " " (lib.replaceStrings [ "\t" ] [ " " ] line))
  ) (splitString "\n" config.boot.extraModprobeConfig);

  modprobeLinesFor =
    command: isModule:
    filter (
      words:
      lib.length words > 1 && lib.head words == command && isModule (sameDashes (lib.elemAt words 1))
    ) modprobeWords;

  bindings =
    filter (param: hasPrefix "vfio_pci.ids=" (sameDashes param)) kernelParams
    ++ map (concatStringsSep " ") (
      filter (any (hasPrefix "ids=")) (modprobeLinesFor "options" (module: module == "vfio_pci"))
    );

  # softdep lines of others that lose against ours and ask for something else.
  lostSoftdeps = filter (line: !(hasInfix "vfio" line) && line != "softdep nvidia post: nvidia-uvm") (
    map (concatStringsSep " ") (
      modprobeLinesFor "softdep" (module: elem module (map sameDashes cfg.competingDrivers))
    )
  );

  softdepsOfVfio = modprobeLinesFor "softdep" (module: module == "vfio_pci");

  initrdModules = config.boot.initrd.kernelModules ++ config.boot.initrd.availableKernelModules;
  leftVirqfd = elem "vfio_virqfd" (initrdModules ++ config.boot.kernelModules);

  iommuOff = intersectLists kernelParams [
    "iommu=off"
    "amd_iommu=off"
    "intel_iommu=off"
  ];

  noPassthroughDMA = intersectLists kernelParams [
    "iommu.passthrough=0"
    "iommu=nopt"
  ];

  hostNvidiaDrivers = intersectLists (config.services.xserver.videoDrivers or [ ]) [
    "nvidia"
    "nouveau"
  ];

  kernelName = toLower "${kernel.name or ""} ${kernel.modDirVersion or ""}";

  carriesACSPatch =
    kernel.isZen or false
    || any (name: hasInfix name kernelName) [
      "zen"
      "lqx"
      "liquorix"
      "xanmod"
      "cachyos"
    ]
    || any (patch: hasInfix "acs" (toLower (patch.name or ""))) config.boot.kernelPatches;

  asksPassphrase = (config.boot.initrd.luks.devices or { }) != { };

  initrdGraphics = intersectLists initrdModules [
    "amdgpu"
    "ast"
    "i915"
    "mgag200"
    "nouveau"
    "nvidia_drm"
    "radeon"
    "xe"
  ];

  addresses = map (entry: entry.address) cfg.addresses;
  repeatedAddresses = unique (
    filter (address: lib.count (other: other == address) addresses > 1) addresses
  );

  # The first two fields are what an address can be compared with.
  boundIDs = map (id: concatStringsSep ":" (lib.take 2 (splitString ":" id))) cfg.devices;
  boundTwice = filter (entry: entry.id != null && elem entry.id boundIDs) cfg.addresses;
in
{
  options.virtualisation.vfio = {
    enable = mkEnableOption "giving PCI devices to guests with VFIO";

    IOMMUType = mkOption {
      type = types.nullOr (
        types.enum [
          "intel"
          "amd"
        ]
      );
      default = null;
      example = "amd";
      description = ''
        Maker of the processor. Intel's IOMMU has to be turned on by a kernel parameter, AMD's
        is on when the firmware offers it. `null` adds Intel's parameter, which does nothing
        on AMD.
      '';
    };

    passthroughDMA = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether devices of the host go past the IOMMU (`iommu=pt`), which is faster. Turn it
        off if something of yours needs `iommu.passthrough=0`.
      '';
    };

    devices = mkOption {
      type = types.listOf deviceID;
      default = [ ];
      apply = ids: unique (map toLower ids);
      example = [
        "10de:1b80"
        "10de:10f0"
      ];
      description = ''
        IDs of the devices to bind to vfio-pci, as `lspci -nn` shows them. Name every
        function of a card, so that of its audio too. Each ID takes all devices that have it:
        with two equal cards use {option}`addresses`.
      '';
    };

    addresses = mkOption {
      type = types.listOf (
        types.coercedTo pciAddress (address: { inherit address; }) (types.submodule addressOptions)
      );
      default = [ ];
      example = [
        "0000:01:00.0"
        {
          address = "0000:01:00.1";
          id = "10de:10f0";
        }
      ];
      description = ''
        Addresses of the devices to bind to vfio-pci. For cards whose ID the host needs as well.
      '';
    };

    bindAtBoot = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the devices belong to vfio-pci from the start. `false` leaves them to the host
        until a guest starts (`managed='yes'` in its domain).
      '';
    };

    competingDrivers = mkOption {
      type = types.listOf moduleName;
      default = [
        "amdgpu"
        "radeon"
        "nouveau"
        "nova_core"
        "nvidia"
        "nvidiafb"
        "i915"
        "xe"
        "snd_hda_intel"
        "i2c_nvidia_gpu"
      ];
      example = [
        "amdgpu"
        "snd_hda_intel"
        "xhci_pci"
      ];
      description = ''
        Drivers that could take one of the devices. vfio-pci is loaded before each of them.
      '';
    };

    disableEFIfb = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to keep the kernel from drawing on the framebuffer that the firmware set up.
        Needed only if it holds the guest's card and vfio-pci does not get it otherwise. The
        screen then stays dark until a graphics driver loads.
      '';
    };

    blacklistNvidia = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to keep all drivers for NVIDIA cards from loading by themselves. Not for a
        host that has an NVIDIA card of its own.
      '';
    };

    ignoreMSRs = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether KVM ignores guests that touch model-specific registers which it does not
        know, instead of stopping them. Some programs in Windows need it.
      '';
    };

    applyACSpatch = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to split up IOMMU groups with `pcie_acs_override`. This works only with a kernel
        that carries the ACS override patch, for example `pkgs.linuxPackages_zen`. The groups
        then only look separate: a device of a guest may still reach its neighbours.
      '';
    };

    acsOverride = mkOption {
      type = acsOverride;
      default = "downstream,multifunction";
      example = "downstream";
      description = "What {option}`applyACSpatch` splits up.";
    };

    users = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "alice" ];
      description = ''
        Users who may manage guests, as members of the group libvirtd. Through libvirt they
        can become root.
      '';
    };

    deviceGroup = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "kvm";
      description = ''
        Group that may open the devices under `/dev/vfio`. libvirt does not need it; QEMU
        started by hand does. Every member can make the devices read and write memory.
      '';
    };
  };

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

    {
      assertions = [
        {
          assertion = !cfg.blacklistNvidia || hostNvidiaDrivers == [ ];
          message = ''
            virtualisation.vfio.blacklistNvidia would take the driver from your own screen:
            services.xserver.videoDrivers has ${concatStringsSep " and " hostNvidiaDrivers}.
            Take out one of the two. The guest's card goes to vfio-pci without a blacklist too.
          '';
        }
        {
          assertion = repeatedAddresses == [ ];
          message = ''
            virtualisation.vfio.addresses names ${concatStringsSep ", " repeatedAddresses}
            more than once. Keep one entry each.
          '';
        }
        {
          assertion = !bindsByID || lib.length bindings == 1;
          message = ''
            The IDs for vfio-pci are given more than once, and only the last would count:
              ${concatStringsSep "\n  " bindings}
            Move them all to virtualisation.vfio.devices.
          '';
        }
      ];

      warnings =
        optional (cfg.bindAtBoot && cfg.addresses == [ ] && bindings == [ ]) ''
          virtualisation.vfio is enabled but binds no device yet. After a reboot with the IOMMU
          on, name the devices in virtualisation.vfio.devices or virtualisation.vfio.addresses.
        ''
        ++ optional (iommuOff != [ ]) ''
          boot.kernelParams has ${concatStringsSep " and " iommuOff},
          and without the IOMMU no device can be given to a guest. Take it out.
        ''
        ++ optional (cfg.passthroughDMA && noPassthroughDMA != [ ]) ''
          boot.kernelParams has both iommu=pt and ${concatStringsSep " and " noPassthroughDMA},
          which contradict each other. Set virtualisation.vfio.passthroughDMA = false; to keep the
          latter, or take it out.
        ''
        ++ optional (cfg.applyACSpatch && !carriesACSPatch) ''
          virtualisation.vfio.applyACSpatch does nothing on a kernel without the ACS override patch,
          which ${kernel.name or "this kernel"} is not known to carry. Choose one that does, for example
          boot.kernelPackages = pkgs.linuxPackages_zen;, or turn the option off.
        ''
        ++ optional (leftVirqfd && versionAtLeast kernel.version "6.2") ''
          The kernel module vfio_virqfd no longer exists since Linux 6.2. Take it out of
          boot.initrd.kernelModules, where it makes the build fail, and of boot.kernelModules.
        ''
        ++ optional (elem "video=efifb:off" kernelParams && versionAtLeast kernel.version "5.15") ''
          The kernel parameter video=efifb:off does nothing since Linux 5.15. Take it out; if the
          guest's card stays black, use virtualisation.vfio.disableEFIfb = true; instead.
        ''
        ++ optional (cfg.disableEFIfb && asksPassphrase && initrdGraphics == [ ]) ''
          virtualisation.vfio.disableEFIfb leaves the screen dark until a graphics driver loads,
          and a disk of boot.initrd.luks.devices may ask for its passphrase before that. Load the
          driver of your own card early, for example boot.initrd.kernelModules = [ "amdgpu" ];
          (or "i915", "xe").
        ''
        ++ optional (cfg.bindAtBoot && lostSoftdeps != [ ]) ''
          modprobe heeds one softdep line per module, and that of virtualisation.vfio comes first.
          Without effect:
            ${concatStringsSep "\n  " lostSoftdeps}
          Take the driver out of virtualisation.vfio.competingDrivers and add vfio-pci to the
          `pre:' of your line.
        ''
        ++ optional (bindsByAddress && !usesSystemdStage1 && softdepsOfVfio != [ ]) ''
          A softdep line for vfio-pci in boot.extraModprobeConfig makes modprobe pass over the
          rule that binds virtualisation.vfio.addresses. Take the line out, or set
          boot.initrd.systemd.enable = true;.
        ''
        ++ map (entry: ''
          virtualisation.vfio.devices has ${entry.id}, so every device with this ID goes to
          vfio-pci, not only the one at ${entry.address}. Take the ID out of devices.
        '') boundTwice;
    }
  ]);
}
