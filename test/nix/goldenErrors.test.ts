import { describe, expect, it } from 'vitest'
import {
  type Definition,
  decode,
  expr,
  parseDocument,
  type RenderOptions
} from '../../src/nix/index.ts'
import { type EditOf, nix } from './support.ts'

/** Checks the rendered error of an edit of a text. */
function golden(name: string, given: string, edit: EditOf, shows: string, options?: RenderOptions) {
  it(name, () => {
    const plan = edit(parseDocument(given).edit()).plan()
    expect(plan.ok ? `planned:\n${plan.value.text}` : plan.error.render(options)).toBe(
      shows.trimEnd()
    )
  })
}

/** Checks the rendered errors of a text. */
function reading(name: string, given: string, shows: string) {
  it(name, () => {
    const { errors } = parseDocument(given)
    expect(errors.map(it => it.render()).join('\n')).toBe(shows.trimEnd())
  })
}

function decoding(name: string, given: Uint8Array, shows: string, options?: RenderOptions) {
  it(name, () => {
    const result = decode(given)
    expect(result.ok ? '' : result.error.render(options)).toBe(shows.trimEnd())
  })
}

/** A definition that is chosen in a document. */
function chosen(text: string, path: string): Definition {
  return parseDocument(text).getIn(path)[0] as Definition
}

describe('a text that Nix would read differently', () => {
  reading(
    'begins with a byte order mark',
    '\ufeff{ a = 1; }\n',
    [
      '1:1: ENCODING: the file begins with a byte order mark, which Nix rejects',
      '1 | \\u{feff}{ a = 1; }',
      '    ^^^^^^^^',
      'hint: save it as UTF-8 without a byte order mark'
    ].join('\n')
  )

  reading(
    'has a lone carriage return, which could hide a definition',
    '{\n  # note\r  a = 1;\n}\n',
    nix`
      2:9: ENCODING: Nix reads this carriage return as a line ending, although no line feed follows it
      2 |   # note\u{d}  a = 1;
                  ^^^^^
      hint: replace it with a line feed
    `
  )

  reading(
    'has a NUL',
    '{ a = 1; \0 }\n',
    nix`
      1:10: ENCODING: the file contains a NUL character, so it is not a text file
      1 | { a = 1; \u{0} }
                   ^^^^^
      hint: restore the file from a backup
    `
  )
})

describe('bytes that are not text', () => {
  decoding(
    'are not UTF-8',
    Uint8Array.from([0x7b, 0x0a, 0x61, 0x20, 0xff, 0x7d]),
    nix`
      2:3: ENCODING: this is not UTF-8 text
      2 | a �}
            ^
      hint: convert it to UTF-8, for example with iconv
    `
  )

  decoding(
    'are encrypted by git-crypt',
    Buffer.from('\0GITCRYPT\0\x01\x02', 'latin1'),
    nix`
      ENCODING: the file is encrypted (git-crypt)
      hint: decrypt it first, or edit the file it was made from
    `
  )

  decoding(
    'are encrypted by age',
    Buffer.from('age-encryption.org/v1\n-> X25519 abc\n'),
    nix`
      secrets.nix: ENCODING: the file is encrypted (age)
      hint: decrypt it first, or edit the file it was made from
    `,
    { file: 'secrets.nix' }
  )
})

