{
  virtualisation.vfio.guests.games.domain = {
    type = "kvm";
    "xmlns:qemu" = "http://libvirt.org/schemas/domain/qemu/1.0";
    name = "games";
    uuid = "2c0d4c2e-9f0c-4d6b-8f8e-7b1c5a3d9e01";
    memory = { unit = "GiB"; _text = "12"; };
    vcpu = "8";
    os.type = { arch = "x86_64"; machine = "q35"; _text = "hvm"; };
    features.acpi = { };
    devices = {
      emulator = "/usr/bin/qemu-system-x86_64";
      disk = [
        {
          type = "file";
          device = "disk";
          driver = { name = "qemu"; type = "qcow2"; };
          source.file = "/var/lib/libvirt/images/games.qcow2";
          target = { dev = "sda"; bus = "sata"; };
        }
      ];
      video = [ { model.type = "none"; } ];
    };
    "qemu:commandline" = {
      "qemu:arg" = [
        { value = "-object"; }
        { value = "input-linux,id=mouse1,evdev=/dev/input/by-id/usb-Logitech_G403-event-mouse"; }
        { value = "-object"; }
        {
          value = "input-linux,id=kbd1,evdev=/dev/input/by-id/usb-Ducky_One2-event-kbd,grab_all=on,repeat=on";
        }
        { value = "-object"; }
        {
          value = ''{"qom-type":"input-linux","id":"pad1","evdev":"/dev/input/by-id/usb-Pad-event-joystick","grab-toggle":"scrolllock"}'';
        }
        { value = "-audiodev"; }
        { value = "pa,id=snd0,server=/run/user/1000/pulse/native"; }
      ];
      "qemu:env" = [ { name = "QEMU_AUDIO_DRV"; value = "pa"; } ];
    };
  };
}
