# Options for two settings in libvirt's qemu.conf for which NixOS has no options.
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

  # cgroup_device_acl replaces libvirt's default list, so without these devices QEMU can't open even
  # /dev/kvm. The default differs between versions; this list is the union, because libvirt skips
  # missing devices.
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
      libvirt reads only the first. Remove it from your verbatimConfig and use
      virtualisation.libvirtd.${option} instead.
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
        Devices that QEMU may open in addition to those that libvirt allows.

        Needed only for devices in `<qemu:commandline>`. libvirt already allows the devices of
        elements in the domain, such as `<hostdev>`, `<input type='evdev'>`, disks and sound.
      '';
    };

    clearEmulationCapabilities = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether libvirt drops all capabilities of QEMU when it starts a guest.
        Turning this off weakens the isolation between guest and host.
      '';
    };
  };

  config = mkIf (cfg.enable && (writesACL || writesCapabilities)) {
    # Any definition of verbatimConfig replaces the NixOS default, which turns namespaces off, so that
    # line is repeated here. It is last because libvirt reads the first of two equal keys, so the
    # user's `namespaces' takes precedence.
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
