# The options that our modules declare, as nixpkgs' documentation would have them.
{
  # The folder with nixpkgs' lib.
  lib,
  # A module with the options of NixOS that ours build on.
  nixos,
  # The folder of our modules.
  modules,
}:
let
  nixpkgs = import lib;
  inherit
    (nixpkgs.evalModules {
      modules = [
        (import nixos { })
        modules
      ];
    })
    options
    ;
  isOurs = option: builtins.any (nixpkgs.hasPrefix (toString modules)) option.declarations;
  textOf = value: if value == null then null else value.text or value;
in
map
  (option: {
    inherit (option) name type description;
    default = textOf (option.default or null);
    example = textOf (option.example or null);
  })
  (
    builtins.filter (option: isOurs option && option.visible && !option.internal) (
      nixpkgs.optionAttrSetToDocList options
    )
  )
