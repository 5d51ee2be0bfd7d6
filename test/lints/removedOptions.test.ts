// Options that NixOS removed, and options of the scripted initrd: both make the build fail.

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

  it.each(COMMANDS)('reports boot.initrd.%s since 26.05', name => {
    expect(found(text(name), '26.05')).toEqual(finding)
    expect(found(text(name))).toEqual(finding)
    expect(found(text(name), '25.11')).toEqual([])
  })

  it.each(COMMANDS)('reports boot.initrd.%s before 26.05 if the initrd uses systemd', name => {
    const more = 'boot.initrd.systemd.enable = true;'
    expect(found(text(name, more), '25.05')).toEqual(finding)
    expect(found(text(name, more.replace('true', 'false')), '26.05')).toEqual([])
  })

  it.each([
    'boot.initrd.preDeviceCommands = lib.mkIf (!config.boot.initrd.systemd.enable) "vfio";',
    'boot.initrd = lib.mkIf (!config.boot.initrd.systemd.enable) { preDeviceCommands = "vfio"; };',
    'boot.initrd.preDeviceCommands = lib.optionalString (!config.boot.initrd.systemd.enable) "vfio";'
  ])('does not report commands for the scripted initrd only: %s', definition => {
    expect(found(`{ config, lib, ... }: { ${definition} }`, '26.05')).toEqual([])
  })

  it('does not report commands that do not mention vfio', () => {
    expect(found('{ boot.initrd.postDeviceCommands = "zpool import"; }', '26.05')).toEqual([])
  })
})

describe('removed options', () => {
  it('reports libvirtd.enableKVM in all releases', () => {
    const text = '{ virtualisation.libvirtd.enableKVM = true; }'
    for (const release of ['24.05', '26.05', undefined]) {
      expect(found(text, release)).toEqual(['REMOVED_OPTION: true'])
    }
  })

  it('reports boot.vesa only in the newest release', () => {
    const text = '{ boot.vesa = false; }'
    expect(found(text)).toEqual(['REMOVED_OPTION: false'])
    expect(found(text, '26.05')).toEqual([])
  })
})
