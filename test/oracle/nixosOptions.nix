# The NixOS options that the shipped modules read or set, with the types and defaults of
# nixpkgs, so that `lib.evalModules` can evaluate the modules without the rest of NixOS.
# Each comment names the file in nixpkgs.
{
  # Version of the kernel in boot.kernelPackages.
  kernelVersion ? "6.18.9",
  # More attributes of the kernel.
  kernel ? { },
  # Whether boot.kernelPackages has kvmfr, and whether kvmfr is marked as broken.
  kvmfr ? "works", # "works" | "broken" | "missing"
  # "systemd" and "scripted": boot.initrd.systemd is declared, and on or off.
  # "none": a NixOS that does not declare it. "only": a NixOS that cannot turn it off.
  stage1 ? "systemd",
  # Whether lists of kernel modules are sets of names, as they are since 25.11.
  sortsModules ? true,
  # Whether a kernel parameter may have spaces only in quotation marks, as in unstable.
  partsParams ? true,
  # Whether the option hardware.nvidia.moduleParams is declared, as since 26.05.
  moduleParams ? true,
  # Whether libvirtd.qemu.ovmf is set up by NixOS, as before 25.11.
  ovmf ? false,
}:

{ config, lib, ... }:

let
  inherit (lib) mkOption types;

  onSystemd = stage1 == "only" || (stage1 != "none" && config.boot.initrd.systemd.enable);

  moduleList =
    # nixpkgs nixos/modules/system/boot/kernel.nix (`attrNamesToTrue`)
    if sortsModules then
      mkOption {
        type = types.coercedTo (types.listOf types.str) (names: lib.genAttrs names (_: true)) (
          types.attrsOf types.bool
        );
        default = { };
        apply = modules: lib.attrNames (lib.filterAttrs (_: enabled: enabled) modules);
      }
    # the same file before 25.11
    else
      mkOption {
        type = types.listOf types.str;
        default = [ ];
      };

  # A substitute for pkgs.linuxPackages. Like the kernels of nixpkgs, it can be overridden and is
  # strict in its patches: a module whose patches depend on the version recurses infinitely here,
  # as in NixOS.
  makeKernel =
    arguments:
    builtins.seq (lib.length arguments.kernelPatches) (
      {
        version = kernelVersion;
        name = "linux-${kernelVersion}";
        modDirVersion = kernelVersion;
        isZen = false;
        features = { };
        inherit (arguments) kernelPatches;
        override = change: makeKernel (arguments // change arguments);
      }
      // kernel
    );

  linuxPackages = lib.makeExtensible (
    _:
    {
      kernel = makeKernel { kernelPatches = [ ]; };
    }
    // lib.optionalAttrs (kvmfr != "missing") {
      kvmfr = {
        type = "derivation";
        name = "kvmfr";
        outPath = "/nix/store/00000000000000000000000000000000-kvmfr";
        meta.broken = kvmfr == "broken";
      };
    }
  );

  # nixpkgs pkgs/build-support/trivial-builders (`writeShellScript`): the text, without a build.
  pkgs = {
    writeShellScript = name: text: {
      type = "derivation";
      inherit name text;
      outPath = "/nix/store/00000000000000000000000000000000-${name}";
    };

    # the same file (`writeText', `runCommand')
    writeText = name: text: package name // { inherit text; };
    runCommand =
      name: env: script:
      package name // env // { inherit script; };
  }
  // lib.genAttrs [ "coreutils" "kmod" "libxml2" ] package;
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
  };

  # nixpkgs nixos/lib/systemd-unit-options.nix, only the options that the modules use
  service.options = initrdService.options // {
    after = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    requires = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    path = mkOption {
      type = types.listOf (types.either types.package types.str);
      default = [ ];
    };
    environment = mkOption {
      type = types.attrsOf (types.nullOr (types.either types.str types.path));
      default = { };
    };
  };
  initrdService.options = {
    description = mkOption {
      type = types.singleLineStr;
      default = "";
    };
    wantedBy = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    before = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    unitConfig = mkOption {
      type = types.attrsOf types.unspecified;
      default = { };
    };
    serviceConfig = mkOption {
      type = types.attrsOf types.unspecified;
      default = { };
    };
    script = mkOption {
      type = types.lines;
      default = "";
    };
  };
