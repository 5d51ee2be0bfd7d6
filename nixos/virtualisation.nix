# Memory that the host shares with guests, or sets aside for them.
{ config, lib, ... }:

let
  inherit (lib)
    any
    attrValues
    concatMap
    concatMapStringsSep
    concatStringsSep
    filter
    imap0
    mapAttrsToList
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    optional
    optionals
    types
    ;

  inherit (config.virtualisation)
    hugepages
    kvmfr
    libvirtd
    sharedMemoryFiles
    vfio
    ;

  accountName = types.strMatching "[A-Za-z0-9_][A-Za-z0-9_.-]*" // {
    description = "name of a user or group";
  };

  fileMode = types.strMatching "[0-7]{3,4}" // {
    description = "octal file mode, such as 0660";
  };

  # user, group and mode of something that QEMU and a program of yours both open.
  ownerOptions = {
    user = mkOption {
      type = accountName;
      default = "root";
      example = "alice";
      description = "Owner.";
    };

    group = mkOption {
      type = accountName;
      default = "kvm";
      example = "qemu-libvirtd";
      description = ''
        Group. With `kvm`, the members that need access are added to that group: the
        user that QEMU runs as, and everyone in {option}`virtualisation.vfio.users`.
      '';
    };

    mode = mkOption {
      type = fileMode;
      default = "0660";
      example = "0600";
      description = "Access rights.";
    };
  };

  # ---- shared memory files

  sharedMemoryFile =
    { name, ... }:
    {
      options = {
        name = mkOption {
          # The name goes into a line of tmpfiles.d, where blanks and % are special.
          type = types.strMatching "[A-Za-z0-9_][A-Za-z0-9_.-]*" // {
            description = "file name of letters, digits, dots, dashes and underscores";
          };
          default = name;
          defaultText = lib.literalMD "the name of the attribute";
          example = "looking-glass";
          description = "Name of the file in `/dev/shm`.";
        };
      }
      // ownerOptions;
    };

  # ---- huge pages

  pageSize = types.enum [
    "2M"
    "1G"
  ];

  # ---- kvmfr

  powerOfTwo = types.addCheck types.ints.positive (size: powerOfTwoFrom size == size) // {
    description = "power of two";
  };

  # The smallest power of two that is not below the number.
  powerOfTwoFrom =
    number:
    let
      from = power: if power >= number then power else from (2 * power);
    in
    from 1;

  mebibyte = 1024 * 1024;

  # Looking Glass keeps two frames and 10 MiB for everything else.
  sizeFromResolution =
    { width, height, hdr }:
    let
      bytesPerPixel = if hdr then 8 else 4;
      bytes = width * height * bytesPerPixel * 2 + 10 * mebibyte;
    in
    powerOfTwoFrom ((bytes + mebibyte - 1) / mebibyte);

  resolutionOptions.options = {
    width = mkOption {
      type = types.ints.positive;
      example = 2560;
      description = "Greatest width of the guest's picture, in pixels.";
    };

    height = mkOption {
      type = types.ints.positive;
      example = 1440;
      description = "Greatest height of the guest's picture, in pixels.";
    };

    hdr = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether the guest sends HDR pictures, which take twice the memory.";
    };
  };

  kvmfrDeviceOptions.options = {
    size = mkOption {
      type = types.nullOr powerOfTwo;
      default = null;
      example = 128;
      description = "Size in MiB, a power of two. Give this or {option}`resolution`.";
    };

    resolution = mkOption {
      type = types.nullOr (types.submodule resolutionOptions);
      default = null;
      example = {
        width = 2560;
        height = 1440;
      };
      description = "Resolution to compute the size from. Give this or {option}`size`.";
    };

    permissions = mkOption {
      type = types.submodule { options = ownerOptions; };
      default = { };
      example = {
        group = "qemu-libvirtd";
      };
      description = ''
        Who may open the device. The owner has to be a system user: udev of systemd 258
        and 259 drops a rule that names any other.
      '';
    };
  };

  # The driver numbers its devices from 0 in the order of their sizes, so one
  # numbered list has to feed the sizes, the udev rules and the device list.
  kvmfrDevices = imap0 (index: device: {
    name = "kvmfr${toString index}";
    size = if device.size != null then device.size else sizeFromResolution device.resolution;
    inherit (device) permissions;
  }) kvmfr.devices;

  kvmfrSizes = map (device: device.size) kvmfrDevices;

  kvmfrRule =
    { name, permissions, ... }:
    concatStringsSep ", " [
      ''SUBSYSTEM=="kvmfr"''
      ''KERNEL=="${name}"''
      ''OWNER="${permissions.user}"''
      ''GROUP="${permissions.group}"''
      ''MODE="${permissions.mode}"''
    ];

  kvmfrPackage = config.boot.kernelPackages.kvmfr or null;
  linuxVersion = config.boot.kernelPackages.kernel.version;

  isNormalUser = user: config.users.users.${user}.isNormalUser or false;

  kvmfrOwnedByPeople = filter (device: isNormalUser device.permissions.user) kvmfrDevices;

  # ---- access through the group kvm

  sharedThroughKvm = any (owner: owner.group == "kvm") (
    attrValues sharedMemoryFiles
    ++ optionals kvmfr.enable (map (device: device.permissions) kvmfr.devices)
  );

  # QEMU needs the group even as root: libvirt takes away its right to open what
  # belongs to others (see clearEmulationCapabilities).
  qemuUser = if libvirtd.qemu.runAsRoot then "root" else "qemu-libvirtd";
