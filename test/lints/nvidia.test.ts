// PRIME with a guest's card, and the console that NVIDIA's driver draws.

import { describe, expect, it } from 'vitest'
import { inShort, lintFiles } from './support.ts'

const found = (text: string, release?: string) =>
  inShort(
    text,
    lintFiles(text, { importsModules: true, ...(release === undefined ? {} : { release }) })
  )

const PRIME = `hardware.nvidia.prime = {
    offload.enable = true; nvidiaBusId = "PCI:1:0:0"; intelBusId = "PCI:0:2:0";
  };`

describe("PRIME with the guest's card", () => {
  it.each([
    ['by address', 'addresses = [ "0000:01:00.0" ];'],
    ['by ID', 'devices = [ "10de:1b80" ];']
  ])('reports PRIME with a card that is bound %s at boot', (_, devices) => {
    const text = `{ ${PRIME} virtualisation.vfio = { enable = true; ${devices} }; }`
    expect(found(text)).toEqual(['PRIME_GUEST: "PCI:1:0:0"'])
  })

  it.each([
    ['by address', 'addresses = [ "0000:01:00.0" ];'],
    ['by ID', 'devices = [ "10de:1b80" ];']
  ])('allows PRIME with a card that is bound %s when a guest starts', (_, devices) => {
    const text = `{ ${PRIME} virtualisation.vfio = { enable = true; bindAtBoot = false; ${devices} }; }`
    expect(found(text)).toEqual([])
  })

  it('reports PRIME with an ID in the kernel parameters, even with bindAtBoot = false', () => {
    const text = `{ ${PRIME}
      virtualisation.vfio = { enable = true; bindAtBoot = false; };
      boot.kernelParams = [ "vfio-pci.ids=10de:1b80" ];
    }`
    expect(found(text)).toEqual(['PRIME_GUEST: "PCI:1:0:0"'])
  })

  it('reports PRIME sync as a note because it keeps the card busy', () => {
    const text = `{
      hardware.nvidia.prime = { sync.enable = true; nvidiaBusId = "PCI:1:0:0"; };
      virtualisation.vfio = { enable = true; bindAtBoot = false; devices = [ "10de:1b80" ]; };
    }`
    expect(found(text)).toEqual(['PRIME_GUEST (note): true'])
  })

  it('checks PRIME in each boot entry', () => {
    const text = (base: string, entry: string) => `{ lib, ... }: {
      ${PRIME}
      virtualisation.vfio = { enable = true; addresses = [ "0000:01:00.0" ]; ${base} };
      specialisation.other.configuration.virtualisation.vfio.bindAtBoot = ${entry};
    }`
    const problem = ['PRIME_GUEST: "PCI:1:0:0"']
    expect(found(text('bindAtBoot = false;', 'lib.mkForce true'))).toEqual(problem)
    expect(found(text('bindAtBoot = lib.mkDefault false;', 'true'))).toEqual(problem)
    expect(found(text('bindAtBoot = false;', 'lib.mkDefault true'))).toEqual([])
    // The default entry binds it.
    expect(found(text('', 'false'))).toEqual(problem)
    expect(found(text('bindAtBoot = true;', 'lib.mkForce false'))).toEqual(problem)
  })

  it('allows PRIME in a boot entry that passes no card through', () => {
    const text = `{ lib, ... }: {
      virtualisation.vfio = { enable = false; addresses = [ "0000:01:00.0" ]; };
      ${PRIME}
      specialisation.guest.configuration = {
        virtualisation.vfio.enable = lib.mkForce true;
        virtualisation.vfio.bindAtBoot = false;
      };
    }`
    expect(found(text)).toEqual([])
    expect(found(text.replace('bindAtBoot = false', 'bindAtBoot = true'))).toEqual([
      'PRIME_GUEST: "PCI:1:0:0"'
    ])
  })

  it('does not report PRIME if bindAtBoot is computed', () => {
    const text = `{ config, ... }: { ${PRIME}
      virtualisation.vfio = { enable = true; bindAtBoot = config.my.bind; devices = [ "10de:1b80" ]; };
    }`
    expect(found(text)).toEqual([])
  })
})

