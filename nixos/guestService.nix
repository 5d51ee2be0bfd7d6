# Defines the guests of the configuration in libvirt, after libvirt has started.
{ config, lib, ... }:

let
  inherit (lib)
    attrNames
    concatStrings
    concatStringsSep
    filterAttrs
    mapAttrsToList
    mkIf
    optionalString
    ;

  cfg = config.virtualisation.vfio;
  inherit (config.virtualisation) libvirtd;

  defined = filterAttrs (_: guest: guest.definition != null) cfg.guests;
  undefined = filterAttrs (_: guest: guest.definition == null) cfg.guests;

  quoted = text: "'${lib.replaceStrings [ "'" ] [ "'\\''" ] text}'";

  yesOrNo = value: if value then "yes" else "no";

  lines = guests: quoted (concatStringsSep "\n" (attrNames guests));

  define = name: guest: "define_guest ${quoted name} ${guest.definition}\n";

  # The network first, because a guest that starts with the host needs it.
  settle =
    name: guest:
    "start_network ${quoted name}\n"
    + optionalString (
      guest.autostart != null
    ) "set_autostart ${quoted name} ${yesOrNo guest.autostart}\n";
in
{
  config = mkIf (cfg.enable && libvirtd.enable) {
    systemd.services.vfio-guests = {
      description = "Define the guests of the configuration in libvirt";
      wantedBy = [ "multi-user.target" ];
      after = [ "libvirtd.service" ];
      requires = [ "libvirtd.service" ];
      path = [ libvirtd.package ];
      environment = {
        LIBVIRT_DEFAULT_URI = "qemu:///system";
        LC_ALL = "C";
      };
      # A configuration without guests needs the service only if an earlier one had guests.
      unitConfig = mkIf (defined == { }) { ConditionPathExists = "/var/lib/vfio-guests"; };
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        StateDirectory = "vfio-guests";
        StateDirectoryMode = "0700";
        TimeoutStartSec = "5min";
      };
      script = ''
        ${import ./_lib/defineGuests.nix}
        defined=${lines defined}
        undefined=${lines undefined}
        removes=${yesOrNo cfg.removeOldGuests}

        list_guests
        handle_old_guests
        list_guests
        ${concatStrings (mapAttrsToList define defined)}
        list_guests
        ${concatStrings (mapAttrsToList settle defined)}
        [ "$failed" = no ]
      '';
    };
  };
}
