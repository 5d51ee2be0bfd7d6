// If config is a mkMerge, apply adds a plain part to it. remove recognizes and removes that part by its text alone.

import { expect, it } from 'vitest'
import type { Settings } from '../../src/settings/settings.ts'
import { nix } from '../nix/support.ts'
import { makeMachine } from './support/machine.ts'

const SETTINGS: Settings = {
  devices: ['10de:1b80', '10de:10f0'],
  users: ['alice'],
  sharedMemoryFiles: [{ name: 'scream' }],
  deviceACL: ['/dev/kvmfr0'],
  clearEmulationCapabilities: false
}

const LAYOUTS: [string, string][] = [
  [
    'each part on a separate line',
    nix`
      { config, lib, ... }:
      {
        options.my.games = lib.mkEnableOption "games";

        config = lib.mkMerge [
          (lib.mkIf config.my.games {
            boot.kernelParams = [ "quiet" ];
          })
          (lib.mkIf (!config.my.games) { boot.kernelParams = [ ]; }) # the others
        ];
      }
    `
  ],
  [
    'everything on one line',
    '{ config, lib, ... }: { config = lib.mkMerge [ (lib.mkIf config.a { b = 1; }) ]; }\n'
  ],
  [
    'with lib, tabs, and the bracket on the line of the last part',
    'with import <lib>;\n{\n\tconfig = mkMerge [\n\t\t(mkIf a { b = 1; })\n\t\t(mkIf c { d = 1; }) ];\n}\n'
  ],
  [
    'a comment above the bracket',
    nix`
      { lib, ... }:
      {
        config = lib.mkMerge [
          (lib.mkIf true { a = 1; })
          # more to come
        ];
      }
    `
  ],
  [
    'an existing import',
    nix`
      { lib, ... }:
      {
        imports = [ ./hardware.nix ];
        config = lib.mkMerge [
          (lib.mkIf true {
            a = 1;
          })
        ];
      }
    `
  ]
]

it.each(LAYOUTS)('remove restores the text before apply: %s', (_, text) => {
  for (const given of [text, text.replaceAll('\n', '\r\n')]) {
    const machine = makeMachine({ 'configuration.nix': given, 'hardware.nix': '{ }\n' })
    machine.apply(SETTINGS)
    expect(machine.read('configuration.nix')).toContain('virtualisation')
    expect(machine.remove().ok).toBe(true)
    expect(machine.read('configuration.nix')).toBe(given)
  }
})

it("remove keeps the user's options in the part that apply added", () => {
  const [[, text] = ['', '']] = LAYOUTS
  const machine = makeMachine({ 'configuration.nix': text })
  machine.apply(SETTINGS)
  const applied = machine.read('configuration.nix')
  machine.write(
    'configuration.nix',
    applied.replace('virtualisation.vfio = {', it => `networking.hostName = "pc";\n      ${it}`)
  )
  expect(machine.remove().ok).toBe(true)
  const left = machine.read('configuration.nix')
  expect(left).toContain('networking.hostName = "pc";')
  expect(left).not.toContain('virtualisation')
})

it("remove keeps the user's empty parts with comments", () => {
  const text = nix`
    { lib, ... }:
    {
      config = lib.mkMerge [
        {
          # for later
        }
        (lib.mkIf true { a = 1; })
      ];
    }
  `
  const machine = makeMachine({ 'configuration.nix': text })
  machine.apply(SETTINGS)
  expect(machine.remove().ok).toBe(true)
  expect(machine.read('configuration.nix')).toBe(text)
})