describe('a text that is not Nix', () => {
  reading(
    'is empty',
    '',
    nix`
      1:1: SYNTAX: an expression is missing here
    `
  )

  reading(
    'is only a comment',
    '# nothing here yet\n',
    nix`
      1:19: SYNTAX: an expression is missing here
      1 | # nothing here yet
                            ^
    `
  )

  reading(
    'lacks a semicolon',
    nix`
      {
        networking.hostName = "pc"
        time.timeZone = "UTC";
      }
    `,
    nix`
      3:17: SYNTAX: unexpected "="
      3 |   time.timeZone = "UTC";
                          ^
      hint: a ";" may be missing on a line above
    `
  )

  reading(
    'lacks the semicolon of its last binding',
    nix`
      {
        a = 1;
        b = 2
      }
    `,
    nix`
      3:8: SYNTAX: ";" is missing here
      3 |   b = 2
                 ^
    `
  )

  reading(
    'lacks a brace',
    nix`
      {
        a = {
          b = 1;
      }
    `,
    nix`
      1:1: SYNTAX: this "{" is never closed
      1 | {
          ^
      hint: add a "}" further down
    `
  )

  reading(
    'has an unfinished expression in brackets',
    '{ a = (1 + ; }\n',
    nix`
      1:1: SYNTAX: there is a syntax error between this "{" and its "}"
      1 | { a = (1 + ; }
          ^
      hint: check the code in between, for example for an unfinished expression
    `
  )

  reading(
    'has a set where a name belongs',
    '{ a = 1; b.{ c = 2; }; }\n',
    nix`
      1:12: SYNTAX: unexpected "{"
      1 | { a = 1; b.{ c = 2; }; }
                     ^
      1:22: SYNTAX: unexpected ";"
      1 | { a = 1; b.{ c = 2; }; }
                               ^^^
    `
  )

  reading(
    'has a brace too many',
    nix`
      {
        a = 1;
      }
      }
    `,
    nix`
      4:1: SYNTAX: unexpected "}"
      4 | }
          ^
      hint: unmatched bracket, or an unfinished expression before it
    `
  )

  reading(
    'lacks a bracket',
    nix`
      {
        a = [ 1 2;
        b = 3;
      }
    `,
    nix`
      2:12: SYNTAX: "]" is missing here
      2 |   a = [ 1 2;
                     ^
    `
  )

  reading(
    'has an unterminated string',
    nix`
      {
        a = "x;
        b = 1;
      }
    `,
    nix`
      2:7: SYNTAX: unexpected quotation mark
      2 |   a = "x;
                ^
      hint: the other quotation mark of the string may be missing
    `
  )

  reading(
    'has a comma between list items',
    '{ a = [ 1, 2 ]; }\n',
    nix`
      1:10: SYNTAX: unexpected ","
      1 | { a = [ 1, 2 ]; }
                   ^
      hint: list items are separated by spaces; definitions end with ";"
    `
  )

  reading(
    'has a colon where = belongs',
    '{ a: 1; }\n',
    nix`
      1:4: SYNTAX: unexpected ":"
      1 | { a: 1; }
             ^
      hint: a definition uses "=":  name = value;
    `
  )

  reading(
    'has a value missing',
    nix`
      {
        a = ;
        b = 1;
      }
    `,
    nix`
      2:6: SYNTAX: a name or a value is missing here
      2 |   a = ;
               ^
    `
  )

  reading(
    'has a // without a space',
    '{ a = { } //{ }; b = c //d; }\n',
    nix`
      1:24: SYNTAX: put spaces around "//": without them it can be read as a path
      1 | { a = { } //{ }; b = c //d; }
                                 ^^
      hint: write it as a // b
    `
  )

  reading(
    'has CRLF line endings',
    '{\r\n  a = 1;\r\n  b = = 2;\r\n}\r\n',
    nix`
      3:7: SYNTAX: unexpected "="
      3 |   b = = 2;
                ^
      hint: a ";" may be missing on a line above
    `
  )

  reading(
    'has a tab before the error',
    '{\n\ta = 1;\n\tb = = 2;\n}\n',
    nix`
      3:6: SYNTAX: unexpected "="
      3 |   b = = 2;
                ^
      hint: a ";" may be missing on a line above
    `
  )

  reading(
    'has wide characters before the error',
    '{ a = "日本語 🎮"; b = = 2; }\n',
    nix`
      1:21: SYNTAX: unexpected "="
      1 | { a = "日本語 🎮"; b = = 2; }
                                 ^
      hint: a ";" may be missing on a line above
    `
  )

  reading(
    'has a name that JavaScript objects have',
    '{ a = 1; } constructor = 2;\n',
    nix`
      1:24: SYNTAX: unexpected "="
      1 | { a = 1; } constructor = 2;
                                 ^
      hint: a ";" may be missing on a line above
      1:27: SYNTAX: unexpected ";"
      1 | { a = 1; } constructor = 2;
                                    ^
    `
  )

  reading(
    'is JSON',
    '{ "a": 1 }\n',
    nix`
      1:3: SYNTAX: unexpected quotation mark
      1 | { "a": 1 }
            ^^^^^^
      hint: the other quotation mark of the string may be missing
    `
  )
})

describe('a file that is not a module', () => {
  golden(
    'is a list',
    '[ 1 2 ]\n',
    it => it.setIn('a', 1),
    nix`
      1:1: NOT_A_MODULE: the file does not evaluate to an attribute set, so it is not a NixOS module
      1 | [ 1 2 ]
          ^
      hint: pass a module: a file like { config, pkgs, ... }: { … }
    `
  )

  golden(
    'is a package',
    nix`
      { stdenv, fetchurl }:
      stdenv.mkDerivation { name = "x"; }
    `,
    it => it.setIn('a', 1),
    nix`
      1:1: NOT_A_MODULE: this function has no "..." in its formals, so the file is not a NixOS module
      1 | { stdenv, fetchurl }:
          ^^^^^^^^^^^^^^^^^^^^
      hint: pass a module: a file like { config, pkgs, ... }: { … }
    `
  )

  golden(
    'is a call of a function',
    nix`
      { pkgs, ... }:
      pkgs.callPackage ./x.nix { }
    `,
    it => it.setIn('a', 1),
    nix`
      2:1: NOT_A_MODULE: the file does not evaluate to an attribute set, so it is not a NixOS module
      2 | pkgs.callPackage ./x.nix { }
          ^
      hint: pass a module: a file like { config, pkgs, ... }: { … }
    `
  )

  golden(
    'is a function with formals without "..." over several lines',
    nix`
      {
        pkgs,
        lib
      }:
      { a = 1; }
    `,
    it => it.setIn('a', 2),
    nix`
      1:1: NOT_A_MODULE: this function has no "..." in its formals, so the file is not a NixOS module
      1 | {
          ^
      hint: pass a module: a file like { config, pkgs, ... }: { … }
    `
  )

  golden(
    'is a single call of mkIf',
    '{ config, lib, ... }: lib.mkIf config.on { a = 1; }\n',
    it => it.setIn('a', 2),
    nix`
      1:23: NO_TARGET: the whole module is the result of lib.mkIf, so an added definition would not always apply
      1 | { config, lib, ... }: lib.mkIf config.on { a = 1; }
                                ^^^^^^^^
      hint: put it into config: { imports = [ ]; config = …; }
    `
  )

  golden(
    'is the result of //',
    nix`
      { x, ... }:
      {
        a = 1;
      } // x
    `,
    it => it.setIn('a', 2),
    nix`
      2:1: UPDATE_OPERATOR: the module is the result of "//", which may override the definitions on its left
      2 | {
          ^
      hint: write the module as one set { … }, or pass another module of your configuration
    `
  )
})

