// Files that can't be edited because of their content, or that do not exist.

import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needing } from './support/needing.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const FLAGS = ['--iommu', 'amd', '--device', '10de:1b80']
const APPLY = ['apply', '--yes', 'configuration.nix', ...FLAGS]
const MODULE = 'pass a module: a file like { config, pkgs, ... }: { … }'
const MACHINE =
  'pass the configuration of the machine, e.g. vfio-patch apply hosts/pc/configuration.nix'

/** Expects that apply refuses a configuration with this content. */
async function check(content: string | Uint8Array, stderr: string): Promise<void> {
  await expectRefusal(makePlace({ 'configuration.nix': content }), APPLY, { code: 3, stderr })
}

test.concurrent('apply refuses a file that does not exist', async () => {
  await expectRefusal(makePlace(), ['apply', 'configration.nix', ...FLAGS], {
    code: 4,
    stderr: text`
      vfio-patch: /etc/nixos/configration.nix does not exist.
        Do:  pass the file: vfio-patch apply PATH
             or, in an installer: nixos-generate-config --root /mnt, then vfio-patch apply --root /mnt
      `
  })
})

test.concurrent('apply refuses a dangling symlink', async () => {
  const place = makePlace()
  symlinkSync('gone.nix', join(place.nixos, 'configuration.nix'))
  await expectRefusal(place, APPLY, {
    code: 4,
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix is a dangling symlink (/etc/nixos/configuration.nix -> /etc/nixos/gone.nix).
        Do:  pass the file: vfio-patch apply PATH
             or, in an installer: nixos-generate-config --root /mnt, then vfio-patch apply --root /mnt
      `
  })
})

test.concurrent('diff refuses a folder without configuration.nix, with or without a flake', async () => {
  const place = makePlace()
  mkdirSync(join(place.nixos, 'hosts'))
  await expectRefusal(place, ['diff', 'hosts', ...FLAGS], {
    code: 4,
    stderr: text`
      vfio-patch: there is no configuration.nix in /etc/nixos/hosts.
        Do:  pass the file: vfio-patch diff /etc/nixos/hosts/YOUR-FILE.nix
      `
  })
  place.write('hosts/flake.nix', '{ outputs = inputs: { }; }\n')
  await expectRefusal(place, ['diff', 'hosts', ...FLAGS], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/hosts contains a flake and no configuration.nix. Nothing was written.
        Why: the flake only lists modules; the settings have to be in one of these modules.
        Do:  pass the module that flake.nix lists under modules, e.g. vfio-patch diff /etc/nixos/hosts/hosts/pc/configuration.nix
      `
  })
  place.write('hosts/configuration.nix', '{ ... }: { system.stateVersion = "26.05"; }\n')
  expect(await place.run(['diff', '-q', 'hosts', ...FLAGS])).toEqual({
    code: 1,
    stdout: '',
    stderr: ''
  })
})

test.concurrent('apply refuses encrypted files', async () => {
  const encrypted = (by: string) => text`
    vfio-patch: /etc/nixos/configuration.nix: the file is encrypted (${by}). Nothing was written.
      Do:  decrypt it first, or edit the file it was made from
    `
  await check(Buffer.from('\0GITCRYPT\0\x01\x02\xff', 'latin1'), encrypted('git-crypt'))
  await check('age-encryption.org/v1\n-> X25519 abc\n', encrypted('age'))
  const armor = (word: string) => `-----${word} AGE ENCRYPTED FILE-----\n`
  await check(`${armor('BEGIN')}YWdl\n${armor('END')}`, encrypted('age'))
})

test.concurrent('apply refuses bytes that are not UTF-8', async () => {
  await check(
    Buffer.from('{ ... }:\n{\n  networking.hostName = "caf\xe9";\n}\n', 'latin1'),
    text`
      vfio-patch: /etc/nixos/configuration.nix:3:29: this is not UTF-8 text. Nothing was written.
          3 |   networking.hostName = "caf�";
                                          ^
        Do:  convert it to UTF-8, for example with iconv
      `
  )
})

test.concurrent('apply refuses a byte order mark', async () => {
  await check(
    '\ufeff{ ... }: { }\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:1:1: the file begins with a byte order mark, which Nix rejects. Nothing was written.
          1 | \\u{feff}{ ... }: { }
              ^^^^^^^^
        Do:  save it as UTF-8 without a byte order mark
      `
  )
})

test.concurrent('apply refuses a carriage return without a line feed', async () => {
  await check(
    '{ ... }: # old Macintosh\r{ }\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:1:25: Nix reads this carriage return as a line ending, although no line feed follows it. Nothing was written.
          1 | { ... }: # old Macintosh\\u{d}{ }
                                      ^^^^^
        Do:  replace it with a line feed
      `
  )
})

test.concurrent('apply refuses a NUL character', async () => {
  await check(
    '{ ... }: { }\n\0\0\0\0',
    text`
      vfio-patch: /etc/nixos/configuration.nix:2:1: the file contains a NUL character, so it is not a text file. Nothing was written.
          2 | \\u{0}\\u{0}\\u{0}\\u{0}
              ^^^^^
        Do:  restore the file from a backup
      `
  )
})

test.concurrent('apply refuses an empty file', async () => {
  const empty = text`
    vfio-patch: /etc/nixos/configuration.nix is empty. Nothing was written.
      Do:  pass a module: a file like { config, pkgs, ... }: { … }
    `
  await check('', empty)
  await check(' \n\n', empty)
})