in
{
  options = {
    # nixpkgs nixos/modules/misc/assertions.nix
    assertions = mkOption {
      type = types.listOf types.unspecified;
      internal = true;
      default = [ ];
    };
    warnings = mkOption {
      type = types.listOf types.str;
      internal = true;
      default = [ ];
    };

    boot = {
      # nixpkgs nixos/modules/system/boot/kernel.nix
      kernelPackages = mkOption {
        type = types.raw;
        default = linuxPackages;
        apply =
          packages:
          packages.extend (
            _: previous: {
              kernel = previous.kernel.override (original: {
                kernelPatches = original.kernelPatches ++ config.boot.kernelPatches;
              });
            }
          );
      };
      kernelPatches = mkOption {
        type = types.listOf types.attrs;
        default = [ ];
      };
      kernelParams = mkOption {
        type = types.listOf (
          if partsParams then types.strMatching ''([^"[:space:]]|"[^"]*")+'' else types.str
        );
        default = [ ];
      };
      extraModulePackages = mkOption {
        type = types.listOf types.package;
        default = [ ];
      };
      kernelModules = moduleList;

      # nixpkgs nixos/modules/tasks/filesystems/zfs.nix
      zfs.requestEncryptionCredentials = mkOption {
        type = types.either types.bool (types.listOf types.str);
        default = true;
      };

      # nixpkgs nixos/modules/system/boot/modprobe.nix
      blacklistedKernelModules = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
      extraModprobeConfig = mkOption {
        type = types.lines;
        default = "";
      };

      initrd = {
        # nixpkgs nixos/modules/system/boot/kernel.nix
        availableKernelModules = moduleList;
        kernelModules = moduleList;

        # nixpkgs nixos/modules/system/boot/stage-1.nix
        preDeviceCommands = mkOption {
          type = types.lines;
          default = "";
        };

        # nixpkgs nixos/modules/system/boot/luksroot.nix
        luks.devices = mkOption {
          type = types.attrsOf (
            types.submodule {
              options.device = mkOption { type = types.path; };
              options.keyFile = mkOption {
                type = types.nullOr types.str;
                default = null;
              };
            }
          );
          default = { };
        };
      }
      // lib.optionalAttrs (stage1 != "none") {
        # nixpkgs nixos/modules/system/boot/systemd/initrd.nix
        systemd = {
          services = mkOption {
            type = types.attrsOf (types.submodule initrdService);
            default = { };
          };
        }
        // lib.optionalAttrs (stage1 != "only") {
          enable = mkOption {
            type = types.bool;
            default = stage1 == "systemd";
          };
        };
      };
    };

    # nixpkgs nixos/modules/services/hardware/udev.nix
    services.udev.extraRules = mkOption {
      type = types.lines;
      default = "";
    };

    # nixpkgs nixos/modules/hardware/video/nvidia.nix
    hardware.nvidia = {
      nvidiaPersistenced = mkOption {
        type = types.bool;
        default = false;
      };
      prime.nvidiaBusId = mkOption {
        type = types.strMatching "([[:print:]]+:[0-9]{1,3}(@[0-9]{1,10})?:[0-9]{1,2}:[0-9])?";
        default = "";
      };
    }
    # the same file since pull request 498612 (April 2026)
    // lib.optionalAttrs moduleParams {
      moduleParams = mkOption {
        type = types.attrsOf (types.attrsOf types.raw);
        default = { };
      };
    };

    # nixpkgs nixos/modules/services/x11/xserver.nix
    services.xserver.videoDrivers = mkOption {
      type = types.listOf types.str;
      default = [
        "modesetting"
        "fbdev"
      ];
    };

    # nixpkgs nixos/modules/system/boot/systemd.nix
    systemd.package = mkOption {
      type = types.package;
      default = package "systemd";
    };

    systemd.services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };

    # nixpkgs nixos/modules/system/boot/systemd/tmpfiles.nix
    systemd.tmpfiles.rules = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };

    # nixpkgs nixos/modules/config/users-groups.nix
    users.users = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.isNormalUser = mkOption {
            type = types.bool;
            default = false;
          };
        }
      );
      default = { };
    };
    users.groups = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.members = mkOption {
            type = types.listOf (types.passwdEntry types.str);
            default = [ ];
          };
        }
      );
      default = { };
    };

    # nixpkgs nixos/modules/virtualisation/libvirtd.nix
    virtualisation.libvirtd = {
      enable = mkOption {
        type = types.bool;
        default = false;
      };
      package = mkOption {
        type = types.package;
        default = package "libvirt";
      };
      onShutdown = mkOption {
        type = types.enum [
          "shutdown"
          "suspend"
        ];
        default = "suspend";
      };
      hooks.qemu = mkOption {
        type = types.attrsOf types.path;
        default = { };
      };
      qemu = mkOption {
        type = types.submodule {
          options = {
            # NixOS set this up before 25.11. Now it only declares the option and rejects any value.
            ovmf = mkOption {
              type = types.submodule {
                options.enable = mkOption {
                  type = if ovmf then types.bool else types.nullOr types.bool;
                  default = if ovmf then true else null;
                };
              };
              default = { };
            };
            runAsRoot = mkOption {
              type = types.bool;
              default = true;
            };
            swtpm.enable = mkOption {
              type = types.bool;
              default = false;
            };
            verbatimConfig = mkOption {
              type = types.lines;
              default = ''
                namespaces = []
              '';
            };
          };
        };
        default = { };
      };
    };
  };

  config = {
    _module.args.pkgs = pkgs;

    assertions = [
      # nixpkgs nixos/modules/system/boot/systemd/initrd.nix
      {
        assertion = !onSystemd || config.boot.initrd.preDeviceCommands == "";
        message = "systemd stage 1 does not support 'boot.initrd.preDeviceCommands'.";
      }
      # nixpkgs nixos/modules/virtualisation/libvirtd.nix
      {
        assertion = ovmf || config.virtualisation.libvirtd.qemu.ovmf.enable == null;
        message = "The 'virtualisation.libvirtd.qemu.ovmf' submodule has been removed.";
      }
    ];
  };
}
