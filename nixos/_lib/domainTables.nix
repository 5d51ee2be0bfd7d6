# The elements of a libvirt domain, for domain.nix.
let
  words =
    text: builtins.filter (it: builtins.isString it && it != "") (builtins.split "[ \n]+" text);
in
{
  # Children that contain only text, by parent. A string under such a name is a child, not an
  # attribute.
  texts = builtins.mapAttrs (_: words) {
    blkiotune = "weight";
    controller = "serial";
    cpu = "model vendor";
    cputune = ''
      emulator_period emulator_quota global_period global_quota iothread_period iothread_quota
      period quota shares
    '';
    device = "read_bytes_sec read_iops_sec weight write_bytes_sec write_iops_sec";
    devices = "emulator";
    disk = "product serial vendor wwn";
    domain = ''
      bootloader bootloader_args currentMemory description genid iothreads memory name on_crash
      on_lockfailure on_poweroff on_reboot title uuid vcpu
    '';
    filesystem = "space_hard_limit space_soft_limit";
    iotune = ''
      group_name read_bytes_sec read_bytes_sec_max read_bytes_sec_max_length read_iops_sec
      read_iops_sec_max read_iops_sec_max_length size_iops_sec total_bytes_sec
      total_bytes_sec_max total_bytes_sec_max_length total_iops_sec total_iops_sec_max
      total_iops_sec_max_length write_bytes_sec write_bytes_sec_max write_bytes_sec_max_length
      write_iops_sec write_iops_sec_max write_iops_sec_max_length
    '';
    launchSecurity = ''
      cbitpos dhCert guestVisibleWorkarounds hostData idAuth idBlock mrConfigId mrOwner
      mrOwnerConfig policy reducedPhysBits session
    '';
    lease = "key lockspace";
    memory = "uuid";
    memtune = "hard_limit min_guarantee soft_limit swap_hard_limit";
    metadata_cache = "max_size";
    oemStrings = "entry";
    os = "cmdline dtb init initarg initdir initgroup initrd inituser kernel loader nvram shim type";
    pstore = "path size";
    resource = "partition";
    seclabel = "baselabel imagelabel label";
    smartcard = "certificate database";
    smm = "tseg";
    source = "block char interface nodemask";
    target = "node";
    throttlegroup = "group_name read_bytes_sec total_bytes_sec total_iops_sec write_bytes_sec";
    tune = "sndbuf";
  };

  # Children by parent, in the order that libvirt's schema or libvirt itself requires.
  orders = builtins.mapAttrs (_: words) {
    backend = "device encryption active_pcr_banks source profile protocol";
    backingStore = "format source backingStore";
    binary = "cache lock sandbox thread_pool openfiles";
    blkiotune = "weight device";
    cache = "size line";
    channel = "log source protocol target alias address";
    console = "source log protocol target address alias";
    controller = "driver model target alias master address pcihole64";
    cpu = "model vendor topology cache feature numa maxphysaddr";
    cputune = ''
      shares period quota global_period global_quota emulator_period emulator_quota
      iothread_period iothread_quota vcpupin emulatorpin iothreadpin emulatorsched vcpusched
      iothreadsched cachetune memorytune
    '';
    crypto = "backend address";
    device = "path weight read_iops_sec write_iops_sec read_bytes_sec write_bytes_sec";
    devices = ''
      emulator disk controller filesystem interface lease smartcard serial parallel console
      channel input tpm graphics sound audio video hostdev hub redirdev redirfilter watchdog
      memballoon crypto nvram rng panic memory shmem vsock iommu pstore
    '';
    disk = ''
      driver auth source backenddomain backingStore blockio mirror geometry target acpi
      encryption iotune readonly shareable serial throttlefilters transient vendor product wwn
      alias boot address
    '';
    domain = ''
      name uuid genid title description metadata maxMemory memory currentMemory throttlegroups
      iothreads iothreadids defaultiothread blkiotune memtune memoryBacking vcpus vcpu resource
      sysinfo numatune bootloader bootloader_args os idmap features cpu clock on_poweroff
      on_reboot on_crash perf pm launchSecurity seclabel keywrap on_lockfailure cputune devices
    '';
    driver = "host guest";
    encryption = "secret cipher";
    features = ''
      acpi apic hpt htm nested-hv ccf-assist cfpc pae gic privnet capabilities hap ras sbbc ibs
      tcg viridian pmu hyperv vmport kvm ps2 pvspinlock smm vmcoreinfo ioapic msrs xen
    '';
    filesystem = ''
      space_hard_limit driver alias binary idmap source target boot readonly address
      space_soft_limit
    '';
    graphics = ''
      listen audio channel gl image jpeg playback streaming mouse zlib clipboard filetransfer
    '';
    hostdev = "driver source alias ip readonly rom acpi boot route shareable teaming address";
    hyperv = ''
      relaxed vapic spinlocks vpindex runtime synic stimer reset vendor_id frequencies
      reenlightenment tlbflush ipi evmcs avic emsr_bitmap xmm_input
    '';
    idmap = "uid gid";
    input = "driver source alias address";
    interconnects = "latency bandwidth";
    interface = ''
      mac source backenddomain bandwidth ip port portForward route coalesce target guest teaming
      downscript tune acpi vlan virtualport script model alias filterref mtu rom driver backend
      link boot address
    '';
    iotune = ''
      read_bytes_sec write_bytes_sec total_bytes_sec read_iops_sec write_iops_sec
      read_bytes_sec_max total_iops_sec total_bytes_sec_max total_iops_sec_max
      total_bytes_sec_max_length total_iops_sec_max_length write_bytes_sec_max read_iops_sec_max
      write_iops_sec_max size_iops_sec group_name read_bytes_sec_max_length
      write_bytes_sec_max_length read_iops_sec_max_length write_iops_sec_max_length
    '';
    kvm = "hidden hint-dedicated poll-control pv-ipi dirty-ring";
    launchSecurity = ''
      cbitpos reducedPhysBits policy dhCert guestVisibleWorkarounds idBlock idAuth hostData
      mrConfigId mrOwner mrOwnerConfig quoteGenerationService session
    '';
    lease = "lockspace key target";
    memballoon = "alias stats address driver";
    memory = "uuid source target address";
    memoryBacking = "hugepages nosharepages locked source access discard allocation";
    memorytune = "node monitor";
    memtune = "hard_limit soft_limit swap_hard_limit min_guarantee";
    mirror = "format source backingStore";
    numatune = "memory memnode";
    os = ''
      type firmware loader init kernel initrd nvram initarg initenv initdir inituser initgroup
      cmdline acpi dtb shim boot bootmenu bios smbios
    '';
    parallel = "source protocol target";
    pm = "suspend-to-mem suspend-to-disk";
    pstore = "path size address";
    redirdev = "source log protocol boot address";
    resource = "partition fibrechannel";
    rng = "rate backend driver address";
    seclabel = "label baselabel imagelabel";
    serial = "source protocol log target address alias";
    shmem = "model size server msi alias address";
    smartcard = "certificate database source protocol address";
    sound = "alias audio codec address driver";
    source = ''
      adapter clipboard host dataStore initiator ip knownHosts identity mouse nodemask pagesize
      path alignsize pmem reconnect route snapshot config ssl cookies auth readahead timeout
      vendor product address slices encryption
    '';
    sysinfo = "bios system baseBoard chassis oemStrings";
    target = "size node block label readonly requested address";
    throttlegroup = "read_bytes_sec total_bytes_sec write_bytes_sec total_iops_sec group_name";
    tpm = "backend address";
    video = "driver model acpi alias address";
    vsock = "cid address driver";
    watchdog = "alias address";
  };

  # The attributes that libvirt writes first in a start tag.
  firstAttributes = words "mode name type device index domain bus slot function";
}
