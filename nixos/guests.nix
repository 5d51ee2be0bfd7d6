# The guests of the configuration: the XML of each guest for libvirt, and checks of the XML.
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

  # A single value in a domain, including paths and packages. The renderer checks whether the element
  # allows it.
  single = lib.mkOptionType {
    name = "domainText";
    description = "string or number";
    check = value: !isList value && !(isAttrs value && !(value ? outPath));
    merge = lib.mergeEqualOption;
  };

  element =
    types.either single (types.either (types.listOf element) (types.attrsOf element))
    // {
      description = "element of a domain";
    };

  domain = types.attrsOf element // {
    description = "libvirt domain in Nix, as `vfio-patch domain` prints it";
  };

  # ---- the XML of one guest

  # Unlike escapeShellArg, this returns the same text with every nixpkgs.
  quoted = text: "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";

  # Whether the file can be read without a build.
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

  # The XML as a file. The build fails if this system's libvirt does not accept it.
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
        refuse 'libvirt does not accept this domain, for the reasons above.'
      found=$(xmllint --xpath 'string(/domain/name)' "$file")
      [ "$found" = "$name" ] ||
        refuse "its XML has <name>$found</name>, but it must have <name>$name</name>."
      [ -n "$(xmllint --xpath 'string(/domain/uuid)' "$file")" ] ||
        refuse 'its XML has no <uuid>, so libvirt would treat it as a new guest each time. If libvirt has this guest, add the UUID that "virsh domuuid" prints, otherwise the output of "uuidgen".'
      [ "$(xmllint --xpath 'count(//@passwd[. != ""])' "$file")" = 0 ] ||
        refuse 'its XML has a password, which every user of this machine could read. Remove it.'
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
            The guest's domain in Nix. `vfio-patch domain win10.xml` prints it from the output of
            `virsh dumpxml --inactive`. The guest is defined in libvirt when you switch to the
            configuration; a running guest uses the new definition from its next start. A change in
            libvirt itself, for example with virt-manager, lasts until this option changes.
            libvirt's definition is then saved in `/var/lib/vfio-guests`.

            A set is an element, a string in a set is an attribute, and a list is several elements
            with the same name. `null` omits an element or attribute.
          '';
        };

        xmlFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = lib.literalExpression "./win10.xml";
          description = ''
            The XML of the guest's domain as a file, instead of {option}`domain`.
          '';
        };

        autostart = mkOption {
          type = types.nullOr types.bool;
          default = null;
          example = true;
          description = ''
            Whether libvirt starts the guest when the host boots. `null` keeps libvirt's setting.
            At boot, libvirt starts the guest before the guest is defined again, so a change through
            `nixos-rebuild boot` takes effect one start later.
          '';
        };

        definition = mkOption {
          type = types.nullOr types.package;
          internal = true;
          readOnly = true;
          description = "The XML that libvirt gets, or `null` if the configuration has none.";
        };
      };

      config.definition =
        if config.domain == null && config.xmlFile == null then null else checked name config;
    };

  # ---- assertions and warnings

  nameOfOption =
    name:
    showOption [
      "virtualisation"
      "vfio"
      "guests"
      name
    ];

  # `name = "win10"' and `name._text = "win10"' mean the same.
  textOf =
    value:
    if value == null then
      null
    else if isAttrs value then
      textOf (value._text or null)
    else
      toString value;

  # virsh would read a number as the ID of a running guest, and the name becomes a file name.
  isValidName =
    name:
    builtins.match "[^/.[:cntrl:]][^/[:cntrl:]]*" name != null
    && builtins.match "[0-9]+" name == null;

  # Other names that virsh reads as an ID or a UUID.
  isReadAsID =
    name:
    builtins.match "[[:space:]]*[+]?[0-9]+" name != null
    || builtins.match "[[:xdigit:]-]{36}" name != null;

  # The matches of a pattern in a text, each as the list of its groups.
  matches = pattern: text: filter isList (builtins.split pattern text);

  # Replaces the references to quotation marks in XML.
  decodeQuotes = replaceStrings [ "&quot;" "&#34;" "&apos;" "&#39;" ] [ "\"" "\"" "'" "'" ];

  # Values that turn passwords on or off, but are not passwords.
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
      text = decodeQuotes xml;
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
          ${option}.autostart needs a guest that the configuration defines. Set `domain' or
          `xmlFile', or remove `autostart'.
        '';
      }
    ]
    ++ optionals isDefined [
      {
        assertion = isValidName name;
        message = ''
          ${option}: this is not a valid name for a guest. A name has no slash and no control
          character, does not begin with a dot, and is not a number.
        '';
      }
      {
        assertion = !isValidName name || !isReadAsID name;
        message = ''
          ${option}: virsh reads this name as an ID or a UUID, which may belong to another guest.
          Choose another name.
        '';
      }
      {
        assertion = value.domain == null || domainName == name;
        message = ''
          ${option}.domain.name is ${toString domainName}, but the options in
          ${option} apply to libvirt's guest ${name}. Use the same name in both places.
        '';
      }
      {
        assertion = value.domain == null || textOf (value.domain.uuid or null) != null;
        message = ''
          ${option}.domain has no `uuid', so libvirt would treat it as a new guest each time.
          If libvirt has this guest, add the UUID that `virsh domuuid' prints, otherwise the output
          of `uuidgen'.
        '';
      }
      {
        assertion = passwords == [ ];
        message = ''
          ${option} has ${concatStringsSep " and " passwords}, but every user of this machine can
          read the Nix store. Remove it. A display needs no password if it can be reached only from
          this machine: let it listen on 127.0.0.1 or on a socket.
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

  # Guests that libvirt can't distinguish.
  sharedUUIDs = mapAttrsToList (_: same: {
    assertion = lib.length same == 1;
    message = ''
      ${concatStringsSep " and " (map (it: nameOfOption it.name) same)} have the same UUID, so
      libvirt treats them as one guest. If you renamed a guest, remove its old name; otherwise give
      one of them a new UUID from `uuidgen'.
    '';
  }) (lib.groupBy (it: it.uuid) (concatMap uuidsOf guests));

  warningsOf =
    { name, value }:
    optional (any (interface: !(interface ? mac)) (interfacesOf value)) ''
      ${nameOfOption name}.domain has a network interface without `mac'. libvirt generates a new
      address each time it defines the guest, which then finds a new network card. Add the address
      that `virsh domiflist' shows, for example mac.address = "52:54:00:12:34:56";.
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
        Whether to remove guests from libvirt that are no longer in the configuration. Only guests
        that an earlier configuration defined are removed, and only while they are off. Their disks,
        NVRAM and TPM and a copy of their XML are kept. Without this option, libvirt keeps the
        guests, and the journal has a warning.
      '';
    };
  };

  config = mkIf cfg.enable {
    assertions = concatMap failuresOf guests ++ sharedUUIDs;
    warnings = concatMap warningsOf guests;
  };
}
