{
  virtualisation.vfio.guests.looking-glass.domain = {
    type = "kvm";
    name = "looking-glass";
    uuid = "0b0e2c67-1c57-4be6-a2f1-7ef4ad3a9c03";
    title = "Windows & Looking Glass";
    description = ''
      Card in the second slot.
      Its screen is shown by looking-glass-client;
      sound goes over "spice" for < 5 ms.'';
    memory = { unit = "GiB"; _text = "16"; };
    vcpu = "10";
    os = {
      type = { arch = "x86_64"; machine = "q35"; _text = "hvm"; };
      boot = [
        { dev = "hd"; }
        { dev = "cdrom"; }
      ];
    };
    devices = {
      channel = [
        {
          type = "spicevmc";
          target = { type = "virtio"; name = "com.redhat.spice.0"; };
        }
      ];
      graphics = [
        {
          type = "spice";
          port = "5900";
          autoport = "no";
          _attrs.listen = "127.0.0.1";
          listen = { type = "address"; address = "127.0.0.1"; };
          image.compression = "off";
        }
      ];
      sound = [ { model = "ich9"; audio.id = "1"; } ];
      audio = [ { id = "1"; type = "spice"; } ];
      shmem = [
        {
          name = "looking-glass";
          model.type = "ivshmem-plain";
          size = { unit = "M"; _text = "128"; };
        }
        {
          name = "scream";
          model.type = "ivshmem-plain";
          size = { unit = "M"; _text = "2"; };
        }
      ];
    };
  };
}
