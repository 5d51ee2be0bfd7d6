# GPU passthrough for this machine. Importing this folder changes nothing by
# itself: each part waits until one of its options is set.
{
  imports = [
    ./vfio.nix
    ./libvirt.nix
    ./virtualisation.nix
  ];
}
