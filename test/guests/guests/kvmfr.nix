{
  virtualisation.vfio.guests.kvmfr.domain = {
    "xmlns:qemu" = "http://libvirt.org/schemas/domain/qemu/1.0";
    type = "kvm";
    name = "kvmfr";
    uuid = "4e3fb0b7-52df-4a30-a1f9-2f6b1c0d8e04";
    memory = { unit = "MiB"; _text = "20480"; };
    vcpu = "14";
    os.type = { arch = "x86_64"; machine = "pc-q35-8.2"; _text = "hvm"; };
    devices.hostdev = [
      {
        mode = "subsystem";
        type = "pci";
        managed = "no";
        driver.name = "vfio";
        source.address = { domain = "0x0000"; bus = "0x03"; slot = "0x00"; function = "0x0"; };
        rom = { bar = "on"; file = "/var/lib/libvirt/vbios/gtx1080.rom"; };
      }
    ];
    "qemu:commandline"."qemu:arg" = [
      { value = "-device"; }
      { value = ''{"driver":"ivshmem-plain","id":"shmem0","memdev":"looking-glass"}''; }
      { value = "-object"; }
      {
        value = ''{"qom-type":"memory-backend-file","id":"looking-glass","mem-path":"/dev/kvmfr0","size":134217728,"share":true}'';
      }
      { value = "-fw_cfg"; }
      { value = "opt/ovmf/X-PciMmio64Mb,string=65536"; }
    ];
    "qemu:override"."qemu:device" = [
      {
        alias = "hostdev0";
        "qemu:frontend"."qemu:property" = [ { name = "x-vga"; type = "bool"; value = "true"; } ];
      }
    ];
  };
}
