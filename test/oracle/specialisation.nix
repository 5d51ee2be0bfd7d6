# `specialisation` in the shape that nixpkgs gives it, without what builds systems and boot entries from
# it: nixos/modules/system/activation/specialisation.nix, and no-clone.nix beside it.
{ extendModules, lib, ... }:

let
  inherit (lib) mkOption mkOverride types;

  # Inside a specialisation there are none.
  alone.specialisation = mkOverride 0 { };

  entry = types.submodule {
    options = {
      inheritParentConfig = mkOption {
        type = types.bool;
        default = true;
      };
      configuration = mkOption {
        default = { };
        inherit (extendModules { modules = [ alone ]; }) type;
      };
    };
  };
in
{
  options.specialisation = mkOption {
    type = types.attrsOf entry;
    default = { };
  };
}
