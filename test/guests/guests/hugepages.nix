{
  virtualisation.vfio.guests.hugepages.domain = {
    type = "kvm";
    id = "7";
    name = "hugepages";
    uuid = "d2c9b1de-7c42-44cd-a7a6-63de5bd04e07";
    memory = { unit = "KiB"; _text = "33554432"; };
    currentMemory = { unit = "KiB"; _text = "33554432"; };
    memoryBacking = {
      hugepages.page = [
        { size = "1048576"; unit = "KiB"; nodeset = "0"; }
        { size = "2048"; unit = "KiB"; nodeset = "1"; }
      ];
      nosharepages = { };
      locked = { };
      source.type = "memfd";
      access.mode = "shared";
    };
    vcpu = { placement = "static"; cpuset = "0-7"; _text = "8"; };
    vcpus.vcpu = [
      { id = "0"; enabled = "yes"; hotpluggable = "no"; order = "1"; }
      { id = "1"; enabled = "yes"; hotpluggable = "yes"; order = "2"; }
    ];
    iothreads = "2";
    cputune = {
      shares = "2048";
      vcpupin = [
        { vcpu = "0"; cpuset = "4"; }
        { vcpu = "1"; cpuset = "5"; }
      ];
      iothreadpin = [ { iothread = "1"; cpuset = "2-3"; } ];
      vcpusched = [ { vcpus = "0-1"; scheduler = "fifo"; priority = "1"; } ];
    };
    numatune = {
      memory = { mode = "strict"; nodeset = "0"; };
      memnode = [ { cellid = "0"; mode = "preferred"; nodeset = "0"; } ];
    };
    os.type = { arch = "x86_64"; machine = "pc-i440fx-2.11"; _text = "hvm"; };
    cpu = {
      mode = "custom";
      match = "exact";
      check = "partial";
      model = { fallback = "allow"; _text = "EPYC-Rome"; };
      vendor = "AMD";
      numa.cell = [
        {
          id = "0";
          cpus = "0-3";
          memory = "16777216";
          unit = "KiB";
          distances.sibling = [
            { id = "0"; value = "10"; }
            { id = "1"; value = "21"; }
          ];
        }
        { id = "1"; cpus = "4-7"; memory = "16777216"; unit = "KiB"; }
      ];
    };
    devices = { };
    seclabel = [
      { type = "dynamic"; model = "dac"; relabel = "yes"; }
      { type = "none"; model = "selinux"; }
    ];
  };
}
