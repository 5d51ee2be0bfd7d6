# What happens on the host around the start and the stop of a guest.
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
    description = "list of processors, such as 0-3,8-11";
  };

  commands =
    { moment, example }:
    mkOption {
      type = types.lines;
      default = "";
      inherit example;
      description = moment;
    };

  guest.options = {
    hostCPUs = mkOption {
      type = types.nullOr cpuList;
      default = null;
      example = "0-3,8-11";
      description = ''
        The processors that the host keeps while this guest runs, as `lscpu -e` counts them; the
        programs of the host leave all others. Give the guest the rest, by `<vcpupin>` in its
        domain. The host gets all of them back when the guest is off.
      '';
    };

    prepare = commands {
      moment = ''
        Commands of bash that root runs before the guest gets its devices. One that fails keeps
        the guest from starting. None of them may call `virsh`, which would wait for the guest.
      '';
      example = ''
        systemctl stop display-manager.service
        modprobe -r nvidia_drm nvidia_modeset nvidia_uvm nvidia
      '';
    };

    started = commands {
      moment = ''
        Commands of bash that root runs when the guest has started. Not `virsh`.
      '';
      example = ''
        systemctl start scream.service
      '';
    };

    stopped = commands {
      moment = ''
        Commands of bash that root runs when the guest has ended, before its devices are free.
        Not `virsh`.
      '';
      example = ''
        systemctl stop scream.service
      '';
    };

    release = commands {
      moment = ''
        Commands of bash that root runs when the host has the guest's devices back. Each is run,
        also after one that failed. Not `virsh`.
      '';
      example = ''
        modprobe nvidia_drm
        systemctl start display-manager.service
      '';
    };
  };

  # ---- the hook

  # libvirt's names of these moments: operation and step.
  moments = {
    prepare = "prepare/begin";
    started = "started/begin";
    stopped = "stopped/end";
    release = "release/end";
  };

  before = {
    prepare = guest: optionalString (guest.hostCPUs != null) "isolate ${guest.hostCPUs}\n";
    # Whatever becomes of the commands, the host has its processors back.
    release = guest: optionalString (guest.hostCPUs != null) "unite\n";
  };

  stepsOf =
    guest:
    filterAttrs (_: step: step != "") (
      mapAttrs (name: _: (before.${name} or (_: "")) guest + guest.${name}) moments
    );

  # The same text with any nixpkgs, which escapeShellArg does not give.
  quoted = text: "'${lib.replaceStrings [ "'" ] [ "'\\''" ] text}'";

  # Each in a shell of its own, so that an `exit' or a variable concerns nobody else. Only of
  # `prepare' libvirt may hear that it failed: later it would stop the guest.
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

  # Several guests may run at a time: each that has processors of its own leaves a file that says
  # which ones the host keeps, and the host goes by one that is left.
  isolation = ''
    guest=$1
    marks=/run/vfio-guests

    limit_host() {
      for unit in user.slice system.slice init.scope; do
        systemctl set-property --runtime -- "$unit" "AllowedCPUs=$1"
      done
    }

    isolate() {
      # If the guest does not start after all, the host is not left with less.
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

  # libvirt calls this with the name of the guest, the operation and the step, and does not go on
  # before it ends.
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
      Guests by their names in libvirt, and what the host does around their start and stop.
    '';
  };

  config = mkIf cfg.enable (
    optionalAttrs (options.virtualisation.libvirtd ? hooks) {
      virtualisation.libvirtd.hooks.qemu = mkIf (guestsWithSteps != { }) { vfio-guests = hook; };
    }
  );
}
