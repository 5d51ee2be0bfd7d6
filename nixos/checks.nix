# Assertions and warnings about configurations that pass devices through to guests.
{
  config,
  lib,
  options,
  ...
}:

let
  inherit (lib)
    any
    concatMap
    concatStringsSep
    elem
    filter
    hasInfix
    hasPrefix
    intersectLists
    mkIf
    optional
    optionals
    splitString
    toLower
    unique
    versionAtLeast
    ;

  cfg = config.virtualisation.vfio;

  inherit (config.boot.kernelPackages) kernel;

  bindsByID = cfg.bindAtBoot && cfg.devices != [ ];

  words =
    text:
    filter (word: word != "") (splitString " " (lib.replaceStrings [ "\t" "\n" ] [ " " " " ] text));

  kernelParams = concatMap words config.boot.kernelParams;

  # modprobe does not distinguish - and _ in the name of a module.
  underscored = lib.replaceStrings [ "-" ] [ "_" ];

  # The lines with this command for certain modules, each as a list of words.
  modprobeLinesFor =
    command: isModule:
    filter (
      line:
      lib.length line > 1 && lib.head line == command && isModule (underscored (lib.elemAt line 1))
    ) (map words (splitString "\n" config.boot.extraModprobeConfig));

  # The IDs in one setting for vfio-pci, without case, order and duplicates, which vfio-pci ignores.
  bindingOf = place: assignment: {
    inherit place;
    ids =
      let
        list = lib.replaceStrings [ "\"" ] [ "" ] (lib.last (splitString "ids=" assignment));
      in
      lib.sort (a: b: a < b) (filter (id: id != "") (unique (splitString "," (toLower list))));
  };

  # If a line has `ids=' several times, the last one takes effect.
  lastIDs = line: lib.last (filter (hasPrefix "ids=") line);

  bindings =
    map (param: bindingOf param param) (
      filter (param: hasPrefix "vfio_pci.ids=" (underscored param)) kernelParams
    )
    ++ map (line: bindingOf (concatStringsSep " " line) (lastIDs line)) (
      filter (any (hasPrefix "ids=")) (modprobeLinesFor "options" (module: module == "vfio_pci"))
    );

  idsDiffer = lib.length (unique (map (it: it.ids) bindings)) > 1;

  setTwice = ''
    The IDs for vfio-pci are set more than once, but only the last setting takes effect:
      ${concatStringsSep "\n  " (map (it: it.place) bindings)}
    Move them all to virtualisation.vfio.devices.
  '';

  # softdep lines without effect, because the lines of this module come first.
  deadSoftdeps = filter (line: !(hasInfix "vfio" line) && line != "softdep nvidia post: nvidia-uvm") (
    map (concatStringsSep " ") (
      modprobeLinesFor "softdep" (module: elem module (map underscored cfg.competingDrivers))
    )
  );

  initrdModules = config.boot.initrd.kernelModules ++ config.boot.initrd.availableKernelModules;
  loadsVirqfd = elem "vfio_virqfd" (initrdModules ++ config.boot.kernelModules);

  # The name of a parameter, with underscores, and its value; null for a parameter without a value.
  parseParam =
    param:
    let
      parts = builtins.match "([^=]*)=(.*)" param;
    in
    if parts == null then
      null
    else
      {
        name = underscored (lib.head parts);
        value = lib.last parts;
      };

  # The parameters with this name that have `word' in their value, a list such as iommu=pt,force, if
  # no later word contradicts it.
  paramsWith =
    name: word: contrary:
    let
      hasWord =
        it:
        it != null
        && it.name == name
        && lastOf (filter (w: w == word || elem w contrary) (splitString "," it.value)) == word;
    in
    filter (param: hasWord (parseParam param)) kernelParams;

  iommuOff =
    paramsWith "iommu" "off" [ ]
    ++ paramsWith "amd_iommu" "off" [ ]
    ++ paramsWith "intel_iommu" "off" [ "on" ];

  noPassthroughDMA =
    intersectLists kernelParams [ "iommu.passthrough=0" ] ++ paramsWith "iommu" "nopt" [ "pt" ];

  # Parameters from guides that turn off the firmware's framebuffer.
  framebuffersOff = filter (
    param: builtins.match "video=(efifb|vesafb|simplefb):off(,.*)?" param != null
  ) kernelParams;

  hostNvidiaDrivers = intersectLists (config.services.xserver.videoDrivers or [ ]) [
    "nvidia"
    "nouveau"
  ];

  kernelName = toLower "${kernel.name or ""} ${kernel.modDirVersion or ""}";

  hasACSPatch =
    kernel.isZen or false
    || any (name: hasInfix name kernelName) [
      "zen"
      "lqx"
      "liquorix"
      "xanmod"
      "cachyos"
    ]
    || any (patch: hasInfix "acs" (toLower (patch.name or ""))) config.boot.kernelPatches;

  lastOf = list: if list == [ ] then null else lib.last list;

  nvidia = config.hardware.nvidia or { };

  # Since NixOS 26.05, options set the parameters of NVIDIA's modules for modprobe. Kernel
  # parameters override them.
  hasModuleParams = (options.hardware.nvidia or { }) ? moduleParams;

  fbdevParam = lastOf (filter (hasPrefix "nvidia_drm.fbdev=") (map underscored kernelParams));

  moduleFbdev = concatMap (name: [ (nvidia.moduleParams.${name}.fbdev or null) ]) [
    "nvidia-drm"
    "nvidia_drm"
  ];

  isYes =
    value:
    elem value [
      1
      true
      "1"
      "y"
      "Y"
      "on"
    ];

  fbdevByParam = fbdevParam != null && isYes (lib.last (splitString "=" fbdevParam));
  fbdevByModule = fbdevParam == null && hasModuleParams && any isYes moduleFbdev;

  # "PCI:1:0:0", in decimal, is the address 0000:01:00.0. Newer bus IDs can have a domain, as in
  # "PCI:1@0:0:0".
  primeBusIds = filter (id: id != "") (
    map (name: nvidia.prime.${name} or "") [
      "nvidiaBusId"
      "amdgpuBusId"
      "intelBusId"
    ]
  );

  slotOfBusId =
    busId:
    let
      found = builtins.match "PCI:([0-9]+)(@0)?:([0-9]+):[0-9]+" busId;
      hex = digits: lib.fixedWidthString 2 "0" (toLower (lib.toHexString (lib.toIntBase10 digits)));
    in
    if found == null then null else "0000:${hex (lib.head found)}:${hex (lib.last found)}";

  slotOf = address: lib.head (splitString "." address);

  primeConflicts = filter (busId: elem (slotOfBusId busId) (map slotOf addresses)) primeBusIds;

  # A list names the pools whose keys are requested. A boolean does not show whether a pool is
  # encrypted.
  zfsKeys = config.boot.zfs.requestEncryptionCredentials or [ ];
  asksPassphrase =
    any (device: (device.keyFile or null) == null) (
      lib.attrValues (config.boot.initrd.luks.devices or { })
    )
    || (lib.isList zfsKeys && zfsKeys != [ ]);

  initrdGraphics = intersectLists initrdModules [
    "amdgpu"
    "ast"
    "i915"
    "mgag200"
    "nouveau"
    "nvidia_drm"
    "radeon"
    "xe"
  ];

  addresses = map (entry: entry.address) cfg.addresses;
  repeatedAddresses = unique (
    filter (address: lib.count (other: other == address) addresses > 1) addresses
  );

  # Only vendor and device, because the `id' of an address has no other fields.
  boundIDs = map (id: concatStringsSep ":" (lib.take 2 (splitString ":" id))) cfg.devices;
  boundByBoth = filter (entry: entry.id != null && elem entry.id boundIDs) cfg.addresses;
