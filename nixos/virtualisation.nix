# Memory that the host shares with guests or reserves for them.
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

  # Owner and mode of a file or device that both QEMU and one of the user's programs open.
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
        Group. With `kvm`, the users that need access are added to that group: the user that
        QEMU runs as, and all in {option}`virtualisation.vfio.users`.
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
          # The name is written to tmpfiles.d, where whitespace and % are special.
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

  # The smallest power of two that is at least the number.
  powerOfTwoFrom =
    number:
    let
      from = power: if power >= number then power else from (2 * power);
    in
    from 1;

  mebibyte = 1024 * 1024;

  # Looking Glass needs two frames, and 10 MiB for everything else.
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
      description = "Maximum width of the guest's screen, in pixels.";
    };

    height = mkOption {
      type = types.ints.positive;
      example = 1440;
      description = "Maximum height of the guest's screen, in pixels.";
    };

    hdr = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether the guest sends HDR frames, which need twice the memory.";
    };
  };

  kvmfrDeviceOptions.options = {
    size = mkOption {
      type = types.nullOr powerOfTwo;
      default = null;
      example = 128;
      description = "Size in MiB, a power of two. Set this or {option}`resolution`.";
    };

    resolution = mkOption {
      type = types.nullOr (types.submodule resolutionOptions);
      default = null;
      example = {
        width = 2560;
        height = 1440;
      };
      description = "Resolution to compute the size from. Set this or {option}`size`.";
    };

    permissions = mkOption {
      type = types.submodule { options = ownerOptions; };
      default = { };
      example = {
        group = "qemu-libvirtd";
      };
      description = ''
        Owner and mode of the device. The owner must be a system user: udev of systemd 258
        and 259 ignores a rule with any other user.
      '';
    };
  };

  # The driver numbers its devices from 0, in the order of their sizes in the module parameter. The
  # sizes, the udev rules and the device list come from one list, so that the numbers agree.
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

  kvmfrOwnedByNormalUsers = filter (device: isNormalUser device.permissions.user) kvmfrDevices;

  # ---- access through the group kvm

  isSharedThroughKvm = any (owner: owner.group == "kvm") (
    attrValues sharedMemoryFiles
    ++ optionals kvmfr.enable (map (device: device.permissions) kvmfr.devices)
  );

  # QEMU needs the group even as root, because libvirt drops its capability to open other users'
  # files (see clearEmulationCapabilities).
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
        Files in `/dev/shm` that are created at boot with the right owner, for guests whose
        domain has a `<shmem>` with the same name (Looking Glass, Scream).

        An existing file keeps its size. After changing the size in the domain, delete the file
        while the guest is off.
      '';
    };

    hugepages = {
      enable = mkEnableOption "huge pages that are reserved for guests at boot";

      defaultPageSize = mkOption {
        type = pageSize;
        default = "2M";
        example = "1G";
        description = ''
          Size of the huge pages that a program gets if it does not request a size.
          `1G` needs a processor with the flag `pdpe1gb`.
        '';
      };

      pageSize = mkOption {
        type = pageSize;
        default = hugepages.defaultPageSize;
        defaultText = lib.literalExpression "config.virtualisation.hugepages.defaultPageSize";
        example = "1G";
        description = "Size of the huge pages to reserve.";
      };

      numPages = mkOption {
        type = types.ints.positive;
        example = 16;
        description = ''
          Number of huge pages to reserve. The host can't use this memory for anything else, so
          leave at least 4 GiB unreserved.
        '';
      };
    };

    kvmfr = {
      enable = mkEnableOption "kvmfr, a kernel module for faster shared memory with Looking Glass";

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
        description = "Devices to create: the first is `/dev/kvmfr0`, the second `/dev/kvmfr1`.";
      };
    };
  };

  config = mkMerge [
    {
      systemd.tmpfiles.rules = mapAttrsToList (
        _: file: "f /dev/shm/${file.name} ${file.mode} ${file.user} ${file.group} -"
      ) sharedMemoryFiles;
    }

    (mkIf isSharedThroughKvm {
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
            kernel with boot.kernelPackages, or use virtualisation.sharedMemoryFiles.looking-glass
            instead, which needs no module.
          '';
        }
        {
          assertion = kvmfr.devices != [ ];
          message = ''
            virtualisation.kvmfr is enabled without devices. Add one, for example
            virtualisation.kvmfr.devices = [ { resolution = { width = 2560; height = 1440; }; } ];
          '';
        }
      ]
      ++ concatMap (
        device:
        optional ((device.size == null) == (device.resolution == null)) {
          assertion = false;
          message = ''
            virtualisation.kvmfr.devices: each device needs either `size' or `resolution', but not
            both.
          '';
        }
      ) kvmfr.devices;

      warnings = map (device: ''
        virtualisation.kvmfr.devices: the owner of /dev/${device.name}, ${device.permissions.user},
        is not a system user, so udev of systemd 258 and 259 ignores its rule. Omit
        `permissions.user', and add ${device.permissions.user} to virtualisation.vfio.users, which
        gives access through the group kvm.
      '') kvmfrOwnedByNormalUsers;
    })
  ];
}
