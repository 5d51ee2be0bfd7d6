{
  virtualisation.vfio.guests."win11 games".domain = {
    type = "kvm";
    name = "win11 games";
    uuid = "7a61f2b4-3c0e-4a53-8d6c-5a1df1c2b302";
    memory = { unit = "KiB"; _text = "25165824"; };
    vcpu = { placement = "static"; _text = "16"; };
    os = {
      firmware = "efi";
      type = { arch = "x86_64"; machine = "pc-q35-9.2"; _text = "hvm"; };
      bootmenu = { enable = "yes"; timeout = "3000"; };
    };
    devices = {
      input = [
        # Both control keys together move the keyboard to the guest and back.
        {
          type = "evdev";
          source = {
            dev = "/dev/input/by-id/usb-Ducky_One2-event-kbd";
            grab = "all";
            grabToggle = "ctrl-ctrl";
            repeat = "on";
          };
        }
        { type = "evdev"; source.dev = "/dev/input/by-id/usb-Logitech_G403-event-mouse"; }
      ];
      # <input type='tablet' bus='usb'/>
    };
  };
}
