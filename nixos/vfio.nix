# The options for giving PCI devices, above all a graphics card, to guests. What they do stands in
# the files that are imported here.
{ lib, ... }:

let
  inherit (lib)
    mkEnableOption
    mkOption
    toLower
    types
    unique
    ;

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
in
{
  imports = [
    ./binding.nix
    ./checks.nix
    ./guestService.nix
    ./guests.nix
    ./hooks.nix
  ];

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
        that carries the ACS override patch, for example `pkgs.linuxPackages_zen`, or gets it by
        {option}`acsPatch`. The groups then only look separate: a device of a guest may still
        reach its neighbours.
      '';
    };

    acsOverride = mkOption {
      type = acsOverride;
      default = "downstream,multifunction";
      example = "downstream";
      description = "What {option}`applyACSpatch` splits up.";
    };

    acsPatch = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./acs-override.patch";
      description = ''
        The ACS override patch, for a kernel that does not carry it: with
        {option}`applyACSpatch` the kernel is built with it, on this machine. It has to fit the
        version of {option}`boot.kernelPackages`, so expect to renew it now and then.
      '';
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
}