describe('setIn refuses', () => {
  golden(
    'an option that is defined twice',
    nix`
      { lib, ... }:
      {
        config = lib.mkMerge [
          { services.fwupd.enable = true; }
          { services.fwupd.enable = false; }
        ];
      }
    `,
    it => it.setIn('services.fwupd.enable', true),
    nix`
      5:7: AMBIGUOUS_TARGET: services.fwupd.enable is defined 2 times (lines 4, 5)
      5 |     { services.fwupd.enable = false; }
                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: keep one definition, or pass one of them instead of the path, or { all: true } to edit all of them
    `
  )

  golden(
    'an attribute that Nix rejects as defined twice',
    nix`
      {
        a = 1;
        a = 2;
      }
    `,
    it => it.setIn('a', 3),
    nix`
      3:3: DUPLICATE_ATTRIBUTE: a is defined 2 times (lines 2, 3), which Nix rejects
      3 |   a = 2;
            ^^^^^^
      hint: keep one definition
    `
  )

  golden(
    'an attribute that is dotted and nested at once, which Nix rejects',
    nix`
      {
        boot.tmp.useTmpfs = true;
        boot = {
          tmp.useTmpfs = false;
        };
      }
    `,
    it => it.setIn('boot.tmp.useTmpfs', true),
    nix`
      4:5: DUPLICATE_ATTRIBUTE: boot.tmp.useTmpfs is defined 2 times (lines 2, 4), which Nix rejects
      4 |     tmp.useTmpfs = false;
              ^^^^^^^^^^^^^^^^^^^^^
      hint: keep one definition
    `
  )

  golden(
    'a set whose options are defined one by one',
    nix`
      {
        services.openssh.enable = true;
        services.openssh.ports = [ 22 ];
      }
    `,
    it => it.setIn('services.openssh', { enable: false }),
    nix`
      2:3: CONFLICT: services.openssh can't be set as a whole: services.openssh.enable is already defined here
      2 |   services.openssh.enable = true;
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: set the options below it one by one
    `
  )

  golden(
    'a set that has attributes already',
    nix`
      {
        services.openssh = {
          enable = true;
        };
      }
    `,
    it => it.setIn('services.openssh', { ports: [22] }),
    nix`
      2:3: CONFLICT: services.openssh is already a set
      2 |   services.openssh = {
            ^^^^^^^^^^^^^^^^^^^^
      hint: set its attributes one by one
    `
  )

  golden(
    'a definition under a condition',
    nix`
      { config, lib, ... }:
      {
        config = lib.mkIf config.my.desktop {
          services.xserver.enable = true;
        };
      }
    `,
    it => it.setIn('services.xserver.enable', false),
    nix`
      4:5: CONDITIONAL: services.xserver.enable is defined here only if config.my.desktop
      4 |     services.xserver.enable = true;
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: pass { conditional: true } to edit this definition, or define the option in another module and import that module
    `
  )

  golden(
    'a definition under two conditions',
    '{ lib, a, b, ... }: { x = lib.mkIf a { y = lib.mkIf b 1; }; }\n',
    it => it.setIn('x.y', 2),
    nix`
      1:40: CONDITIONAL: x.y is defined here only if a and b
      1 | { lib, a, b, ... }: { x = lib.mkIf a { y = lib.mkIf b 1; }; }
                                                 ^^^^^^^^^^^^^^^^^
      hint: pass { conditional: true } to edit this definition, or define the option in another module and import that module
    `
  )

  golden(
    'a definition in one branch of an if',
    '{ on, ... }: { x = if on then { y = 1; } else { }; }\n',
    it => it.setIn('x.y', 2),
    nix`
      1:33: CONDITIONAL: x.y is defined here only if on
      1 | { on, ... }: { x = if on then { y = 1; } else { }; }
                                          ^^^^^^
      hint: pass { conditional: true } to edit this definition, or define the option in another module and import that module
    `
  )

  golden(
    'a set that is inherited',
    '{ lib, ... }:\n{ inherit (lib) boot networking; }\n',
    it => it.setIn('networking.hostName', 'pc'),
    nix`
      2:22: INHERITED: "networking" is inherited here, so nothing can be added to it
      2 | { inherit (lib) boot networking; }
                               ^^^^^^^^^^
      hint: write it as name = value; or define the option in another module
    `
  )

  golden(
    'a set in its path that applies only under a condition',
    '{ lib, on, ... }: { boot = lib.mkIf on { tmp.useTmpfs = true; }; }\n',
    it => it.setIn('boot.loader.timeout', 3),
    nix`
      1:21: CONDITIONAL: boot is the result of lib.mkIf here, so a definition added inside would not always apply
      1 | { lib, on, ... }: { boot = lib.mkIf on { tmp.useTmpfs = true; }; }
                              ^^^^
      hint: pass { conditional: true } to add it inside, or define the options in another module and import that module
    `
  )

  golden(
    'a set that comes from another file',
    '{ boot = import ./boot.nix; }\n',
    it => it.setIn('boot.loader.timeout', 3),
    nix`
      1:3: CALL: boot is not written as a set { … } here, so nothing can be added to it
      1 | { boot = import ./boot.nix; }
            ^^^^
      hint: define the options in another module and import that module
    `
  )

  golden(
    'a set that is a variable',
    'let common = { }; in { boot.loader = common; }\n',
    it => it.setIn('boot.loader.timeout', 3),
    nix`
      1:24: VARIABLE: boot.loader is not written as a set { … } here, so nothing can be added to it
      1 | let common = { }; in { boot.loader = common; }
                                 ^^^^^^^^^^^
      hint: define the options in another module and import that module
    `
  )

  golden(
    'a set below a number',
    '{ boot.loader = 3; }\n',
    it => it.setIn('boot.loader.timeout', 3),
    nix`
      1:3: NOT_A_SET: boot.loader is not a set here
      1 | { boot.loader = 3; }
            ^^^^^^^^^^^
      hint: check the path, or make the value a set first
    `
  )

  golden(
    'a set below a string over several lines',
    nix`
      {
        boot.extra = ''
          one
          two
        '';
      }
    `,
    it => it.setIn('boot.extra.one', 3),
    nix`
      2:3: NOT_A_SET: boot.extra is not a set here
      2 |   boot.extra = ''
            ^^^^^^^^^^
      hint: check the path, or make the value a set first
    `
  )

  golden(
    'a set below a list',
    '{ boot.loader = [ 3 ]; }\n',
    it => it.setIn('boot.loader.timeout', 3),
    nix`
      1:3: NOT_A_SET: boot.loader is not a set here
      1 | { boot.loader = [ 3 ]; }
            ^^^^^^^^^^^
      hint: check the path, or make the value a set first
    `
  )

  golden(
    'a name that a computed name may be equal to',
    '{ user, ... }: { users.users.${user}.uid = 1000; }\n',
    it => it.setIn('users.users.ann.uid', 1001),
    nix`
      1:18: DYNAMIC_ATTRIBUTE: users.users.${'${'}…}.uid may define users.users.ann.uid, and Nix rejects a second definition
      1 | { user, ... }: { users.users.${'${'}user}.uid = 1000; }
                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: replace the expression with the name, pass this definition instead of the path, or define the option in another module
    `
  )

  golden(
    'a relative of a computed name that a let defines',
    'let u = "ann"; in { users.users.${u}.uid = 1; }\n',
    it => it.setIn('users.users.ann.shell', 'x'),
    nix`
      1:33: DYNAMIC_ATTRIBUTE: this name is computed, so Nix merges no other definition with it
      1 | let u = "ann"; in { users.users.${'${'}u}.uid = 1; }
                                          ^^^^
      hint: replace the expression with the name, or put all options below it into one set { … }
    `
  )

  golden(
    'a name that a rec set uses as a variable',
    nix`
      let port = 22; in
      {
        my = rec {
          ports = [ port ];
        };
      }
    `,
    it => it.setIn('my.port', 23),
    nix`
      4:15: CONFLICT: "port" is used as a variable in this "rec" set, and defining it here would change its meaning
      4 |     ports = [ port ];
                        ^^^^
      hint: remove the "rec", or define the option in another module
    `
  )
})

