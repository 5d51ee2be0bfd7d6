# What is wrong with a configuration that gives devices away, told before it is built.
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

  # To modprobe, - and _ in the name of a module are the same.
  sameDashes = lib.replaceStrings [ "-" ] [ "_" ];

  # The words of each line for a module.
  modprobeLinesFor =
    command: isModule:
    filter (
      line:
      lib.length line > 1 && lib.head line == command && isModule (sameDashes (lib.elemAt line 1))
    ) (map words (splitString "\n" config.boot.extraModprobeConfig));

  # A place that gives IDs to vfio-pci. Their case, order and repetitions make no difference to it.
  bindingOf = place: assignment: {
    inherit place;
    ids =
      let
        list = lib.replaceStrings [ "\"" ] [ "" ] (lib.last (splitString "ids=" assignment));
      in
      lib.sort (a: b: a < b) (filter (id: id != "") (unique (splitString "," (toLower list))));
  };

  # Of several in one line the last counts.
  lastIDs = line: lib.last (filter (hasPrefix "ids=") line);

  bindings =
    map (param: bindingOf param param) (
      filter (param: hasPrefix "vfio_pci.ids=" (sameDashes param)) kernelParams
    )
    ++ map (line: bindingOf (concatStringsSep " " line) (lastIDs line)) (
      filter (any (hasPrefix "ids=")) (modprobeLinesFor "options" (module: module == "vfio_pci"))
    );

  differ = lib.length (unique (map (it: it.ids) bindings)) > 1;

  givenTwice = ''
    The IDs for vfio-pci are given more than once, and only the last would count:
      ${concatStringsSep "\n  " (map (it: it.place) bindings)}
    Move them all to virtualisation.vfio.devices.
  '';

  # softdep lines of others that lose against ours and ask for something else.
  lostSoftdeps = filter (line: !(hasInfix "vfio" line) && line != "softdep nvidia post: nvidia-uvm") (
    map (concatStringsSep " ") (
      modprobeLinesFor "softdep" (module: elem module (map sameDashes cfg.competingDrivers))
    )
  );

  initrdModules = config.boot.initrd.kernelModules ++ config.boot.initrd.availableKernelModules;
  leftVirqfd = elem "vfio_virqfd" (initrdModules ++ config.boot.kernelModules);

  # The name of a parameter, with underscores, and its value, or null for one that has no value.
  partsOf =
    param:
    let
      parts = builtins.match "([^=]*)=(.*)" param;
    in
    if parts == null then
      null
    else
      {
        name = sameDashes (lib.head parts);
        value = lib.last parts;
      };

  # The parameters of this name whose value is a list with commas, such as iommu=pt,force, in which `word`
  # is the last of these that contradict each other.
  saying =
    name: word: contrary:
    let
      counts =
        it:
        it != null
        && it.name == name
        && lastOf (filter (w: w == word || elem w contrary) (splitString "," it.value)) == word;
    in
    filter (param: counts (partsOf param)) kernelParams;

  iommuOff =
    saying "iommu" "off" [ ] ++ saying "amd_iommu" "off" [ ] ++ saying "intel_iommu" "off" [ "on" ];

  noPassthroughDMA =
    intersectLists kernelParams [ "iommu.passthrough=0" ] ++ saying "iommu" "nopt" [ "pt" ];

  # Parts of the firmware's framebuffer that guides turn off.
  framebuffersOff = filter (
    param: builtins.match "video=(efifb|vesafb|simplefb):off(,.*)?" param != null
  ) kernelParams;

  hostNvidiaDrivers = intersectLists (config.services.xserver.videoDrivers or [ ]) [
    "nvidia"
    "nouveau"
  ];

  kernelName = toLower "${kernel.name or ""} ${kernel.modDirVersion or ""}";

  carriesACSPatch =
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

  # Since 26.05 the parameters of NVIDIA's modules are options, written for modprobe. One of the
  # kernel overrides what modprobe reads.
  hasModuleParams = (options.hardware.nvidia or { }) ? moduleParams;

  fbdevParam = lastOf (filter (hasPrefix "nvidia_drm.fbdev=") (map sameDashes kernelParams));

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

  # "PCI:1:0:0", in decimal, is the address 0000:01:00.0; in newer ones a domain goes before or
  # behind an @.
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

  givenToPrime = filter (busId: elem (slotOfBusId busId) (map slotOf addresses)) primeBusIds;

  # What asks in any case; whether another pool is encrypted shows only on its disks.
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

  # The first two fields are what an address can be compared with.
  boundIDs = map (id: concatStringsSep ":" (lib.take 2 (splitString ":" id))) cfg.devices;
  boundTwice = filter (entry: entry.id != null && elem entry.id boundIDs) cfg.addresses;