test.concurrent('apply refuses a file that Nix cannot parse', async () => {
  await check(
    '{ config, ... }:\n\n{\n  boot.kernelParams = [ "quiet" ;\n}\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:4:32: "]" is missing here. Nothing was written.
          4 |   boot.kernelParams = [ "quiet" ;
                                             ^
        Why: a file that Nix can't parse can't be edited safely.
        Do:  fix it, and check it with: nix-instantiate --parse /etc/nixos/configuration.nix
      `
  )
})

test.concurrent('apply refuses a package, a value, and a call of another file', async () => {
  await check(
    '{ stdenv, fetchurl }:\nstdenv.mkDerivation {\n  pname = "hello";\n}\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:1:1: this function has no "..." in its formals, so the file is not a NixOS module. Nothing was written.
          1 | { stdenv, fetchurl }:
              ^^^^^^^^^^^^^^^^^^^^
        Do:  ${MODULE}
      `
  )
  const noSet = (place: string, excerpt: string) =>
    text`
      vfio-patch: /etc/nixos/configuration.nix:${place}: the file does not evaluate to an attribute set, so it is not a NixOS module. Nothing was written.
      ` +
    excerpt +
    `  Do:  ${MODULE}\n`
  await check(
    '{ stdenv, ... }:\nstdenv.mkDerivation rec {\n  pname = "hello";\n}\n',
    noSet('2:1', '    2 | stdenv.mkDerivation rec {\n        ^\n')
  )
  await check('[ "quiet" ]\n', noSet('1:1', '    1 | [ "quiet" ]\n        ^\n'))
  await check(
    'import ./pc.nix\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:1:1: the module is computed here, so there is no set { … } to edit. Nothing was written.
          1 | import ./pc.nix
              ^
        Do:  write it as a set { … }, or pass the file that contains the module
      `
  )
})

test.concurrent('apply refuses a module under a condition', async () => {
  await check(
    '{ config, lib, ... }:\n{\n  config = lib.mkIf config.desktop.enable {\n    sound.enable = true;\n  };\n}\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:3:3: config is the result of lib.mkIf here, so a definition added inside would not always apply. Nothing was written.
          3 |   config = lib.mkIf config.desktop.enable {
                ^^^^^^
        Do:  define the options in another module and import that module
      `
  )
  await check(
    '{ config, lib, ... }:\nlib.mkIf config.desktop.enable {\n  sound.enable = true;\n}\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:2:1: the whole module is the result of lib.mkIf, so an added definition would not always apply. Nothing was written.
          2 | lib.mkIf config.desktop.enable {
              ^^^^^^^^
        Do:  put it into config: { imports = [ ]; config = …; }
      `
  )
})

test.concurrent('apply refuses inherited imports', async () => {
  await check(
    'let imports = [ ./pc.nix ]; in\n{ ... }:\n{\n  inherit imports;\n  system.stateVersion = "26.05";\n}\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix:4:11: imports is inherited here, so nothing can be added to it. Nothing was written.
          4 |   inherit imports;
                        ^^^^^^^
        Do:  write it out, followed by the inherited value:  imports = [ ./vfio ] ++ …;
      `
  )
})

test.concurrent.each([
  [
    'a flake',
    '{\n  inputs = { };\n  outputs = { self, ... }: { };\n}\n',
    'is a flake, not a NixOS module',
    'pass the module that it lists under modules, e.g. vfio-patch apply hosts/pc/configuration.nix'
  ],
  [
    'a module of flake-parts',
    '{ inputs, ... }: { perSystem = { pkgs, ... }: { }; }\n',
    'is a module of flake-parts, not of NixOS',
    'pass a NixOS module, { config, pkgs, ... }: { … }; if all your NixOS modules are written inside flake-parts modules, create a file for a new one and import it there'
  ]
])('apply refuses %s', async (_, content, what, remedy) => {
  await check(
    content,
    `vfio-patch: /etc/nixos/configuration.nix ${what}. Nothing was written.\n  Do:  ${remedy}\n`
  )
})

test.concurrent('apply refuses a module of home-manager', async () => {
  await check(
    '{ pkgs, ... }: { home.packages = [ pkgs.vim ]; programs.git.enable = true; }\n',
    text`
      vfio-patch: /etc/nixos/configuration.nix is a module of home-manager, not of NixOS. Nothing was written.
        Why: passing a card through concerns the whole system, not one user.
        Do:  ${MACHINE}
      `
  )
})

test.concurrent('apply refuses the file that nixos-generate-config overwrites', async () => {
  const place = makePlace({
    'hardware-configuration.nix': '# Do not modify this file!  It was generated\n{ ... }: { }\n'
  })
  await expectRefusal(place, ['apply', '--yes', 'hardware-configuration.nix', ...FLAGS], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/hardware-configuration.nix is generated ("Do not modify this file!"). Nothing was written.
        Why: the next nixos-generate-config would overwrite the changes.
        Do:  pass the file that imports it, usually: vfio-patch apply /etc/nixos/configuration.nix
      `
  })
})

needing('nix-instantiate')(
  'diff skips the check by Nix if Nix rejects the unchanged file',
  async () => {
    const place = makePlace({ 'configuration.nix': '{ ... }: { a = undefinedVariable; }\n' })
    expect(await place.run(['diff', 'configuration.nix', ...FLAGS])).toMatchObject({
      code: 1,
      stderr: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
      Checked: parses (built-in parser only; nix-instantiate also rejects the original file).
      `
    })
  }
)
