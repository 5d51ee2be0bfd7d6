{
  virtualisation.vfio.guests.shared.domain = {
    type = "kvm";
    name = "shared";
    uuid = "e0a3fd2f-5a2e-4c5d-90a6-c1a6e2b93d09";
    memory = { unit = "GiB"; _text = "8"; };
    memoryBacking = { source.type = "memfd"; access.mode = "shared"; };
    vcpu = "4";
    os = {
      type = { arch = "x86_64"; machine = "pc-q35-7.1"; _text = "hvm"; };
      loader = {
        readonly = "yes";
        type = "pflash";
        _text = "/nix/store/1hmyz8ax1xlrzvwlvhzvdyl4ndg71f9w-qemu-9.1.2/share/qemu/edk2-x86_64-code.fd";
      };
      nvram = {
        template = "/nix/store/1hmyz8ax1xlrzvwlvhzvdyl4ndg71f9w-qemu-9.1.2/share/qemu/edk2-i386-vars.fd";
        _text = "/var/lib/libvirt/qemu/nvram/shared_VARS.fd";
      };
    };
    devices = {
      emulator = "/nix/store/1hmyz8ax1xlrzvwlvhzvdyl4ndg71f9w-qemu-9.1.2/bin/qemu-system-x86_64";
      disk = [
        {
          type = "file";
          device = "cdrom";
          driver = { name = "qemu"; type = "raw"; };
          source.file = "/nix/store/0c1kqpd3j0s7w1kyfy2yrk6y4d6kmh8x-virtio-win-0.1.262/virtio-win.iso";
          target = { dev = "sda"; bus = "sata"; };
          readonly = { };
        }
      ];
      filesystem = [
        {
          type = "mount";
          driver.type = "virtiofs";
          binary.path = "/nix/store/5zv4xyn3fd5zwh6iy5wcs8ln5i9vvcbr-virtiofsd-1.13.0/bin/virtiofsd";
          source.dir = "/home/alice/shared";
          target.dir = "shared";
        }
      ];
      graphics = [ { type = "vnc"; port = "-1"; autoport = "yes"; passwd = "hunter2"; } ];
    };
  };
}