describe('addIn refuses', () => {
  golden(
    'a number',
    '{ boot.kernelParams = 3; }\n',
    it => it.addIn('boot.kernelParams', ['quiet']),
    nix`
      1:23: NOT_A_LIST: the value is not a list
      1 | { boot.kernelParams = 3; }
                                ^
      hint: check the path, or make the value a list first
    `
  )

  golden(
    'a set',
    nix`
      {
        boot.kernelParams.quiet = true;
      }
    `,
    it => it.addIn('boot.kernelParams', ['quiet']),
    nix`
      2:3: NOT_A_LIST: boot.kernelParams is not a list but a set with boot.kernelParams.quiet
      2 |   boot.kernelParams.quiet = true;
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: add to a list inside the set
    `
  )

  golden(
    'a set literal',
    '{ boot.kernelParams = { }; }\n',
    it => it.addIn('boot.kernelParams', ['quiet']),
    nix`
      1:23: NOT_A_LIST: the value is not a list
      1 | { boot.kernelParams = { }; }
                                ^^^
      hint: check the path, or make the value a list first
    `
  )

  golden(
    'a variable that may be anything',
    '{ params, ... }: { boot.kernelParams = params; }\n',
    it => it.addIn('boot.kernelParams', ['quiet']),
    nix`
      1:40: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1 | { params, ... }: { boot.kernelParams = params; }
                                                 ^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'a call that may return anything',
    '{ f, ... }: { boot.kernelParams = f [ "quiet" ]; }\n',
    it => it.addIn('boot.kernelParams', ['splash']),
    nix`
      1:35: CALL: the value is computed elsewhere, so there is no list to edit here
      1 | { f, ... }: { boot.kernelParams = f [ "quiet" ]; }
                                            ^^^^^^^^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'a list that is inherited',
    '{ params, ... }: { inherit (params) kernelParams; }\n',
    it => it.addIn('kernelParams', ['quiet']),
    nix`
      1:37: INHERITED: kernelParams is inherited here, so there is no value to edit
      1 | { params, ... }: { inherit (params) kernelParams; }
                                              ^^^^^^^^^^^^
      hint: write it as name = value;
    `
  )

  golden(
    'a list under a condition, without the mkMerge that its mkIf needs',
    '{ on, ... }: let inherit (lib) mkIf; in { boot = mkIf on { kernelParams = [ "quiet" ]; }; }\n',
    it => it.addIn('boot.kernelParams', ['splash']),
    nix`
      1:60: CONDITIONAL: boot.kernelParams is defined here only if on
      1 | { on, ... }: let inherit (lib) mkIf; in { boot = mkIf on { kernelParams = [ "quiet" ]; }; }
                                                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: pass { conditional: true } to edit this definition, or define the option in another module and import that module
    `
  )

  golden(
    'a position next to an item that is not in the list',
    '{ l = [ "a" "b" ]; }\n',
    it => it.addIn('l', ['c'], { at: { after: 'd' } }),
    nix`
      1:7: CONFLICT: this list does not contain the item that the position names
      1 | { l = [ "a" "b" ]; }
                ^^^^^^^^^^^
      hint: name an item of this list, or omit the position to add at the end
    `
  )

  golden(
    'a position at the start of a string of lines',
    nix`
      {
        boot.extraModprobeConfig = ''
          options kvm ignore_msrs=1
        '';
      }
    `,
    it => it.addIn('boot.extraModprobeConfig', ['options x'], { at: 'start' }),
    nix`
      2:30: CONFLICT: lines can be added to a string only at the end
      2 |   boot.extraModprobeConfig = ''
                                       ^^
      hint: omit the position
    `
  )

  golden(
    'an item that is not a line',
    nix`
      {
        boot.extraModprobeConfig = ''
          options kvm ignore_msrs=1
        '';
      }
    `,
    it => it.addIn('boot.extraModprobeConfig', ['one\ntwo']),
    nix`
      BAD_VALUE: boot.extraModprobeConfig is a string of lines, and this item is not a line
      hint: pass each line as a string without a line ending
    `
  )

  golden(
    'a number as a line',
    '{ text = "a"; }\n',
    it => it.addIn('text', [1]),
    nix`
      BAD_VALUE: text is a string of lines, and this item is not a line
      hint: pass each line as a string without a line ending
    `
  )

  golden(
    'a list of a computed user',
    '{ user, ... }: { users.users.${user}.extraGroups = [ "wheel" ]; }\n',
    it => it.addIn('users.users.ann.extraGroups', ['libvirtd']),
    nix`
      1:18: DYNAMIC_ATTRIBUTE: users.users.${'${'}…}.extraGroups may define users.users.ann.extraGroups, and Nix rejects a second definition
      1 | { user, ... }: { users.users.${'${'}user}.extraGroups = [ "wheel" ]; }
                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: replace the expression with the name, pass this definition instead of the path, or define the option in another module
    `
  )

  golden(
    'a list below a pipe',
    '{ f, ... }: { l = [ 1 ] |> f; }\n',
    it => it.addIn('l', [2]),
    nix`
      1:25: PIPE_OPERATOR: the edit would be inside an expression with a pipe operator
      1 | { f, ... }: { l = [ 1 ] |> f; }
                                  ^^
      hint: write the expression without the pipe, or edit it manually
    `
  )
})

