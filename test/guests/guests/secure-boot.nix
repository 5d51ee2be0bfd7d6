{
  virtualisation.vfio.guests.win11.domain = {
    type = "kvm";
    name = "win11";
    uuid = "51f3a1d5-1b8b-4f0f-9f5d-6f0f1b7c2a06";
    memory = { unit = "KiB"; _text = "8388608"; };
    vcpu = { placement = "static"; _text = "8"; };
    os = {
      type = { arch = "x86_64"; machine = "pc-q35-6.2"; _text = "hvm"; };
      loader = {
        readonly = "yes";
        secure = "yes";
        type = "pflash";
        _text = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd";
      };
      nvram = {
        template = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";
        _text = "/var/lib/libvirt/qemu/nvram/win11_VARS.fd";
      };
    };
    features = {
      acpi = { };
      smm = {
        state = "on";
        tseg = { unit = "MiB"; _text = "48"; };
      };
    };
    devices = {
      emulator = "/usr/bin/qemu-system-x86_64";
      tpm = {
        model = "tpm-crb";
        backend = { type = "emulator"; version = "2.0"; };
      };
      watchdog = [ { model = "i6300esb"; action = "reset"; } ];
      rng = [
        {
          model = "virtio";
          backend = { model = "random"; _text = "/dev/urandom"; };
        }
      ];
    };
  };
}
