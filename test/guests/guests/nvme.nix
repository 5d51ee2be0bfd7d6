{
  virtualisation.vfio.guests.nvme.domain = {
    type = "kvm";
    name = "nvme";
    uuid = "b5cf3a2b-08a5-4c6c-b3d1-4a5d0f6d1b08";
    memory = "8388608";
    vcpu = "6";
    os.type = { arch = "x86_64"; machine = "q35"; _text = "hvm"; };
    devices = {
      disk = [
        {
          type = "nvme";
          device = "disk";
          driver = { name = "qemu"; type = "raw"; };
          source = {
            type = "pci";
            managed = "yes";
            namespace = "1";
            address = { domain = "0x0000"; bus = "0x41"; slot = "0x00"; function = "0x0"; };
          };
          target = { dev = "vda"; bus = "virtio"; };
          serial = "0001";
          boot.order = "1";
        }
      ];
      interface = [
        {
          type = "hostdev";
          managed = "yes";
          mac.address = "52:54:00:6d:90:02";
          source.address = {
            type = "pci";
            domain = "0";
            bus = "10";
            slot = "0x10";
            function = "0";
          };
        }
      ];
      hostdev = [
        {
          mode = "subsystem";
          type = "pci";
          managed = "yes";
          source = {
            writeFiltering = "no";
            address = { domain = "0x0000"; bus = "0x42"; slot = "0x00"; function = "0x0"; };
          };
          boot.order = "2";
        }
        {
          mode = "subsystem";
          type = "usb";
          managed = "yes";
          source = { startupPolicy = "optional"; vendor.id = "0x046d"; product.id = "0xc52b"; };
        }
        {
          mode = "subsystem";
          type = "mdev";
          managed = "no";
          model = "vfio-pci";
          display = "off";
          source.address.uuid = "c2177883-f1bb-47f0-914d-32a22e3a8804";
        }
      ];
    };
  };
}