describe('removeIn refuses', () => {
  golden(
    'an item below a pipe',
    '{ f, ... }: { l = f <| [ 1 2 ]; }\n',
    it => it.removeIn('l', [1]),
    nix`
      1:21: PIPE_OPERATOR: the edit would be inside an expression with a pipe operator
      1 | { f, ... }: { l = f <| [ 1 2 ]; }
                              ^^
      hint: write the expression without the pipe, or edit it manually
    `
  )
})

describe('renameIn refuses', () => {
  golden(
    'a name that is already defined',
    nix`
      {
        hardware.opengl.enable = true;
        hardware.graphics.enable = true;
      }
    `,
    it => it.renameIn('hardware.opengl', 'hardware.graphics'),
    nix`
      3:3: CONFLICT: hardware.graphics is already defined
      3 |   hardware.graphics.enable = true;
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: remove one of the two
    `
  )

  golden(
    'a new path outside the set around the definition',
    nix`
      {
        hardware = {
          opengl.enable = true;
        };
      }
    `,
    it => it.renameIn('hardware.opengl', 'graphics'),
    nix`
      3:5: NO_TARGET: hardware.opengl.enable is inside a set that can't contain graphics
      3 |     opengl.enable = true;
              ^^^^^^^^^^^^^^^^^^^^^
      hint: remove the old option and set the new one
    `
  )

  golden(
    'an inherited definition',
    '{ lib, ... }: { inherit (lib) a; }\n',
    it => it.renameIn('a', 'b'),
    nix`
      1:31: INHERITED: a is inherited here, so there is no value to edit
      1 | { lib, ... }: { inherit (lib) a; }
                                        ^
      hint: write it as name = value;
    `
  )
})

describe('import refuses', () => {
  golden(
    'imports that are inherited',
    '{ profiles, ... }: { inherit (profiles) imports; }\n',
    it => it.import('./vfio'),
    nix`
      1:41: INHERITED: imports is inherited here, so nothing can be added to it
      1 | { profiles, ... }: { inherit (profiles) imports; }
                                                  ^^^^^^^
      hint: write it out, followed by the inherited value:  imports = [ ./vfio ] ++ …;
    `
  )

  golden(
    'imports that are not a list',
    '{ imports = "./a.nix"; }\n',
    it => it.import('./vfio'),
    nix`
      1:13: NOT_A_LIST: imports is not a list here
      1 | { imports = "./a.nix"; }
                      ^^^^^^^^^
      hint: write it as a list:  imports = [ … ];
    `
  )

  golden(
    'a string that is not a path',
    '{ }\n',
    it => it.import('vfio'),
    nix`
      BAD_VALUE: "vfio" is not a path that can be imported
      hint: a path begins with ./, ../ or /, and has no control characters
    `
  )

  golden(
    'a path with a line ending',
    '{ }\n',
    it => it.import('./a\nb'),
    nix`
      BAD_VALUE: "./a\nb" is not a path that can be imported
      hint: a path begins with ./, ../ or /, and has no control characters
    `
  )
})

