// Options and commands that stop the build, as NixOS has them no more or systemd does not run them.

import { describe, expect, it } from 'vitest'
import { inShort, lintFiles } from './support.ts'

const found = (text: string, release?: string) =>
  inShort(text, lintFiles(text, release === undefined ? {} : { release }))

describe('commands of the scripted initrd', () => {
  const COMMANDS = [
    'preFailCommands',
    'preDeviceCommands',
    'preLVMCommands',
    'postDeviceCommands',
    'postResumeCommands',
    'postMountCommands',
    'extraUdevRulesCommands',
    'extraUtilsCommands',
    'extraUtilsCommandsTest',
    'network.postCommands'
  ]
  const text = (name: string, more = '') =>
    `{ boot.initrd.${name} = "echo vfio-pci > /sys/driver_override"; ${more} }`
  const finding = ['PRE_DEVICE_COMMANDS: "echo vfio-pci > /sys/driver_override"']

  it.each(COMMANDS)('stop the build since 26.05: %s', name => {
    expect(found(text(name), '26.05')).toEqual(finding)
    expect(found(text(name))).toEqual(finding)
    expect(found(text(name), '25.11')).toEqual([])
  })

  it.each(COMMANDS)('and before, with systemd in the initrd: %s', name => {
    const more = 'boot.initrd.systemd.enable = true;'
    expect(found(text(name, more), '25.05')).toEqual(finding)
    expect(found(text(name, more.replace('true', 'false')), '26.05')).toEqual([])
  })

  it.each([
    'boot.initrd.preDeviceCommands = lib.mkIf (!config.boot.initrd.systemd.enable) "vfio";',
    'boot.initrd = lib.mkIf (!config.boot.initrd.systemd.enable) { preDeviceCommands = "vfio"; };',
    'boot.initrd.preDeviceCommands = lib.optionalString (!config.boot.initrd.systemd.enable) "vfio";'
  ])('only count in the other initrd where they say so: %s', definition => {
    expect(found(`{ config, lib, ... }: { ${definition} }`, '26.05')).toEqual([])
  })

  it('that have nothing to do with guests are no matter of ours', () => {
    expect(found('{ boot.initrd.postDeviceCommands = "zpool import"; }', '26.05')).toEqual([])
  })
})

describe('options that NixOS has no more', () => {
  it('enableKVM of libvirtd, in any release', () => {
    const text = '{ virtualisation.libvirtd.enableKVM = true; }'
    for (const release of ['24.05', '26.05', undefined]) {
      expect(found(text, release)).toEqual(['REMOVED_OPTION: true'])
    }
  })

  it('boot.vesa, in the newest only', () => {
    const text = '{ boot.vesa = false; }'
    expect(found(text)).toEqual(['REMOVED_OPTION: false'])
    expect(found(text, '26.05')).toEqual([])
  })
})
