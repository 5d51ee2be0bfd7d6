# GPU passthrough for this machine. Importing this folder changes nothing: each part is inactive
# until one of its options is set.
let
  # Each guest is a module in its own file.
  isModule = name: builtins.match "[^._].*[.]nix" name != null;

  guests =
    if builtins.pathExists ./guests then
      map (name: ./guests + "/${name}") (
        builtins.filter isModule (builtins.attrNames (builtins.readDir ./guests))
      )
    else
      [ ];
in
{
  imports = [
    ./vfio.nix
    ./libvirt.nix
    ./virtualisation.nix
  ]
  ++ guests;
}
