{
  virtualisation.vfio.guests.two-gpus.domain = {
    type = "kvm";
    name = "two-gpus";
    memory = { unit = "GiB"; _text = "48"; };
    vcpu = "24";
    os.type = { arch = "x86_64"; machine = "pc-q35-focal"; _text = "hvm"; };
    features = { acpi = { }; kvm.hidden.state = "on"; };
    devices = {
      emulator = "/usr/bin/kvm";
      disk = [
        {
          type = "block";
          device = "disk";
          source.dev = "/dev/zvol/tank/two-gpus";
          target = { dev = "vda"; bus = "virtio"; };
        }
        {
          type = "file";
          device = "cdrom";
          source.file = "/var/lib/libvirt/images/virtio-win.iso";
          target = { dev = "sda"; bus = "sata"; };
          readonly = { };
        }
      ];
      interface = [
        { type = "bridge"; source.bridge = "br0"; model.type = "virtio"; }
        {
          type = "direct";
          source = { dev = "enp5s0"; mode = "bridge"; };
          model.type = "e1000e";
        }
      ];
      hostdev = [
        {
          mode = "subsystem";
          type = "pci";
          managed = "yes";
          source.address = { domain = "0x0000"; bus = "0x21"; slot = "0x00"; function = "0x0"; };
        }
        {
          mode = "subsystem";
          type = "pci";
          managed = "yes";
          source.address = { domain = "0x0000"; bus = "0x4b"; slot = "0x00"; function = "0x0"; };
        }
      ];
    };
  };
}
