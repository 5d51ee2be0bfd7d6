# The option `specialisation` as in nixpkgs, without the code that builds systems and boot entries:
# nixos/modules/system/activation/specialisation.nix and no-clone.nix.
{ extendModules, lib, ... }:

let
  inherit (lib) mkOption mkOverride types;

  # A specialisation has no specialisations.
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
