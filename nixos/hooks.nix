# What the host does when a guest starts and stops.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:

let
  inherit (lib)
    any
    attrValues
    concatStringsSep
    filterAttrs
    makeBinPath
    mapAttrs
    mapAttrsToList
    mkIf
    mkOption
    optionalAttrs
    optionalString
    types
    ;

  cfg = config.virtualisation.vfio;

  cpuList = types.strMatching "[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*" // {
    description = "list of CPUs, such as 0-3,8-11";
  };

  commands =
    { description, example }:
    mkOption {
      type = types.lines;
      default = "";
      inherit description example;
    };

  guest.options = {
    hostCPUs = mkOption {
      type = types.nullOr cpuList;
      default = null;
      example = "0-3,8-11";
      description = ''
        CPUs that the host keeps while this guest runs, numbered as in `lscpu -e`. The host's
        programs don't use the other CPUs, so assign those to the guest with `<vcpupin>` in its
        domain. The host gets all CPUs back when the guest is off.
      '';
    };

    prepare = commands {
      description = ''
        Bash commands that run as root before the guest gets its devices. If one fails, the guest
        does not start. They must not call `virsh`, which would wait for the guest.
      '';
      example = ''
        systemctl stop display-manager.service
        modprobe -r nvidia_drm nvidia_modeset nvidia_uvm nvidia
      '';
    };

    started = commands {
      description = ''
        Bash commands that run as root when the guest has started. They must not call `virsh`.
      '';
      example = ''
        systemctl start scream.service
      '';
    };

    stopped = commands {
      description = ''
        Bash commands that run as root when the guest has stopped, before its devices are released.
        They must not call `virsh`.
      '';
      example = ''
        systemctl stop scream.service
      '';
    };

    release = commands {
      description = ''
        Bash commands that run as root when the host has the guest's devices back. If one fails, the
        others still run. They must not call `virsh`.
      '';
      example = ''
        modprobe nvidia_drm
        systemctl start display-manager.service
      '';
    };
  };

  # ---- the hook

  # libvirt's operation and step for each option.
  moments = {
    prepare = "prepare/begin";
    started = "started/begin";
    stopped = "stopped/end";
    release = "release/end";
  };

  before = {
    prepare = guest: optionalString (guest.hostCPUs != null) "isolate ${guest.hostCPUs}\n";
    # First, so that the host gets its CPUs back even if the commands fail.
    release = guest: optionalString (guest.hostCPUs != null) "unite\n";
  };

  stepsOf =
    guest:
    filterAttrs (_: step: step != "") (
      mapAttrs (name: _: (before.${name} or (_: "")) guest + guest.${name}) moments
    );

  # Unlike escapeShellArg, this returns the same text with every nixpkgs.
  quoted = text: "'${lib.replaceStrings [ "'" ] [ "'\\''" ] text}'";

  # The commands of each step run in a subshell, so that an `exit' or a variable does not affect the
  # other steps. Only `prepare' may fail: after an error in `started', libvirt would stop the guest.
  branch = name: step: ''
    ${moments.${name}})
    (
    ${optionalString (name == "prepare") "set -e\n"}${step}
    )${optionalString (name != "prepare") " || true"}
    ;;
  '';

  guestBranch = name: steps: ''
    ${quoted name})
    case "$2/$3" in
    ${concatStringsSep "" (mapAttrsToList branch steps)}esac
    ;;
  '';

  guestsWithSteps = filterAttrs (_: steps: steps != { }) (mapAttrs (_: stepsOf) cfg.guests);

  isolatesCPUs = any (guest: guest.hostCPUs != null) (attrValues cfg.guests);

  # Several guests may run at once. Each running guest with `hostCPUs' has a file with the CPUs that
  # the host keeps. When one of them stops, the host gets the CPUs in one of the remaining files.
  isolation = ''
    guest=$1
    marks=/run/vfio-guests

    limit_host() {
      for unit in user.slice system.slice init.scope; do
        systemctl set-property --runtime -- "$unit" "AllowedCPUs=$1"
      done
    }

    isolate() {
      # If the guest does not start, the host gets its CPUs back.
      trap 'if [ "$?" != 0 ]; then unite; fi' EXIT
      mkdir -p "$marks"
      echo "$1" > "$marks/$guest"
      limit_host "$1"
    }

    unite() {
      rm -f "$marks/$guest"
      read -r cpus < /sys/devices/system/cpu/online
      for mark in "$marks"/*; do
        if [ -e "$mark" ]; then
          read -r cpus < "$mark"
        fi
      done
      limit_host "$cpus"
    }

  '';

  # libvirt calls this with the name of the guest, the operation and the step, and waits for it.
  hook = pkgs.writeShellScript "vfio-guests" ''
    export PATH=${makeBinPath tools}:$PATH

    ${optionalString isolatesCPUs isolation}case "$1" in
    ${concatStringsSep "" (mapAttrsToList guestBranch guestsWithSteps)}esac
  '';

  tools = [
    pkgs.coreutils
    pkgs.kmod
    config.systemd.package
  ];
in
{
  options.virtualisation.vfio.guests = mkOption {
    type = types.attrsOf (types.submodule guest);
    default = { };
    example = {
      win10.hostCPUs = "0-3,8-11";
    };
    description = ''
      Guests by their names in libvirt, and what the host does when they start and stop.
    '';
  };

  config = mkIf cfg.enable (
    optionalAttrs (options.virtualisation.libvirtd ? hooks) {
      virtualisation.libvirtd.hooks.qemu = mkIf (guestsWithSteps != { }) { vfio-guests = hook; };
    }
  );
}