in
{
  options.virtualisation = {
    sharedMemoryFiles = mkOption {
      type = types.attrsOf (types.submodule sharedMemoryFile);
      default = { };
      example = {
        looking-glass.user = "alice";
        scream.user = "alice";
      };
      description = ''
        Files in `/dev/shm` that are made at boot with the right owner, for guests whose
        domain has a `<shmem>` of the same name (Looking Glass, Scream).

        A file that exists keeps its size. After a change of the size in the domain, delete
        it while the guest is off.
      '';
    };

    hugepages = {
      enable = mkEnableOption "huge pages that are set aside for guests at boot";

      defaultPageSize = mkOption {
        type = pageSize;
        default = "2M";
        example = "1G";
        description = ''
          Size of the huge pages that a program gets if it asks for no size.
          `1G` needs a processor with the flag `pdpe1gb`.
        '';
      };

      pageSize = mkOption {
        type = pageSize;
        default = hugepages.defaultPageSize;
        defaultText = lib.literalExpression "config.virtualisation.hugepages.defaultPageSize";
        example = "1G";
        description = "Size of the huge pages that are set aside.";
      };

      numPages = mkOption {
        type = types.ints.positive;
        example = 16;
        description = ''
          Number of huge pages to set aside. The host can use this memory for nothing else,
          so leave it 4 GiB at least.
        '';
      };
    };

    kvmfr = {
      enable = mkEnableOption "kvmfr, a kernel module that shares memory with Looking Glass faster";

      devices = mkOption {
        type = types.listOf (types.submodule kvmfrDeviceOptions);
        default = [ ];
        example = [
          {
            resolution = {
              width = 2560;
              height = 1440;
            };
          }
        ];
        description = "Devices to make: the first is `/dev/kvmfr0`, the second `/dev/kvmfr1`.";
      };
    };
  };

  config = mkMerge [
    {
      systemd.tmpfiles.rules = mapAttrsToList (
        _: file: "f /dev/shm/${file.name} ${file.mode} ${file.user} ${file.group} -"
      ) sharedMemoryFiles;
    }

    (mkIf sharedThroughKvm {
      users.groups.kvm.members =
        optional libvirtd.enable qemuUser ++ optionals vfio.enable vfio.users;
    })

    (mkIf hugepages.enable {
      boot.kernelParams = [
        "default_hugepagesz=${hugepages.defaultPageSize}"
        "hugepagesz=${hugepages.pageSize}"
        "hugepages=${toString hugepages.numPages}"
      ];
    })

    (mkIf kvmfr.enable {
      boot.extraModulePackages = [ kvmfrPackage ];
      boot.kernelModules = [ "kvmfr" ];
      boot.extraModprobeConfig = ''
        options kvmfr static_size_mb=${concatMapStringsSep "," toString kvmfrSizes}
      '';

      services.udev.extraRules = concatMapStringsSep "\n" kvmfrRule kvmfrDevices;
      virtualisation.libvirtd.deviceACL = map (device: "/dev/${device.name}") kvmfrDevices;

      assertions = [
        {
          assertion = kvmfrPackage != null && !(kvmfrPackage.meta.broken or false);
          message = ''
            virtualisation.kvmfr: there is no working kvmfr for Linux ${linuxVersion}. Choose an older
            kernel with boot.kernelPackages, or share the memory with
            virtualisation.sharedMemoryFiles.looking-glass instead, which needs no module.
          '';
        }
        {
          assertion = kvmfr.devices != [ ];
          message = ''
            virtualisation.kvmfr is enabled without a device. Add one, for example
            virtualisation.kvmfr.devices = [ { resolution = { width = 2560; height = 1440; }; } ];
          '';
        }
      ]
      ++ concatMap (
        device:
        optional ((device.size == null) == (device.resolution == null)) {
          assertion = false;
          message = ''
            virtualisation.kvmfr.devices: each device needs either `size' or `resolution', and
            not both.
          '';
        }
      ) kvmfr.devices;

      warnings = map (device: ''
        virtualisation.kvmfr.devices: /dev/${device.name} is to belong to ${device.permissions.user},
        who is not a system user; udev of systemd 258 and 259 would drop the rule. Leave
        `permissions.user' out and add the name to virtualisation.vfio.users, which gives access
        through the group kvm.
      '') kvmfrOwnedByPeople;
    })
  ];
}
