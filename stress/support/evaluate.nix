# Evaluates a NixOS module with the module system of nixpkgs, as JSON that can be compared.
#
# Options are not declared: each merges like the common types (lists are joined, sets merged, strings
# joined by newlines; other values must be equal). The arguments of a module, and names that lib lacks,
# are placeholders: sets that have every name of the file and are also functions and derivations.
lib: names: file:

let
  inherit (builtins)
    all
    attrNames
    hasAttr
    head
    isAttrs
    isList
    isString
    length
    tryEval
    typeOf
    ;

  isStandIn = value: isAttrs value && hasAttr "__standIn" value;

  standIns =
    path:
    lib.genAttrs names (
      name:
      if builtins.match "enabled?|(is|has|use|with)[A-Z].*" name != null then
        true
      else
        standIn "${path}.${name}"
    );

  standIn =
    path:
    standIns path
    // rec {
      __standIn = path;
      __functor = _: argument: standIn "${path} ${builtins.toJSON (render 0 argument)}";
      type = "derivation";
      name = builtins.hashString "sha256" path;
      outPath = "/stand-in/${name}";
      drvPath = "${outPath}.drv";
      version = "1.0";
      system = "x86_64-linux";
      meta.mainProgram = "main";
      override = standIn "${path}.override";
      overrideAttrs = standIn "${path}.overrideAttrs";
    };

  render =
    depth: value:
    let
      kind = tryEval (typeOf value);
      has = name: wanted: value ? ${name} && tryEval (value.${name} == wanted) == { success = true; value = true; };
    in
    if !kind.success then
      { marker = "error"; }
    else if depth > 40 then
      { marker = "deep"; }
    else if kind.value == "lambda" then
      { marker = "function"; }
    else if kind.value == "path" then
      { marker = "path ${toString value}"; }
    else if kind.value == "list" then
      { list = map (render (depth + 1)) value; }
    else if kind.value == "string" then
      { leaf = builtins.unsafeDiscardStringContext value; }
    else if kind.value != "set" then
      { leaf = value; }
    else if isStandIn value then
      { marker = value.__standIn; }
    else if value ? __absent then
      { marker = "absent"; }
    else if has "type" "derivation" then
      { marker = "derivation"; }
    else if has "_type" "option-type" then
      { marker = "type ${value.name}"; }
    else
      # Names and values separately: toJSON renders a set with outPath as that path.
      {
        set = attrNames value;
        values = map (name: render (depth + 1) value.${name}) (attrNames value);
      };

  isPlainSet = value: isAttrs value && !isStandIn value && !(value ? _type) && (value.type or null) != "derivation";

  free = lib.mkOptionType {
    name = "free";
    check = _: true;
    emptyValue.value.__absent = true;
    merge =
      loc: definitions:
      let
        values = map (it: it.value) definitions;
      in
      if all isPlainSet values then
        (lib.types.lazyAttrsOf free).merge loc definitions
      else if length values == 1 then
        head values
      else if all isList values then
        builtins.concatLists values
      else if all isString values then
        builtins.concatStringsSep "\n" values
      else
        lib.options.mergeEqualOption loc definitions;
  };

  arguments =
    standIns "args"
    // lib.genAttrs [ "config" "options" "pkgs" "inputs" "self" ] standIn
    // {
      lib = standIns "lib" // lib;
    };

  called =
    value:
    if !lib.isFunction value then
      value
    else
      let
        formals = lib.functionArgs value;
        wanted = lib.filterAttrs (_: hasDefault: !hasDefault) formals;
      in
      called (value (if formals == { } then arguments else builtins.intersectAttrs wanted arguments));

  module = called (import file);
  aside = [ "imports" "disabledModules" "options" "meta" ];
  evaluated = lib.evalModules {
    modules = [
      # Imported modules, and declared options with their types, are compared unevaluated.
      (removeAttrs module aside // lib.optionalAttrs (module ? options) { options = { }; })
      { freeformType = lib.types.lazyAttrsOf free; }
    ];
  };
in
{
  config = render 0 (removeAttrs evaluated.config [ "_module" ]);
  aside = render 0 (builtins.intersectAttrs (lib.genAttrs aside (_: null)) module);
}
