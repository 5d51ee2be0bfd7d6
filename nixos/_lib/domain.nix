# Renders the XML of a libvirt domain from data, as `vfio-patch domain FILE.xml' prints it:
#
#   import ./domain.nix { type = "kvm"; name = "win10"; memory._text = 4194304; … }
#
# Each set is an element. In a set,
# - a string is an attribute, or a child that contains only text, if the tables list its name
# - a set is a child, and a list is several children with the same name
# - null is left out
# - `_attrs' has attributes whose names clash with children
# - `_text' is the text of the element
# - `_children' lists children whose order matters
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    elem
    elemAt
    filter
    genList
    head
    isAttrs
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    map
    match
    replaceStrings
    storeDir
    stringLength
    substring
    tail
    typeOf
    ;

  inherit (import ./domainTables.nix) texts orders firstAttributes;

  fail = path: message: throw "${formatPath path}: ${message}";

  # domain.devices.disk[0], counted from 0 as in builtins.elemAt.
  formatPath =
    path:
    head path
    + concatStringsSep "" (map (it: if isInt it then "[${toString it}]" else ".${it}") (tail path));

  # ---- values

  # A package, or another set that is converted to its store path.
  isPackage = value: isAttrs value && value ? outPath;

  isInStore = path: substring 0 (stringLength storeDir) (toString path) == storeDir;

  isElement = value: isAttrs value && !isPackage value;

  isText = value: !isElement value && !isList value;

  textOf =
    path: value:
    if isString value then
      value
    else if isInt value then
      toString value
    else if isPath value then
      # A file in the Nix store must be in the system's closure; a disk image must not be copied.
      (if isInStore value then "${value}" else toString value)
    else if isPackage value then
      "${value}"
    else if value == true || value == false then
      fail path (
        "a boolean is not allowed here; "
        + ''write the string that libvirt expects: "yes" or "no", "on" or "off"''
      )
    else
      fail path "a ${typeOf value} is not allowed here";

  escapeText = replaceStrings [ "&" "<" ">" "\r" ] [ "&amp;" "&lt;" "&gt;" "&#13;" ];

  escapeValue =
    replaceStrings
      [ "&" "<" ">" "'" "\r" "\n" "\t" ]
      [ "&amp;" "&lt;" "&gt;" "&apos;" "&#13;" "&#10;" "&#9;" ];

  # ---- names

  isReserved = name: substring 0 1 name == "_";

  isName =
    let
      first = "[^]\\\\[:cntrl:][:space:]!\"#$%&'()*+,./0-9:;<=>?@[^`{|}~-]";
      rest = "[^]\\\\[:cntrl:][:space:]!\"#$%&'()*+,/:;<=>?@[^`{|}~]*";
    in
    name: match "${first}${rest}(:${first}${rest})?" name != null;

  # First the names in `first', in its order, then the others, which Nix has sorted.
  inOrder = first: names: filter (it: elem it names) first ++ filter (it: !elem it first) names;

  # ---- elements

  element =
    path: name: indent: value:
    let
      nulls = filter (it: value.${it} == null) (attrNames value);
      set = removeAttrs value nulls;
      keys = filter (it: !isReserved it) (attrNames set);
      unknown = filter (
        it:
        isReserved it
        && !elem it [
          "_attrs"
          "_text"
          "_children"
        ]
      ) (attrNames set);

      isAttribute = it: isText set.${it} && !elem it (texts.${name} or [ ]);
      hidden = set._attrs or { };
      attributes =
        listToAttrs (
          map (it: {
            name = it;
            value = textOf (path ++ [ it ]) set.${it};
          }) (filter isAttribute keys)
        )
        // listToAttrs (
          map (it: {
            name = it;
            value = textOf (path ++ [ "_attrs" it ]) hidden.${it};
          }) (filter (it: hidden.${it} != null) (attrNames hidden))
        );
      duplicates = filter (it: hidden ? ${it} && isAttribute it) keys;
      attribute =
        it:
        if isName it then
          " ${it}='${escapeValue attributes.${it}}'"
        else
          fail path "\"${it}\" is not a valid attribute name";
      tag =
        "<${name}"
        + concatStringsSep "" (map attribute (inOrder firstAttributes (attrNames attributes)));

      children = filter (it: !isAttribute it) keys;
      contentKinds = filter (it: it) [
        (set ? _text)
        (set ? _children)
        (children != [ ])
      ];
      ordered = set._children or [ ];
      isMixed = builtins.any isText ordered;
      inner = if indent == null || isMixed then null else "${indent}  ";

      content =
        if set ? _text then
          filter (it: it != "") [ (escapeText (textOf (path ++ [ "_text" ]) set._text)) ]
        else if set ? _children then
          genList (i: orderedChild (path ++ [ "_children" i ]) inner (elemAt ordered i)) (
            length ordered
          )
        else
          concatLists (map childrenOf (inOrder (orders.${name} or [ ]) children));
      childrenOf =
        it:
        if isList set.${it} then
          concatLists (
            genList (
              i:
              let
                item = elemAt set.${it} i;
              in
              if item == null then [ ] else [ (child (path ++ [ it i ]) it inner item) ]
            ) (length set.${it})
          )
        else
          [ (child (path ++ [ it ]) it inner set.${it}) ];

      margin = marginOf indent;
    in
    if !isName name then
      fail path "\"${name}\" is not a valid element name"
    else if unknown != [ ] then
      fail path (
        "unknown name \"${head unknown}\"; "
        + "names that begin with \"_\" are reserved: _attrs, _text and _children"
      )
    else if duplicates != [ ] then
      fail path "the attribute \"${head duplicates}\" is set twice, once in _attrs"
    else if length contentKinds > 1 then
      fail path "_text, _children and child elements can't be combined"
    else if content == [ ] then
      "${margin}${tag}/>"
    else if set ? _text || inner == null then
      "${margin}${tag}>${concatStringsSep "" content}</${name}>"
    else
      concatStringsSep "\n" ([ "${margin}${tag}>" ] ++ content ++ [ "${margin}</${name}>" ]);

  # `indent' is null in mixed content, where whitespace matters.
  marginOf = indent: if indent == null then "" else indent;

  child =
    path: name: indent: value:
    if isList value then
      fail path "a list is not allowed here"
    else if isElement value then
      element path name indent value
    else if !isName name then
      fail path "\"${name}\" is not a valid element name"
    else
      "${marginOf indent}<${name}>${escapeText (textOf path value)}</${name}>";

  orderedChild =
    path: indent: value:
    let
      names = attrNames value;
    in
    if isText value then
      escapeText (textOf path value)
    else if isElement value && length names == 1 then
      child (path ++ names) (head names) indent value.${head names}
    else
      fail path "expected a string, or an attribute set with exactly one child element";
in
domain:
if isAttrs domain then
  element [ "domain" ] "domain" "" domain + "\n"
else
  throw "domain: expected an attribute set"
