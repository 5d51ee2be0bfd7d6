# The options that the shipped modules declare, in the form of nixpkgs' documentation.
{
  # The folder with nixpkgs' lib.
  lib,
  # A module with the options of NixOS that the shipped modules use.
  nixos,
  # The folder of the shipped modules.
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
  isShipped = option: builtins.any (nixpkgs.hasPrefix (toString modules)) option.declarations;
  textOf = value: if value == null then null else value.text or value;
in
map
  (option: {
    inherit (option) name type description;
    default = textOf (option.default or null);
    example = textOf (option.example or null);
  })
  (
    builtins.filter (option: isShipped option && option.visible && !option.internal) (
      nixpkgs.optionAttrSetToDocList options
    )
  )