describe("a console drawn by NVIDIA's driver", () => {
  const late = 'virtualisation.vfio = { enable = true; bindAtBoot = false; };'

  it.each([
    ['one path', 'hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1;', '1'],
    ['a quoted name', 'hardware.nvidia.moduleParams."nvidia-drm".fbdev = 1;', '1'],
    ['sets', 'hardware.nvidia = { moduleParams = { nvidia-drm = { fbdev = 1; }; }; };', '1'],
    ['an underscore', 'hardware.nvidia.moduleParams.nvidia_drm.fbdev = 1;', '1'],
    ['a string', 'hardware.nvidia.moduleParams.nvidia-drm.fbdev = "1";', '"1"'],
    ['a boolean', 'hardware.nvidia.moduleParams.nvidia-drm.fbdev = true;', 'true'],
    [
      'a priority',
      'hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 1;',
      'lib.mkForce 1'
    ],
    ['modprobe', 'boot.extraModprobeConfig = "options nvidia-drm modeset=1 fbdev=1";', 'fbdev=1'],
    ['a parameter', 'boot.kernelParams = [ "nvidia_drm.fbdev=1" ];', '"nvidia_drm.fbdev=1"'],
    [
      'a parameter with a letter',
      'boot.kernelParams = [ "nvidia-drm.fbdev=Y" ];',
      '"nvidia-drm.fbdev=Y"'
    ]
  ])('reports fbdev that is turned on: %s', (_, option, at) => {
    expect(found(`{ lib, ... }: { ${late} ${option} }`)).toEqual([`NVIDIA_HOLDS: ${at}`])
  })

  it.each([
    ['off', 'hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;'],
    [
      'off by priority',
      'hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkMerge [ 1 (lib.mkForce 0) ];'
    ],
    [
      'off by the kernel parameter, which overrides modprobe',
      'hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1; boot.kernelParams = [ "nvidia-drm.fbdev=0" ];'
    ],
    ['another parameter', 'hardware.nvidia.moduleParams.nvidia-drm.modeset = 1;'],
    ['another module', 'hardware.nvidia.moduleParams.nvidia.fbdev = 1;']
  ])('does not report fbdev: %s', (_, option) => {
    expect(found(`{ lib, ... }: { ${late} ${option} }`)).toEqual([])
  })

  it('checks fbdev in each boot entry', () => {
    const text = (base: string, entry: string) => `{ lib, ... }: { ${late}
      hardware.nvidia.moduleParams.nvidia-drm.fbdev = ${base};
      specialisation.other.configuration.hardware.nvidia.moduleParams.nvidia-drm.fbdev = ${entry};
    }`
    expect(found(text('0', 'lib.mkForce 1'))).toEqual(['NVIDIA_HOLDS: lib.mkForce 1'])
    expect(found(text('lib.mkForce 0', '1'))).toEqual([])
  })

  it('does not report fbdev for a card that is bound at boot', () => {
    const fbdev = 'hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1;'
    expect(found(`{ virtualisation.vfio.enable = true; ${fbdev} }`)).toEqual([])
  })

  it.each([
    ['25.11', 'set boot.kernelParams = lib.mkAfter [ "nvidia-drm.fbdev=0" ];'],
    ['26.05', 'remove it, and set hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;'],
    [undefined, 'remove it, and set hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;']
  ])('advises how to turn off fbdev from a kernel parameter on NixOS %s: %s', (release, remedy) => {
    const text = `{ ${late} boot.kernelParams = [ "nvidia-drm.fbdev=1" ]; }`
    const facts = release === undefined ? {} : { release }
    expect(lintFiles(text, facts).map(it => it.remedy)).toEqual([remedy])
  })

  it('advises to force fbdev off if the option turns it on', () => {
    const text = `{ ${late} hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1; }`
    expect(lintFiles(text).map(it => it.remedy)).toEqual([
      'set hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;'
    ])
  })
})
