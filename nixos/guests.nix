# Guests that stand in the configuration: the XML that libvirt gets of each, and what is wrong with
# it, told before it is built.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib)
    any
    concatMap
    concatStringsSep
    elem
    filter
    isAttrs
    isList
    isString
    makeBinPath
    mapAttrsToList
    mkIf
    mkOption
    optional
    optionals
    replaceStrings
    showOption
    toList
    types
    ;

  cfg = config.virtualisation.vfio;

  libvirt = config.virtualisation.libvirtd.package;

  render = import ./_lib/domain.nix;

  # ---- the type of a domain

  # What is one value in a domain: also a path, or a package that stands for its place. Whether it
  # can stand there is for the renderer to say, which knows the element.
  single = lib.mkOptionType {
    name = "domainText";
    description = "text or number";
    check = value: !isList value && !(isAttrs value && !(value ? outPath));
    merge = lib.mergeEqualOption;
  };

  element =
    types.either single (types.either (types.listOf element) (types.attrsOf element))
    // {
      description = "element of a domain";
    };

  domain = types.attrsOf element // {
    description = "domain of libvirt in Nix, as `vfio-patch domain` writes it";
  };

  # ---- the XML of one guest

  # The same text with any nixpkgs, which escapeShellArg does not give.
  quoted = text: "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";

  # Only what can be read without building something.
  isReadable = file: builtins.isPath file || isString file && !builtins.hasContext file;

  readXML = file: builtins.readFile (if isString file then /. + file else file);

  guests = mapAttrsToList lib.nameValuePair cfg.guests;

  xmlOf =
    name: guest:
    if guest.domain != null then
      render ({ inherit name; } // guest.domain)
    else if isReadable guest.xmlFile then
      readXML guest.xmlFile
    else
      null;

  # The XML as a file that the libvirt of this system accepts; else the build stops.
  checked =
    name: guest:
    let
      fileName = lib.strings.sanitizeDerivationName "${name}.xml";
      text = xmlOf name guest;
      file = if text == null then guest.xmlFile else pkgs.writeText fileName text;
      tools = makeBinPath [
        libvirt
        pkgs.libxml2
      ];
    in
    pkgs.runCommand fileName { inherit file; } ''
      export PATH=${tools}:$PATH
      guest=${quoted (nameOfOption name)}
      name=${quoted name}

      refuse() {
        printf '\n%s: %s\n' "$guest" "$1" >&2
        exit 1
      }

      virt-xml-validate "$file" domain ||
        refuse 'libvirt does not accept this domain. What it does not like stands above.'
      found=$(xmllint --xpath 'string(/domain/name)' "$file")
      [ "$found" = "$name" ] ||
        refuse "its XML says <name>$found</name>. Both names have to be the same."
      [ -n "$(xmllint --xpath 'string(/domain/uuid)' "$file")" ] ||
        refuse 'its XML has no <uuid>, and libvirt would take it for another guest each time. Add one: that of "virsh domuuid" if libvirt has this guest, else one that "uuidgen" makes.'
      [ "$(xmllint --xpath 'count(//@passwd[. != ""])' "$file")" = 0 ] ||
        refuse 'its XML has a password, which everyone on this machine could read. Take it out.'
      cp "$file" "$out"
    '';

  guest =
    { name, config, ... }:
    {
      options = {
        domain = mkOption {
          type = types.nullOr domain;
          default = null;
          example = {
            type = "kvm";
            name = "win10";
            uuid = "a4f3e9c6-5c0e-4a53-9d5f-3e0c6a1b7d21";
            memory = {
              unit = "GiB";
              _text = 16;
            };
            vcpu = 8;
            os = {
              type = {
                arch = "x86_64";
                machine = "q35";
                _text = "hvm";
              };
            };
          };
          description = ''
            The guest: the XML of its domain as Nix. `vfio-patch domain win10.xml` writes it from
            what `virsh dumpxml --inactive` gives. libvirt gets it when the system is switched to,
            and a guest that runs goes on as it is until its next start. What is changed in libvirt,
            by virt-manager say, counts until this here changes, and is then kept in
            `/var/lib/vfio-guests`.

            A set is an element, a text in it an attribute, a list several elements of one name;
            `null` leaves out.
          '';
        };

        xmlFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = lib.literalExpression "./win10.xml";
          description = ''
            The XML of the guest's domain as a file, in place of {option}`domain`.
          '';
        };

        autostart = mkOption {
          type = types.nullOr types.bool;
          default = null;
          example = true;
          description = ''
            Whether libvirt starts the guest when the host boots. `null` leaves that as libvirt
            has it. The guest is started as libvirt knows it: what changes with
            `nixos-rebuild boot` counts from the start after that one on.
          '';
        };

        definition = mkOption {
          type = types.nullOr types.package;
          internal = true;
          readOnly = true;
          description = "The XML that libvirt gets, or `null` where the configuration has none.";
        };
      };

      config.definition =
        if config.domain == null && config.xmlFile == null then null else checked name config;
    };

  # ---- what is wrong

  nameOfOption =
    name:
    showOption [
      "virtualisation"
      "vfio"
      "guests"
      name
    ];

  # `name = "win10"' and `name._text = "win10"' are the same.
  textOf =
    value:
    if value == null then
      null
    else if isAttrs value then
      textOf (value._text or null)
    else
      toString value;

  # virsh takes a number for that of a running guest; a file of each guest bears its name.
  isGoodName =
    name:
    builtins.match "[^/.[:cntrl:]][^/[:cntrl:]]*" name != null
    && builtins.match "[0-9]+" name == null;

  # So it does with other spellings of a number, and looks for a UUID first.
  isTakenForAnother =
    name:
    builtins.match "[[:space:]]*[+]?[0-9]+" name != null
    || builtins.match "[[:xdigit:]-]{36}" name != null;

  # The parts of a text that match, each as the list of what stood in parentheses.
  matches = pattern: text: filter isList (builtins.split pattern text);

  # A quotation mark in the XML has a name of its own where it stands in a value.
  marks = replaceStrings [ "&quot;" "&#34;" "&apos;" "&#39;" ] [ "\"" "\"" "'" "'" ];

  # What is no password but says whether there is one.
  isSwitch =
    value:
    elem value [
      "on"
      "off"
      "yes"
      "no"
      "true"
      "false"
    ];

  passwordsIn =
    xml:
    let
      text = marks xml;
      attributes = matches "[[:space:]]passwd[[:space:]]*=[[:space:]]*(\"[^\"]|'[^'])" text;
      arguments = filter (it: !isSwitch (lib.last it)) (
        matches "[,'\"](password|passwd)\"?[[:space:]]*[:=][[:space:]]*\"?([^],'\"<>}[:space:]]*)" text
      );
      secrets =
        matches "['\"]secret,[^'\"<>]*data=" text
        ++ matches "\"qom-type\"[[:space:]]*:[[:space:]]*\"secret\"[^<>]*\"data\"" text;
    in
    optional (attributes != [ ]) "a `passwd'"
    ++ optional (arguments ++ secrets != [ ]) "a password in a <qemu:arg>"
    ++ optional (matches "<cookie[[:space:]]" text != [ ]) "a <cookie>";

  interfacesOf =
    guest:
    let
      devices = guest.domain.devices or { };
    in
    if guest.domain == null || !isAttrs devices then
      [ ]
    else
      filter isAttrs (toList (devices.interface or [ ]));

  failuresOf =
    { name, value }:
    let
      option = nameOfOption name;
      isDefined = value.definition != null;
      domainName = textOf (value.domain.name or name);
      xml = xmlOf name value;
      passwords = if xml == null then [ ] else passwordsIn xml;
    in
    [
      {
        assertion = value.domain == null || value.xmlFile == null;
        message = "${option} has both `domain' and `xmlFile'. Keep one of them.";
      }
      {
        assertion = isDefined || value.autostart == null;
        message = ''
          ${option}.autostart is for a guest that stands in the configuration. Give the guest its
          `domain' or `xmlFile', or take `autostart' out.
        '';
      }
    ]
    ++ optionals isDefined [
      {
        assertion = isGoodName name;
        message = ''
          ${option}: a guest of the configuration can't have this name. It must be more than digits,
          have no slash, and not begin with a dot.
        '';
      }
      {
        assertion = !isGoodName name || !isTakenForAnother name;
        message = ''
          ${option}: virsh takes this name for the number or the UUID of a guest, which may be another
          one. Choose another name.
        '';
      }
      {
        assertion = value.domain == null || domainName == name;
        message = ''
          ${option}.domain has the name ${toString domainName}, and the two have to be the same: what is
          set here is for the guest that libvirt knows by this name. Rename one of them.
        '';
      }
      {
        assertion = value.domain == null || textOf (value.domain.uuid or null) != null;
        message = ''
          ${option}.domain has no `uuid', and libvirt would take it for another guest each time.
          Add it: the one that `virsh domuuid' gives if libvirt has this guest, else one that
          `uuidgen' makes.
        '';
      }
      {
        assertion = passwords == [ ];
        message = ''
          ${option} has ${concatStringsSep " and " passwords}, and everyone on this machine can read
          what the system is built from. Take it out. A picture that is seen on this machine only
          needs none: let it listen on 127.0.0.1 or on a socket.
        '';
      }
    ];

  uuidsOf =
    { name, value }:
    let
      xml = if value.definition == null then null else xmlOf name value;
      found = if xml == null then [ ] else matches "<uuid>[[:space:]]*([[:xdigit:]-]+)" xml;
    in
    map (it: {
      inherit name;
      uuid = lib.toLower (lib.head it);
    }) (lib.take 1 found);

  # Guests that libvirt can't tell apart.
  sharedUUIDs = mapAttrsToList (_: same: {
    assertion = lib.length same == 1;
    message = ''
      ${concatStringsSep " and " (map (it: nameOfOption it.name) same)} have the same UUID, and are
      one guest to libvirt. If one is the old name of the other, take it out; else give one of
      them another UUID, which `uuidgen' makes.
    '';
  }) (lib.groupBy (it: it.uuid) (concatMap uuidsOf guests));

  warningsOf =
    { name, value }:
    optional (any (interface: !(interface ? mac)) (interfacesOf value)) ''
      ${nameOfOption name}.domain has a network interface without `mac'. libvirt makes one up each time
      it gets the guest, and the guest then takes it for a new card. Add the one that
      `virsh domiflist' shows, such as mac.address = "52:54:00:12:34:56";.
    '';
in
{
  options.virtualisation.vfio = {
    guests = mkOption { type = types.attrsOf (types.submodule guest); };

    removeOldGuests = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether a guest that is no longer in the configuration goes from libvirt too. Only those
        that the configuration once defined, and none that runs. Its disks, its NVRAM, its TPM and
        a copy of its XML stay. Without this the guest stays, and the journal says so.
      '';
    };
  };

  config = mkIf cfg.enable {
    assertions = concatMap failuresOf guests ++ sharedUUIDs;
    warnings = concatMap warningsOf guests;
  };
}