in
{
  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = !cfg.blacklistNvidia || hostNvidiaDrivers == [ ];
        message = ''
          virtualisation.vfio.blacklistNvidia would block the driver of the host's screen:
          services.xserver.videoDrivers has ${concatStringsSep " and " hostNvidiaDrivers}.
          Remove one of these settings. vfio-pci can bind the guest's card without the blacklist.
        '';
      }
      {
        assertion = repeatedAddresses == [ ];
        message = ''
          virtualisation.vfio.addresses has ${concatStringsSep ", " repeatedAddresses}
          more than once. Keep one entry for each address.
        '';
      }
      {
        assertion = !(bindsByID && idsDiffer);
        message = setTwice;
      }
    ];

    warnings =
      optional (cfg.bindAtBoot && cfg.addresses == [ ] && bindings == [ ]) ''
        virtualisation.vfio is enabled but binds no device yet. After a reboot with the IOMMU
        on, set virtualisation.vfio.devices or virtualisation.vfio.addresses.
      ''
      ++ optional (!bindsByID && idsDiffer) setTwice
      ++ optional (iommuOff != [ ]) ''
        boot.kernelParams has ${concatStringsSep " and " iommuOff},
        but without the IOMMU, no device can be passed through to a guest. Remove the parameter.
      ''
      ++ optional (cfg.passthroughDMA && noPassthroughDMA != [ ]) ''
        boot.kernelParams has both iommu=pt and ${concatStringsSep " and " noPassthroughDMA},
        which contradict each other. Remove ${concatStringsSep " and " noPassthroughDMA}, or
        remove iommu=pt with virtualisation.vfio.passthroughDMA = false;.
      ''
      ++ optional (cfg.applyACSpatch && !hasACSPatch) ''
        virtualisation.vfio.applyACSpatch has no effect on a kernel without the ACS override patch,
        and ${kernel.name or "this kernel"} is not known to have the patch. Choose a kernel with the
        patch, for example boot.kernelPackages = pkgs.linuxPackages_zen;, or turn the option off.
      ''
      ++ optional (loadsVirqfd && versionAtLeast kernel.version "6.2") ''
        Linux 6.2 removed the kernel module vfio_virqfd. Remove it from boot.initrd.kernelModules,
        where it makes the build fail, and from boot.kernelModules.
      ''
      ++ optional (framebuffersOff != [ ] && versionAtLeast kernel.version "5.15") ''
        The kernel parameter ${lib.head framebuffersOff} has no effect since Linux 5.15. Remove it.
        If the guest's screen stays black, set virtualisation.vfio.disableEFIfb = true; instead.
      ''
      ++ optional (cfg.disableEFIfb && asksPassphrase && initrdGraphics == [ ]) ''
        virtualisation.vfio.disableEFIfb leaves the screen dark until a graphics driver loads,
        and an encrypted disk or pool may ask for its passphrase before that. Load the driver of
        the host's card early, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915",
        "xe"). vfio-patch check names the driver.
      ''
      ++ optional (cfg.bindAtBoot && deadSoftdeps != [ ]) ''
        modprobe uses only the first softdep line for a module, and virtualisation.vfio adds its
        lines first. So these lines have no effect:
          ${concatStringsSep "\n  " deadSoftdeps}
        Remove their drivers from virtualisation.vfio.competingDrivers, and add vfio-pci to the
        `pre:' of each of these lines.
      ''
      ++ map (entry: ''
        virtualisation.vfio.devices has ${entry.id}, so every device with this ID is bound to
        vfio-pci, not only the one at ${entry.address}. Remove the ID from devices.
      '') boundByBoth
      ++ optional (!cfg.bindAtBoot && fbdevByParam) ''
        boot.kernelParams has nvidia-drm.fbdev=1, which lets NVIDIA's driver draw the console, so
        its cards can't be unbound later. ${
          if hasModuleParams then
            "Remove it, and set\nhardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;."
          else
            "Add\nboot.kernelParams = lib.mkAfter [ \"nvidia-drm.fbdev=0\" ];."
        }
      ''
      ++ optional (!cfg.bindAtBoot && fbdevByModule) ''
        hardware.nvidia.moduleParams.nvidia-drm.fbdev is on, which lets NVIDIA's driver draw the
        console, so its cards can't be unbound later. Set
        hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;.
      ''
      ++ optional (!cfg.bindAtBoot && nvidia.nvidiaPersistenced or false) ''
        hardware.nvidia.nvidiaPersistenced keeps NVIDIA cards open, so they can't be unbound later.
        Turn it off, or stop nvidia-persistenced.service in
        virtualisation.vfio.guests.<name>.prepare.
      ''
      ++ map (busId: ''
        hardware.nvidia.prime has ${busId}, which virtualisation.vfio.addresses binds to vfio-pci.
        Remove this bus ID and the other prime options: the host can't use this card.
      '') (optionals cfg.bindAtBoot primeConflicts);
  };
}