describe('an invalid call is refused without a place', () => {
  golden(
    'an empty path',
    '{ }\n',
    it => it.setIn('', 1),
    nix`
      BAD_PATH: an attribute path needs at least one name
      hint: an attribute path looks like users.users."my.user".uid
    `
  )

  golden(
    'a path without names',
    '{ }\n',
    it => it.setIn([], 1),
    nix`
      BAD_PATH: an attribute path needs at least one name
      hint: an attribute path looks like users.users."my.user".uid
    `
  )

  golden(
    'an empty name',
    '{ }\n',
    it => it.setIn('boot..loader', 1),
    nix`
      BAD_PATH: boot..loader is not an attribute path: a name is missing before .loader
      hint: quote a name that has other characters: "my user"
    `
  )

  golden(
    'a path that ends in a dot',
    '{ }\n',
    it => it.setIn('boot.', 1),
    nix`
      BAD_PATH: a name is missing at the end of boot.
      hint: an attribute path looks like users.users."my.user".uid
    `
  )

  golden(
    'a space in a name',
    '{ }\n',
    it => it.setIn('users.my user', 1),
    nix`
      configuration.nix: BAD_PATH: users.my user is not an attribute path: my user is not a name
      hint: quote a name that has other characters: "my user"
    `,
    { file: 'configuration.nix' }
  )

  golden(
    'an unterminated quote',
    '{ }\n',
    it => it.removeIn('users."ann'),
    nix`
      BAD_PATH: users."ann is not an attribute path: "ann is not a name
      hint: quote a name that has other characters: "my user"
    `
  )

  golden(
    'a name that begins with a digit',
    '{ }\n',
    it => it.addIn('a.1b', [1]),
    nix`
      BAD_PATH: a.1b is not an attribute path: 1b is not a name
      hint: quote a name that has other characters: "my user"
    `
  )

  golden(
    'a computed name',
    '{ }\n',
    it => it.renameIn('users.${user}', 'b'),
    nix`
      BAD_PATH: users.${'${'}user} has a computed name, which can be any name
      hint: find the definition with getBelow, and pass it instead of the path
    `
  )

  golden(
    'a new name that is not valid',
    '{ a = 1; }\n',
    it => it.renameIn('a', 'b c'),
    nix`
      BAD_PATH: b c is not an attribute path: b c is not a name
      hint: quote a name that has other characters: "my user"
    `
  )

  golden(
    'NaN, which Nix does not have',
    '{ }\n',
    it => it.setIn('a', Number.NaN),
    nix`
      BAD_VALUE: NaN cannot be written in Nix
      hint: use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else
    `
  )

  golden(
    'infinity inside a set',
    '{ }\n',
    it => it.setIn('a', { b: [1, Number.POSITIVE_INFINITY] }),
    nix`
      BAD_VALUE: Infinity cannot be written in Nix
      hint: use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else
    `
  )

  golden(
    'two expressions',
    '{ }\n',
    it => it.setIn('a', expr('1; b = 2')),
    nix`
      BAD_VALUE: expr("1; b = 2") is not one complete expression
      hint: use an expression that can follow "=", and annotated(value, comment) for a comment
    `
  )

  golden(
    'an empty expression',
    '{ }\n',
    it => it.setIn('a', expr('')),
    nix`
      BAD_VALUE: expr("") is not one complete expression
      hint: use an expression that can follow "=", and annotated(value, comment) for a comment
    `
  )

  golden(
    'an unfinished expression in a list',
    '{ }\n',
    it => it.addIn('a', ['x', expr('[ 1')]),
    nix`
      configuration.nix: BAD_VALUE: expr("[ 1") is not one complete expression
      hint: use an expression that can follow "=", and annotated(value, comment) for a comment
    `,
    { file: 'configuration.nix' }
  )

  golden(
    'undefined',
    '{ }\n',
    it => it.setIn('a', undefined as unknown as null),
    nix`
      BAD_VALUE: undefined cannot be written in Nix
      hint: use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else
    `
  )

  golden(
    'undefined in a set',
    '{ }\n',
    it => it.setIn('a', { b: undefined as unknown as null }),
    nix`
      BAD_VALUE: undefined cannot be written in Nix
      hint: use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else
    `
  )

  golden(
    'undefined in a list',
    '{ }\n',
    it => it.addIn('a', [undefined as unknown as null]),
    nix`
      BAD_VALUE: undefined cannot be written in Nix
      hint: use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else
    `
  )

  golden(
    'a function',
    '{ }\n',
    it => it.setIn('a', (() => 1) as unknown as null),
    nix`
      BAD_VALUE: a function cannot be written in Nix
      hint: use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else
    `
  )

  golden(
    'a string with a NUL',
    '{ }\n',
    it => it.setIn('a', 'x\0y'),
    nix`
      BAD_VALUE: strings and names in Nix cannot contain a NUL or half a surrogate pair
      hint: remove the character
    `
  )

  golden(
    'half a surrogate pair',
    '{ }\n',
    it => it.setIn('a', '\ud800'),
    nix`
      BAD_VALUE: strings and names in Nix cannot contain a NUL or half a surrogate pair
      hint: remove the character
    `
  )

  golden(
    'a name with a NUL',
    '{ }\n',
    it => it.setIn(['a', 'x\0y'], 1),
    nix`
      BAD_PATH: the names of an attribute path must be strings of valid text
      hint: an attribute path looks like users.users."my.user".uid
    `
  )

  golden(
    'a name that is not a string',
    '{ }\n',
    it => it.setIn(['a', undefined as unknown as string], 1),
    nix`
      BAD_PATH: the names of an attribute path must be strings of valid text
      hint: an attribute path looks like users.users."my.user".uid
    `
  )

  golden(
    'a path that is not a string',
    '{ }\n',
    it => it.setIn(undefined as unknown as string, 1),
    nix`
      BAD_PATH: undefined is not an attribute path
      hint: an attribute path looks like users.users."my.user".uid
    `
  )

  golden(
    'a new path that is not a string',
    '{ }\n',
    it => it.renameIn('a', null as unknown as string),
    nix`
      BAD_PATH: null is not an attribute path
      hint: an attribute path looks like users.users."my.user".uid
    `
  )

  golden(
    'items that are not an array',
    '{ }\n',
    it => it.addIn('a', 'x' as unknown as string[]),
    nix`
      BAD_VALUE: items must be an array
      hint: for one item, pass an array of one: [value]
    `
  )

  golden(
    'a comment after an expression, which would comment out the rest',
    '{ }\n',
    it => it.setIn('a', expr('1 # one')),
    nix`
      BAD_VALUE: expr("1 # one") is not one complete expression
      hint: use an expression that can follow "=", and annotated(value, comment) for a comment
    `
  )

  golden(
    'an integer that JavaScript cannot represent exactly',
    '{ }\n',
    it => it.setIn('a', 2 ** 63),
    nix`
      BAD_VALUE: 9223372036854776000 cannot be written in Nix
      hint: use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else
    `
  )

  golden(
    'a chosen definition of another document',
    '{ a = 1; }\n',
    it => it.setIn(chosen('{ b = 1; a = 1; }', 'a'), 2),
    nix`
      STALE: the chosen definition of a is not in this document
      hint: get it with getIn from the document that you edit
    `
  )

  golden(
    'a chosen definition to rename, which is of another document',
    '{ a = 1; }\n',
    it => it.renameIn(chosen('{ b = 1; a = 1; }', 'a'), 'c'),
    nix`
      STALE: the chosen definition of a is not in this document
      hint: get it with getIn from the document that you edit
    `
  )

  golden(
    'a chosen definition of another document to remove',
    '{ a = 1; }\n',
    it => it.removeIn(chosen('{ b = 1; a = 1; }', 'a')),
    nix`
      STALE: the chosen definition of a is not in this document
      hint: get it with getIn from the document that you edit
    `
  )

  golden(
    'a chosen list of another document',
    '{ a = [ ]; }\n',
    it => it.addIn(chosen('{ b = 1; a = [ ]; }', 'a'), [1]),
    nix`
      STALE: the chosen definition of a is not in this document
      hint: get it with getIn from the document that you edit
    `
  )

  golden(
    'a chosen definition at whose offset is another definition',
    '{ b = 1; }\n',
    it => it.setIn(chosen('{ a = 1; }', 'a'), 2),
    nix`
      STALE: the chosen definition of a is not in this document
      hint: get it with getIn from the document that you edit
    `
  )

  golden(
    'a chosen inherited name at whose offset is another name',
    '{ inherit (x) b; }\n',
    it => it.setIn(chosen('{ inherit (x) a; }', 'a'), 2),
    nix`
      STALE: the chosen definition of a is not in this document
      hint: get it with getIn from the document that you edit
    `
  )

  golden(
    'a chosen definition that an earlier edit removed',
    '{ a = 1; }\n',
    it => it.removeIn('a').setIn(chosen('{ a = 1; }', 'a'), 2),
    nix`
      STALE: the chosen definition of a is not in this document
      hint: get it with getIn from the document that you edit
    `
  )
})

