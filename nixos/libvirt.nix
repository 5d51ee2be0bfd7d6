# Two settings of libvirt's qemu.conf that NixOS has no option for.
{ config, lib, ... }:

let
  inherit (lib)
    concatMapStringsSep
    count
    mkAfter
    mkIf
    mkOption
    optionalString
    splitString
    types
    unique
    ;

  cfg = config.virtualisation.libvirtd;

  # cgroup_device_acl replaces libvirt's own list, it does not add to it: without
  # these, QEMU may not even open /dev/kvm. libvirt's list changed over the
  # years; a device that does not exist is passed over, so the union is safe.
  libvirtDevices = [
    "/dev/null"
    "/dev/full"
    "/dev/zero"
    "/dev/random"
    "/dev/urandom"
    "/dev/ptmx"
    "/dev/kvm"
    "/dev/userfaultfd"
  ];

  writesACL = cfg.deviceACL != [ ];
  writesCapabilities = !cfg.clearEmulationCapabilities;

  quoted = device: "  \"${device}\"";

  deviceACL = ''
    cgroup_device_acl = [
    ${concatMapStringsSep ",\n" quoted (unique (libvirtDevices ++ cfg.deviceACL))}
    ]
  '';

  timesWritten =
    key:
    count (line: builtins.match "[[:space:]]*${key}[[:space:]]*=.*" line != null) (
      splitString "\n" cfg.qemu.verbatimConfig
    );

  writtenOnce = key: option: {
    assertion = timesWritten key <= 1;
    message = ''
      virtualisation.libvirtd.qemu.verbatimConfig sets `${key}' a second time, and
      libvirt reads only the first. Take it out of your own verbatimConfig and say the same with
      virtualisation.libvirtd.${option}.
    '';
  };
in
{
  options.virtualisation.libvirtd = {
    deviceACL = mkOption {
      type = types.listOf (
        types.strMatching ''/dev/[^"[:space:]]+''
        // {
          description = "path of a device, below /dev/";
        }
      );
      default = [ ];
      example = [ "/dev/kvmfr0" ];
      description = ''
        Devices that guests may open besides those that libvirt knows of.

        Needed for devices that are named in `<qemu:commandline>` only. libvirt itself
        takes care of what it can see in the domain: `<hostdev>`, `<input type='evdev'>`,
        disks and sound.
      '';
    };

    clearEmulationCapabilities = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether libvirt takes all privileges from QEMU before it starts a guest.
        Turning this off weakens the wall between guest and host.
      '';
    };
  };

  config = mkIf (cfg.enable && (writesACL || writesCapabilities)) {
    # The first definition of verbatimConfig discards the NixOS default, which turns
    # namespaces off, so it is repeated here. It comes last: libvirt heeds the first of
    # two equal keys, so that a `namespaces' of your own still counts.
    virtualisation.libvirtd.qemu.verbatimConfig = mkAfter (
      ''
        namespaces = []
      ''
      + optionalString writesACL deviceACL
      + optionalString writesCapabilities ''
        clear_emulation_capabilities = 0
      ''
    );

    assertions = [
      (writtenOnce "cgroup_device_acl" "deviceACL")
      (writtenOnce "clear_emulation_capabilities" "clearEmulationCapabilities")
    ];
  };
}
