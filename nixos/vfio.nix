# The options for passing PCI devices, such as a graphics card, through to guests. The imported
# files implement them.
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
  # ffffffff matches any value.
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
        ID of the device that is expected at the address. A device with another ID is not bound.
        Addresses can change when a card is added or the firmware is updated.
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
    enable = mkEnableOption "passing PCI devices through to guests with VFIO";

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
        Vendor of the processor. Intel's IOMMU needs a kernel parameter; AMD's is on if the
        firmware enables it. `null` adds Intel's parameter, which has no effect on AMD.
      '';
    };

    passthroughDMA = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether devices of the host bypass the IOMMU (`iommu=pt`), which is faster. Turn this
        off if the host needs `iommu.passthrough=0`.
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
        IDs of the devices to bind to vfio-pci, as `lspci -nn` shows them. List every function of
        a card, including its audio. An ID binds all devices that have this ID. To bind only one of
        two identical cards, use {option}`addresses`.
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
        Addresses of the devices to bind to vfio-pci. Use this for cards with the same ID as a
        device that the host needs.
      '';
    };

    bindAtBoot = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the devices are bound to vfio-pci at boot. With `false`, the host uses them until a
        guest starts (`managed='yes'` in its domain).
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
        Drivers that could bind one of the devices. vfio-pci is loaded before each of them.
      '';
    };

    disableEFIfb = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to keep the kernel from using the firmware's framebuffer. Needed only if that
        framebuffer occupies the guest's card, so vfio-pci can't bind the card. With this option,
        the screen stays dark until a graphics driver loads.
      '';
    };

    blacklistNvidia = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to keep all drivers for NVIDIA cards from loading automatically. Don't use this if
        the host itself uses an NVIDIA card.
      '';
    };

    ignoreMSRs = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether KVM ignores accesses of guests to unknown model-specific registers, instead of
        raising an error in the guest. Some Windows programs need this.
      '';
    };

    applyACSpatch = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to split IOMMU groups with `pcie_acs_override`. This works only with a kernel that
        has the ACS override patch, for example `pkgs.linuxPackages_zen`, or with
        {option}`acsPatch`. The groups then only look separate: a guest's device may still access
        the devices next to it.
      '';
    };

    acsOverride = mkOption {
      type = acsOverride;
      default = "downstream,multifunction";
      example = "downstream";
      description = "Which groups {option}`applyACSpatch` splits.";
    };

    acsPatch = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./acs-override.patch";
      description = ''
        The ACS override patch, for a kernel without it. With {option}`applyACSpatch`, this machine
        builds the kernel with the patch. The patch must fit the version of
        {option}`boot.kernelPackages`, so it needs an update from time to time.
      '';
    };

    users = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "alice" ];
      description = ''
        Users who may manage guests, as members of the group libvirtd. Members can become root
        through libvirt.
      '';
    };

    deviceGroup = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "kvm";
      description = ''
        Group that may open the devices in `/dev/vfio`. Needed for QEMU without libvirt. Every
        member can make these devices read and write memory.
      '';
    };
  };
}
