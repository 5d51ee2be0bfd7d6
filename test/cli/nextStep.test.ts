// The last lines of a command that wrote something: the next step, which builds the system with the change.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { makePlace, type Place } from './support/place.ts'

const OFF = '--parse-check=off'
const CONFIGURATION = '{ ... }:\n{\n  boot.loader.timeout = 1;\n}\n'
const FLAKE = `{
  outputs = { nixpkgs, ... }: {
    nixosConfigurations = {
      laptop = nixpkgs.lib.nixosSystem { modules = [ ./laptop.nix ]; };
      desktop = nixpkgs.lib.nixosSystem { modules = [ ./desktop.nix ./both.nix ]; };
    };
  };
}
`

/** The exit code, and the lines from `Next:` on. */
async function next(place: Place, words: string[], options = {}): Promise<string[]> {
  const { code, stderr } = await place.run([...words, '-y', OFF, '--no-git-add'], options)
  const lines = stderr.trimEnd().split('\n')
  const from = lines.findIndex(it => it.startsWith('Next:'))
  return [`${code}`, ...(from === -1 ? [] : lines.slice(from))]
}
const apply = (file: string, ...more: string[]) => ['apply', file, '--device', '10de:1b80', ...more]
const hint = '        If the screen stays dark, choose the previous generation in the boot menu.'

test.concurrent('the next step of apply contains the path of the configuration', async () => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  expect(await next(place, apply('configuration.nix'))).toEqual([
    '0',
    'Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot',
    hint
  ])
})

const line =
  'Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot'

test.concurrent('the next step of undo contains the path of the configuration', async () => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  await place.run([...apply('configuration.nix'), '-qy', OFF])
  const { stderr } = await place.run(['undo', 'configuration.nix', '-y'])
  expect(stderr).toContain(`Undid run RUN-1.\n${line}\n`)
})

test.concurrent('the next step of remove contains the path of the configuration', async () => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  await place.run([...apply('configuration.nix'), '-qy', OFF])
  expect(await next(place, ['remove', 'configuration.nix'])).toEqual(['0', line])
})

test.concurrent('the next step of check --fix and option set contains the path of the configuration', async () => {
  const place = makePlace({
    'configuration.nix': '{ boot.kernelParams = [ "amd_iommu=pt" ]; }\n'
  })
  expect(await next(place, ['check', 'configuration.nix', '--fix'])).toEqual(['0', line])
  const set = ['option', 'set', 'configuration.nix', 'boot.loader.timeout', '3']
  expect(await next(place, set)).toEqual(['0', line])
})

test.concurrent('the next step quotes a path that has spaces and quotes for a shell', async () => {
  const place = makePlace({ "my pc's/configuration.nix": CONFIGURATION })
  expect(await next(place, apply("my pc's/configuration.nix"))).toEqual([
    '0',
    `Next:   sudo nixos-rebuild boot -I 'nixos-config=/etc/nixos/my pc'\\''s/configuration.nix' && reboot`,
    hint
  ])
})

test.concurrent('the next step contains the flake and the system that uses the file', async () => {
  const place = makePlace({ 'flake.nix': FLAKE, 'laptop.nix': CONFIGURATION })
  expect(await next(place, apply('laptop.nix'))).toEqual([
    '0',
    'Next:   sudo nixos-rebuild boot --flake /etc/nixos#laptop && reboot',
    hint
  ])
})

test.concurrent('the next step has a placeholder if the system of the flake is not known', async () => {
  const place = makePlace({ 'flake.nix': FLAKE, 'more/vfio.nix': CONFIGURATION })
  expect(await next(place, apply('more/vfio.nix'))).toEqual([
    '0',
    'Next:   sudo nixos-rebuild boot --flake /etc/nixos#HOST && reboot',
    '        HOST is the system that this file is for: laptop or desktop.',
    hint
  ])
  place.write('flake.nix', '{ outputs = inputs: inputs.flake-parts.lib.mkFlake { }; }')
  expect(await next(place, apply('more/vfio.nix', '--ignore-msrs'))).toEqual([
    '0',
    'Next:   sudo nixos-rebuild boot --flake /etc/nixos#HOST && reboot',
    '        HOST is the name of this machine in /etc/nixos/flake.nix.',
    hint
  ])
})

test.concurrent('the next step has a placeholder if nothing is known to import the module', async () => {
  const place = makePlace({ 'vfio-pc.nix': CONFIGURATION })
  expect(await next(place, apply('vfio-pc.nix'))).toEqual([
    '0',
    'Next:   sudo nixos-rebuild boot -I nixos-config=FILE && reboot',
    '        FILE is the configuration that imports /etc/nixos/vfio-pc.nix.',
    hint
  ])
  // option can edit any file, so it prints no next step if nothing shows that the file is part of a system.
  expect(await next(place, ['option', 'set', 'vfio-pc.nix', 'boot.x', '1'])).toEqual(['0'])
})

test.concurrent('the next step contains the path in $NIXOS_CONFIG if that file imports the edited one', async () => {
  const place = makePlace({
    'pc.nix': '{ imports = [ ./gpu.nix ]; }\n',
    'gpu.nix': CONFIGURATION
  })
  const env = { NIXOS_CONFIG: join(place.nixos, 'pc.nix') }
  expect(await next(place, apply('gpu.nix'), { env })).toEqual([
    '0',
    'Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/pc.nix && reboot',
    hint
  ])
})

/** A place with these files; a system is mounted at its `mnt`. */
function mounted(files: Record<string, string>): Place {
  const place = makePlace()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(place.top, name)), { recursive: true })
    writeFileSync(join(place.top, name), text)
  }
  return place
}
const at = (place: Place, ...more: string[]) => [
  ...['apply', ...more, '--device', '10de:1b80', '--root', join(place.top, 'mnt')]
]

test.concurrent('the next step of a mounted system is nixos-install, with its flake or file', async () => {
  const place = mounted({ 'mnt/etc/nixos/configuration.nix': CONFIGURATION })
  expect(await next(place, at(place))).toEqual(['0', 'Next:   sudo nixos-install --root /mnt'])
  const other = mounted({ 'mnt/home/pc/configuration.nix': CONFIGURATION })
  const file = join(other.top, 'mnt/home/pc/configuration.nix')
  expect(await next(other, at(other, file))).toEqual([
    '0',
    'Next:   sudo env NIXOS_CONFIG=/mnt/home/pc/configuration.nix nixos-install --root /mnt'
  ])
  const flake = mounted({
    'mnt/etc/nixos/flake.nix': '{ outputs = _: { nixosConfigurations.pc = 1; }; }',
    'mnt/etc/nixos/configuration.nix': CONFIGURATION
  })
  expect(await next(flake, at(flake))).toEqual([
    '0',
    'Next:   sudo nixos-install --root /mnt --flake /mnt/etc/nixos#pc'
  ])
})

test.concurrent('the next step of a mounted system that was installed before is nixos-enter', async () => {
  const place = mounted({
    'mnt/etc/nixos/flake.nix': '{ outputs = _: { nixosConfigurations.pc = 1; }; }',
    'mnt/etc/nixos/configuration.nix': CONFIGURATION
  })
  const profiles = join(place.top, 'mnt/nix/var/nix/profiles')
  mkdirSync(profiles, { recursive: true })
  symlinkSync('/nix/store/gone-system', join(profiles, 'system'))
  expect(await next(place, at(place))).toEqual([
    '0',
    `Next:   sudo nixos-enter --root /mnt -c 'nixos-rebuild boot --flake /etc/nixos#pc'`
  ])
})
