import { expect, it } from 'vitest'
import { type FileKind, kindOf } from '../../src/configuration/kind.ts'
import { parseDocument } from '../../src/nix/index.ts'

const cases: [FileKind, string][] = [
  ['module', '{ config, pkgs, ... }: { boot.loader.grub.enable = true; }'],
  ['module', '{ ... }: { }'],
  ['module', '{ imports = [ ./a.nix ]; }'],
  ['module', '{ services.openssh.enable = true; }'],
  ['module', '{ lib, ... }: { options.mine = lib.mkOption { }; config = { mine = 1; }; }'],
  ['module', '{ ... }: { ours.host.enable = true; }'],
  ['module', '{ system.stateVersion = "26.05"; home.packages = [ ]; }'],
  ['generated', '# Do not modify this file!  It was generated\n# by something.\n{ boot = { }; }'],
  ['generated', '\n# first\n# Do not modify this file!\n{ config, ... }: { }'],
  ['flake', '{ description = "x"; outputs = { self }: { }; }'],
  ['flake', '{ inputs.nixpkgs.url = "x"; outputs = inputs: { }; }'],
  ['flake-parts', '{ inputs, ... }: { perSystem = { pkgs, ... }: { }; }'],
  ['flake-parts', '{ flake.nixosModules.x = { boot = { }; }; }'],
  ['home-manager', '{ pkgs, ... }: { home.packages = [ pkgs.hello ]; }'],
  ['home-manager', '{ home = { username = "ann"; }; programs.git.enable = true; }'],
  ['nix-darwin', '{ homebrew.enable = true; }'],
  ['nix-darwin', '{ system.defaults.dock.autohide = true; services.x = 1; }'],
  ['data', '{ name = "win10"; memory = 8; }'],
  ['data', '{ a = x: x; }']
]
it.each(cases)('the kind of a file is %s: %s', (kind, text) =>
  expect(kindOf(parseDocument(text))).toBe(kind)
)