in
{
  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = !cfg.blacklistNvidia || hostNvidiaDrivers == [ ];
        message = ''
          virtualisation.vfio.blacklistNvidia would take the driver from your own screen:
          services.xserver.videoDrivers has ${concatStringsSep " and " hostNvidiaDrivers}.
          Take out one of the two. The guest's card goes to vfio-pci without a blacklist too.
        '';
      }
      {
        assertion = repeatedAddresses == [ ];
        message = ''
          virtualisation.vfio.addresses names ${concatStringsSep ", " repeatedAddresses}
          more than once. Keep one entry each.
        '';
      }
      {
        assertion = !(bindsByID && differ);
        message = givenTwice;
      }
    ];

    warnings =
      optional (cfg.bindAtBoot && cfg.addresses == [ ] && bindings == [ ]) ''
        virtualisation.vfio is enabled but binds no device yet. After a reboot with the IOMMU
        on, name the devices in virtualisation.vfio.devices or virtualisation.vfio.addresses.
      ''
      ++ optional (!bindsByID && differ) givenTwice
      ++ optional (iommuOff != [ ]) ''
        boot.kernelParams has ${concatStringsSep " and " iommuOff},
        and without the IOMMU no device can be given to a guest. Take it out.
      ''
      ++ optional (cfg.passthroughDMA && noPassthroughDMA != [ ]) ''
        boot.kernelParams has both iommu=pt and ${concatStringsSep " and " noPassthroughDMA},
        which contradict each other. Set virtualisation.vfio.passthroughDMA = false; to keep the
        latter, or take it out.
      ''
      ++ optional (cfg.applyACSpatch && !carriesACSPatch) ''
        virtualisation.vfio.applyACSpatch does nothing on a kernel without the ACS override patch,
        which ${kernel.name or "this kernel"} is not known to carry. Choose one that does, for example
        boot.kernelPackages = pkgs.linuxPackages_zen;, or turn the option off.
      ''
      ++ optional (leftVirqfd && versionAtLeast kernel.version "6.2") ''
        The kernel module vfio_virqfd no longer exists since Linux 6.2. Take it out of
        boot.initrd.kernelModules, where it makes the build fail, and of boot.kernelModules.
      ''
      ++ optional (framebuffersOff != [ ] && versionAtLeast kernel.version "5.15") ''
        The kernel parameter ${lib.head framebuffersOff} does nothing since Linux 5.15. Take it out; if the
        guest's card stays black, use virtualisation.vfio.disableEFIfb = true; instead.
      ''
      ++ optional (cfg.disableEFIfb && asksPassphrase && initrdGraphics == [ ]) ''
        virtualisation.vfio.disableEFIfb leaves the screen dark until a graphics driver loads,
        and an encrypted disk or pool may ask for its passphrase before that. Load the driver of
        your own card early, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915",
        "xe"); vfio-patch check names it.
      ''
      ++ optional (cfg.bindAtBoot && lostSoftdeps != [ ]) ''
        modprobe heeds one softdep line per module, and that of virtualisation.vfio comes first.
        Without effect:
          ${concatStringsSep "\n  " lostSoftdeps}
        Take the driver out of virtualisation.vfio.competingDrivers and add vfio-pci to the
        `pre:' of your line.
      ''
      ++ map (entry: ''
        virtualisation.vfio.devices has ${entry.id}, so every device with this ID goes to
        vfio-pci, not only the one at ${entry.address}. Take the ID out of devices.
      '') boundTwice
      ++ optional (!cfg.bindAtBoot && fbdevByParam) ''
        boot.kernelParams has nvidia-drm.fbdev=1, with which the driver of NVIDIA draws the console
        and does not give a card away later. ${
          if hasModuleParams then
            "Take it out, and write\nhardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;."
          else
            "Add\nboot.kernelParams = lib.mkAfter [ \"nvidia-drm.fbdev=0\" ];."
        }
      ''
      ++ optional (!cfg.bindAtBoot && fbdevByModule) ''
        hardware.nvidia.moduleParams.nvidia-drm.fbdev is on, with which the driver of
        NVIDIA draws the console and does not give a card away later. Write
        hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;.
      ''
      ++ optional (!cfg.bindAtBoot && nvidia.nvidiaPersistenced or false) ''
        hardware.nvidia.nvidiaPersistenced keeps NVIDIA cards open, so that none can be given away
        later. Turn it off, or stop nvidia-persistenced.service before the guest starts, in
        virtualisation.vfio.guests.<name>.prepare.
      ''
      ++ map (busId: ''
        hardware.nvidia.prime names ${busId}, which virtualisation.vfio.addresses gives to a guest.
        Take this bus ID and the other prime options out: your screen can't use the card.
      '') (optionals cfg.bindAtBoot givenToPrime);
  };
}