describe('a later edit of a transaction is refused with its place in the original text', () => {
  golden(
    'after text that an earlier edit added',
    nix`
      { params, ... }:
      {
        imports = [
          ./a.nix
        ];
        boot.kernelParams = params;
      }
    `,
    it => it.import('./vfio').addIn('boot.kernelParams', ['quiet']),
    nix`
      6:23: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      6 |   boot.kernelParams = params;
                                ^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'before text that an earlier edit added',
    nix`
      { params, ... }:
      {
        boot.kernelParams = params;
        networking.hostName = "pc";
      }
    `,
    it => it.setIn('networking.hostName', 'longer-name').addIn('boot.kernelParams', ['quiet']),
    nix`
      3:23: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      3 |   boot.kernelParams = params;
                                ^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'on the line of text that an earlier edit added',
    '{ params, ... }: { a = 1; boot.kernelParams = params; }\n',
    it => it.setIn('a', 1000).setIn('b', 2).addIn('boot.kernelParams', ['quiet']),
    nix`
      1:47: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1 | { params, ... }: { a = 1; boot.kernelParams = params; }
                                                        ^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'after text that an earlier edit removed',
    nix`
      { params, ... }:
      {
        a = 1; # one
        b = 2;
        boot.kernelParams = params;
      }
    `,
    it => it.removeIn('a').removeIn('b').addIn('boot.kernelParams', ['quiet']),
    nix`
      5:23: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      5 |   boot.kernelParams = params;
                                ^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'inside text that an earlier edit added',
    nix`
      {
        a = 1;
      }
    `,
    it => it.setIn('my.option', 'text').addIn('my.option.list', [1]),
    nix`
      2:9: NOT_A_SET: my.option is not a set here
      2 |   a = 1;
                  ^
      hint: check the path, or make the value a set first
    `
  )

  golden(
    'inside a value that an earlier edit replaced',
    nix`
      {
        a = 1;
        b = 2;
      }
    `,
    it => it.setIn('a', { list: 7 }).addIn('a.list', [1]),
    nix`
      2:7: NOT_A_LIST: the value is not a list
      2 |   a = 1;
                ^
      hint: check the path, or make the value a list first
    `
  )

  golden(
    'with CRLF line endings',
    '{ params, ... }:\r\n{\r\n  a = 1;\r\n  l = params;\r\n}\r\n',
    it => it.setIn('b', { c: 1 }).setIn('a', 2).addIn('l', [1]),
    nix`
      4:7: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      4 |   l = params;
                ^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )
})

describe('the source line', () => {
  golden(
    'shows tabs as two spaces',
    '{ p, ... }:\n{\n\tboot = {\n\t\tkernelParams = p;\n\t};\n}\n',
    it => it.addIn('boot.kernelParams', ['quiet']),
    nix`
      4:18: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      4 |     kernelParams = p;
                             ^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'aligns the caret after wide characters',
    '{ p, ... }: { a = "日本語"; /* 🎮 */ l = p; }\n',
    it => it.addIn('l', [1]),
    nix`
      1:39: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1 | { p, ... }: { a = "日本語"; /* 🎮 */ l = p; }
                                                   ^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'aligns the caret after combining marks and joined emoji',
    '{ p, ... }: { a = "e\u0301 👩‍👩‍👧"; l = p; }\n',
    it => it.addIn('l', [1]),
    nix`
      1:38: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1 | { p, ... }: { a = "é 👩‍👩‍👧"; l = p; }
                                        ^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'is cut around the caret if it is long',
    `{ p, ... }: { ${'before = 1; '.repeat(20)}l = p; ${'after = 2; '.repeat(20)}}\n`,
    it => it.addIn('l', [1]),
    nix`
      1:259: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1 | … 1; before = 1; l = p; after = 2; after = 2; after = 2; afte…
                               ^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `,
    { width: 60 }
  )

  golden(
    'is cut at its end if the caret is at the start',
    `{ l = ${'x '.repeat(80)}; }\n`,
    it => it.addIn('l', [1]),
    nix`
      1:7: CALL: the value is computed elsewhere, so there is no list to edit here
      1 | { l = x x x x x x x x x x x x x x x x x …
                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `,
    { width: 40 }
  )

  golden(
    'is cut if the marked text is long',
    `{ a = 1; l = f { ${'b = 2; '.repeat(40)}}; }\n`,
    it => it.addIn('l', [1]),
    nix`
      1:14: CALL: the value is computed elsewhere, so there is no list to edit here
      1 | { a = 1; l = f { b = 2; b = 2; b = 2; b …
                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `,
    { width: 40 }
  )

  golden(
    'is cut before wide characters',
    `{ a = "${'漢'.repeat(60)}"; l = p; b = "${'漢'.repeat(60)}"; }\n`,
    it => it.addIn('l', [1]),
    nix`
      1:75: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1 | …漢漢漢"; l = p; b = "漢漢漢漢漢漢漢漢漢…
                        ^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `,
    { width: 40 }
  )

  golden(
    'is the first of a value over several lines',
    nix`
      { f, ... }:
      {
        l = f {
          a = 1;
        };
      }
    `,
    it => it.addIn('l', [1]),
    nix`
      3:7: CALL: the value is computed elsewhere, so there is no list to edit here
      3 |   l = f {
                ^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'is shown without its carriage return',
    '{ f, ... }:\r\n{\r\n  l = f {\r\n  };\r\n}\r\n',
    it => it.addIn('l', [1]),
    nix`
      3:7: CALL: the value is computed elsewhere, so there is no list to edit here
      3 |   l = f {
                ^^^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'is aligned with a long line number',
    `{ p, ... }:\n{${'\n'.repeat(1230)}  l = p;\n}\n`,
    it => it.addIn('l', [1]),
    nix`
      1232:7: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1232 |   l = p;
                   ^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `
  )

  golden(
    'begins with the name of the file',
    '{ p, ... }: { l = p; }\n',
    it => it.addIn('l', [1]),
    nix`
      /etc/nixos/configuration.nix:1:19: VARIABLE: the value is computed elsewhere, so there is no list to edit here
      1 | { p, ... }: { l = p; }
                            ^
      hint: if it is a plain list, append a list to it:  … ++ [ ]
    `,
    { file: '/etc/nixos/configuration.nix' }
  )

  golden(
    'is in color on request',
    '{ p, ... }: { l = p; }\n',
    it => it.addIn('l', [1]),
    [
      '1:19: \u001b[1;31mVARIABLE\u001b[0m: the value is computed elsewhere, so there is no list to edit here',
      '\u001b[2m1 | \u001b[0m{ p, ... }: { l = p; }',
      '    \u001b[1;31m                  ^\u001b[0m',
      'hint: if it is a plain list, append a list to it:  … ++ [ ]'
    ].join('\n'),
    { color: true }
  )
})
