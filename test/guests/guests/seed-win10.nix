{
  virtualisation.vfio.guests.win10.domain = {
    type = "kvm";
    "xmlns:qemu" = "http://libvirt.org/schemas/domain/qemu/1.0";
    name = "win10";
    uuid = "8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10";
    metadata."libosinfo:libosinfo" = {
      "xmlns:libosinfo" = "http://libosinfo.org/xmlns/libvirt/domain/1.0";
      "libosinfo:os".id = "http://microsoft.com/win/10";
    };
    memory = { unit = "KiB"; _text = "16777216"; };
    currentMemory = { unit = "KiB"; _text = "16777216"; };
    vcpu = { placement = "static"; _text = "12"; };
    cputune = {
      vcpupin = [
        # cores 2 to 7 with their siblings
        { vcpu = "0"; cpuset = "2"; }
        { vcpu = "1"; cpuset = "10"; }
        { vcpu = "2"; cpuset = "3"; }
        { vcpu = "3"; cpuset = "11"; }
        { vcpu = "4"; cpuset = "4"; }
        { vcpu = "5"; cpuset = "12"; }
        { vcpu = "6"; cpuset = "5"; }
        { vcpu = "7"; cpuset = "13"; }
        { vcpu = "8"; cpuset = "6"; }
        { vcpu = "9"; cpuset = "14"; }
        { vcpu = "10"; cpuset = "7"; }
        { vcpu = "11"; cpuset = "15"; }
      ];
      emulatorpin.cpuset = "0-1,8-9";
    };
    os = {
      type = { arch = "x86_64"; machine = "pc-q35-4.2"; _text = "hvm"; };
      loader = { readonly = "yes"; type = "pflash"; _text = "/run/libvirt/nix-ovmf/OVMF_CODE.fd"; };
      nvram = "/var/lib/libvirt/qemu/nvram/win10_VARS.fd";
      boot = [ { dev = "hd"; } ];
    };
    features = {
      acpi = { };
      apic = { };
      hyperv = {
        relaxed.state = "on";
        vapic.state = "on";
        spinlocks = { state = "on"; retries = "8191"; };
        vendor_id = { state = "on"; value = "whatever"; };
      };
      kvm.hidden.state = "on";
      vmport.state = "off";
      ioapic.driver = "kvm";
    };
    cpu = {
      mode = "host-passthrough";
      check = "none";
      topology = { sockets = "1"; cores = "6"; threads = "2"; };
      cache.mode = "passthrough";
      feature = [ { policy = "require"; name = "topoext"; } ];
    };
    clock = {
      offset = "localtime";
      timer = [
        { name = "rtc"; tickpolicy = "catchup"; }
        { name = "pit"; tickpolicy = "delay"; }
        { name = "hpet"; present = "no"; }
        { name = "hypervclock"; present = "yes"; }
      ];
    };
    on_poweroff = "destroy";
    on_reboot = "restart";
    on_crash = "destroy";
    pm = { suspend-to-mem.enabled = "no"; suspend-to-disk.enabled = "no"; };
    devices = {
      emulator = "/run/libvirt/nix-emulators/qemu-system-x86_64";
      disk = [
        {
          type = "block";
          device = "disk";
          driver = {
            name = "qemu";
            type = "raw";
            cache = "none";
            io = "native";
            discard = "unmap";
          };
          source.dev = "/dev/disk/by-id/ata-Samsung_SSD_860_EVO_1TB_S3Z8NB0K123456A";
          target = { dev = "vda"; bus = "virtio"; };
          address = {
            type = "pci";
            domain = "0x0000";
            bus = "0x04";
            slot = "0x00";
            function = "0x0";
          };
        }
      ];
      controller = [
        {
          type = "usb";
          index = "0";
          model = "qemu-xhci";
          ports = "15";
          address = {
            type = "pci";
            domain = "0x0000";
            bus = "0x02";
            slot = "0x00";
            function = "0x0";
          };
        }
        { type = "pci"; index = "0"; model = "pcie-root"; }
        {
          type = "pci";
          index = "1";
          _attrs.model = "pcie-root-port";
          model.name = "pcie-root-port";
          target = { chassis = "1"; port = "0x10"; };
          address = {
            type = "pci";
            domain = "0x0000";
            bus = "0x00";
            slot = "0x02";
            function = "0x0";
            multifunction = "on";
          };
        }
      ];
      interface = [
        {
          type = "network";
          mac.address = "52:54:00:6b:3c:58";
          source.network = "default";
          model.type = "virtio";
          address = {
            type = "pci";
            domain = "0x0000";
            bus = "0x01";
            slot = "0x00";
            function = "0x0";
          };
        }
      ];
      input = [
        { type = "mouse"; bus = "ps2"; }
        { type = "keyboard"; bus = "ps2"; }
      ];
      hostdev = [
        {
          mode = "subsystem";
          type = "pci";
          managed = "yes";
          source.address = { domain = "0x0000"; bus = "0x01"; slot = "0x00"; function = "0x0"; };
          address = {
            type = "pci";
            domain = "0x0000";
            bus = "0x05";
            slot = "0x00";
            function = "0x0";
          };
        }
        {
          mode = "subsystem";
          type = "pci";
          managed = "yes";
          source.address = { domain = "0x0000"; bus = "0x01"; slot = "0x00"; function = "0x1"; };
          address = {
            type = "pci";
            domain = "0x0000";
            bus = "0x06";
            slot = "0x00";
            function = "0x0";
          };
        }
      ];
      memballoon.model = "none";
    };
    "qemu:commandline"."qemu:arg" = [
      { value = "-device"; }
      { value = "ivshmem-plain,memdev=ivshmem_lg,bus=pcie.0"; }
      { value = "-object"; }
      {
        value = "memory-backend-file,id=ivshmem_lg,share=on,mem-path=/dev/shm/looking-glass,size=32M";
      }
      { value = "-device"; }
      { value = "ivshmem-plain,memdev=ivshmem_scream,bus=pcie.0"; }
      { value = "-object"; }
      { value = "memory-backend-file,id=ivshmem_scream,share=on,mem-path=/dev/shm/scream,size=2M"; }
    ];
  };
}
