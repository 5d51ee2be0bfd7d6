// Where the whole of config is a mkMerge, apply adds a plain part to it, and remove takes it out again: by
// what stands there alone, as no copy of the file is at hand.

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
    'parts on lines of their own',
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
    'all on one line',
    '{ config, lib, ... }: { config = lib.mkMerge [ (lib.mkIf config.a { b = 1; }) ]; }\n'
  ],
  [
    'with lib, tabs, and the bracket behind the last part',
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
    'an import of their own',
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

it.each(LAYOUTS)('%s', (_, text) => {
  for (const given of [text, text.replaceAll('\n', '\r\n')]) {
    const machine = makeMachine({ 'configuration.nix': given, 'hardware.nix': '{ }\n' })
    machine.apply(SETTINGS)
    expect(machine.read('configuration.nix')).toContain('virtualisation')
    expect(machine.remove().ok).toBe(true)
    expect(machine.read('configuration.nix')).toBe(given)
  }
})

it('what a person wrote into the part stays', () => {
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

it('so do parts of theirs that were empty before, if they have words of theirs', () => {
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
