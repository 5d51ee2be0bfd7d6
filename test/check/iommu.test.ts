// Whether the IOMMU is on now and after the next boot: kernel parameters that are lists, and a parameter that only
// the running system has.

import { describe, expect, it } from 'vitest'
import { planFixes } from '../../src/lints/index.ts'
import { filesOf, inShort } from '../lints/support.ts'
import { comparisonOf, machineWith, systems, type Tree } from './support.ts'

const RTX_2080 = 'vfio-pci.ids=10de:1e82,10de:10f8,10de:1ad8,10de:1ad9'

/** A complete configuration that passes through the card of the machine split-groups. */
const whole = (params: readonly string[], more = '') => `{ config, pkgs, lib, ... }:
{
  fileSystems."/" = { device = "/dev/disk/by-label/root"; fsType = "ext4"; };
  system.stateVersion = "26.05";
  boot.initrd.kernelModules = [ "vfio_pci" ];
  boot.kernelParams = [ ${[...params, RTX_2080].map(it => `"${it}"`).join(' ')} ];
  ${more}
}
`
const iommuFaults = (text: string, machine: string, tree: Tree = {}, facts = {}) =>
  comparisonOf(text, machineWith(machine, tree), facts).findings.filter(
    it => it.code === 'IOMMU_OFF'
  )
const messages = (text: string, machine: string, tree: Tree = {}, facts = {}) =>
  iommuFaults(text, machine, tree, facts).map(it => it.message)

const NOTHING_TURNS_ON = ['the IOMMU is off because the configuration does not turn it on']
const LOST = [
  'the IOMMU will be off after the next boot because this configuration does not turn it on'
]

describe('intel_iommu= is a comma-separated list', () => {
  it.each([
    'intel_iommu=on',
    'intel_iommu=on,sm_on',
    'intel_iommu=sm_on,on',
    'intel_iommu=off,on',
    'intel-iommu=on,igfx_off'
  ])('finds the IOMMU turned on by %s', param => {
    expect(messages(whole([param]), 'split-groups')).toEqual([])
    // The configuration has the parameter, but is not built.
    expect(messages(whole([param]), 'iommu-off')).toEqual([])
    const state = comparisonOf(whole([param]), machineWith('iommu-off')).things
    expect(state.find(it => it.kind === 'iommu')?.verdict).toBe('not-built')
  })

  it.each(['intel_iommu=sm_on', 'intel_iommu=igfx_off', 'intel_iommu=strict'])(
    'finds the IOMMU not turned on by %s',
    param => {
      expect(messages(whole([param]), 'iommu-off')).toEqual(NOTHING_TURNS_ON)
      expect(messages(whole([param]), 'split-groups')).toEqual(LOST)
    }
  )

  it.each([
    ['under a condition', 'boot.kernelParams = lib.mkIf true [ "intel_iommu=on" ];'],
    ['with an interpolation', 'boot.kernelParams = [ "intel_iommu=${"on"}" ];'],
    ['in a call', 'boot.kernelParams = lib.splitString " " "quiet intel_iommu=on";'],
    ['in the kernel', 'boot.kernelPatches = [ { extraConfig = "INTEL_IOMMU_DEFAULT_ON y"; } ];']
  ])('reports that the IOMMU may be turned on %s', (_, more) => {
    // The module is part of a whole configuration, and may turn the IOMMU on.
    const text = `{ lib, ... }: { boot.initrd.kernelModules = [ "vfio_pci" ];
      boot.extraModprobeConfig = "options vfio-pci ids=10de:2504"; ${more} }`
    expect(iommuFaults(text, 'iommu-off')).toMatchObject([
      {
        level: 'problem',
        message: 'the IOMMU is off, and might stay off after the next boot',
        remedy:
          'build this configuration and reboot; if the IOMMU is still off, add "intel_iommu=on" to boot.kernelParams, or run vfio-patch apply --iommu intel'
      }
    ])
    expect(iommuFaults(text, 'iommu-off')[0]?.fix).toBe(undefined)
  })

  it('finds intel_iommu=on next to other values in the running system', () => {
    const text = whole(['intel_iommu=on'])
    const tree = { '/proc/cmdline': 'quiet intel_iommu=sm_on,on\n' }
    const [iommu] = comparisonOf(text, machineWith('iommu-off', tree)).things.filter(
      it => it.kind === 'iommu'
    )
    expect(iommu).toMatchObject({ verdict: 'not-active', because: 'the kernel created no groups' })
  })
})

describe('a parameter turns the IOMMU off', () => {
  it.each([
    ['split-groups', 'intel_iommu=off'],
    ['split-groups', 'intel_iommu=on,off'],
    ['split-groups', 'iommu=off'],
    ['split-groups', 'iommu=force,off'],
    ['x570-two-makers', 'amd_iommu=off'],
    ['x570-two-makers', 'amd_iommu=fullflush,off'],
    ['x570-two-makers', 'iommu=off,pt']
  ])('on the machine %s, reports that %s turns the IOMMU off', (machine, param) => {
    const text = whole(machine === 'split-groups' ? ['intel_iommu=on', param] : [param])
    expect(iommuFaults(text, machine)).toMatchObject([
      {
        level: 'problem',
        message: `${param} turns the IOMMU off`,
        why: 'the IOMMU is on now, but will be off after the next boot; without the IOMMU, no device can be passed through.',
        remedy: param.includes(',') ? 'remove the value off from this parameter' : 'remove it'
      }
    ])
    const [file] = filesOf(text)
    const fixes = iommuFaults(text, machine).flatMap(it => (it.fix ? [it.fix] : []))
    const plan = file && planFixes(file.doc, fixes)
    const rest = param.replace(/,?off,?/, '')
    const instead = rest.endsWith('=') || text.includes(` "${rest}"`) ? '' : ` "${rest}"`
    expect(plan?.ok && plan.value.plan.text).toBe(
      text.replace(` "${param}"`, '').replace('10de:1ad9"', `10de:1ad9"${instead}`)
    )
  })

  it('reports the parameter if the IOMMU is already off', () => {
    expect(messages(whole(['intel_iommu=on', 'iommu=off']), 'iommu-off')).toEqual([
      'iommu=off turns the IOMMU off'
    ])
  })

  it('ignores a parameter of another vendor, and a parameter that a later one overrides', () => {
    expect(messages(whole(['intel_iommu=off']), 'x570-two-makers')).toEqual([])
    expect(messages(whole(['intel_iommu=on', 'amd_iommu=off']), 'split-groups')).toEqual([])
    expect(messages(whole(['intel_iommu=off', 'intel_iommu=on']), 'split-groups')).toEqual([])
    expect(messages(whole(['iommu=pt,force']), 'x570-two-makers')).toEqual([])
  })

  it('ignores a parameter under a condition', () => {
    const more = 'boot.kernelParams = lib.mkIf config.my.debug [ "iommu=off" ];'
    const text = `{ config, lib, ... }: { boot.initrd.kernelModules = [ "vfio_pci" ]; ${more} }`
    expect(messages(text, 'x570-two-makers')).toEqual([])
  })
})

describe('only the running system has intel_iommu=on', () => {
  it('reports and fixes a missing intel_iommu=on', () => {
    const text = whole([])
    const [finding] = iommuFaults(text, 'split-groups')
    expect(finding).toMatchObject({
      level: 'problem',
      message: LOST[0],
      why: "the running system was booted with intel_iommu=on. NixOS kernels leave Intel's IOMMU off without this parameter, and then no device can be passed through.",
      remedy: 'add "intel_iommu=on" to boot.kernelParams'
    })
    const [file] = filesOf(text)
    const plan = file && planFixes(file.doc, finding?.fix ? [finding.fix] : [])
    expect(plan?.ok && plan.value.plan.text).toBe(
      text.replace('10de:1ad9" ]', '10de:1ad9" "intel_iommu=on" ]')
    )
    expect(messages(plan?.ok ? plan.value.plan.text : '', 'split-groups')).toEqual([])
  })

  it('follows IOMMUType with the shipped modules', () => {
    const text = (type: string) => `{
      fileSystems."/".device = "/dev/sda1"; system.stateVersion = "26.05";
      virtualisation.vfio = { enable = true; devices = [ "10de:1e82" ]; ${type} };
    }`
    expect(messages(text(''), 'split-groups')).toEqual([])
    expect(messages(text('IOMMUType = "intel";'), 'split-groups')).toEqual([])
    const amd = text('IOMMUType = "amd";')
    expect(inShort(amd, iommuFaults(amd, 'split-groups'))).toEqual(['IOMMU_OFF: "amd"'])
    expect(iommuFaults(amd, 'split-groups')).toMatchObject([
      { message: LOST[0], remedy: 'write virtualisation.vfio.IOMMUType = "intel";' }
    ])
  })

  it('checks intel_iommu=on in each boot entry', () => {
    const entry = (value: string) =>
      `specialisation.guest.configuration.virtualisation.vfio = { enable = true; IOMMUType = ${value}; devices = [ "10de:1e82" ]; };`
    const text = (value: string) =>
      `{ lib, ... }: { fileSystems."/".device = "/dev/sda1"; system.stateVersion = "26.05"; ${entry(value)} }`
    expect(messages(text('null'), 'split-groups')).toEqual([])
    expect(messages(text('"amd"'), 'split-groups')).toEqual(LOST)
    // A parameter of another entry does not apply to this one.
    const other = 'specialisation.other.configuration.boot.kernelParams = [ "intel_iommu=on" ];'
    expect(messages(whole([], other), 'split-groups')).toEqual(LOST)
  })

  it.each([
    ['a condition', 'boot = lib.mkIf config.my.intel { kernelParams = [ "intel_iommu=on" ]; };'],
    ['a variable', 'x = map (it: "${it}_iommu=on") [ "intel" ];'],
    ['a kernel from outside of nixpkgs', 'boot.kernelPackages = pkgs.linuxPackages_cachyos;'],
    ['a kernel with its own build', 'boot.kernelPackages = pkgs.linuxPackagesFor pkgs.mine;'],
    [
      'the configuration of the kernel',
      'boot.kernelPatches = [ { name = "iommu"; patch = null; structuredExtraConfig.INTEL_IOMMU_DEFAULT_ON = lib.kernel.yes; } ];'
    ]
  ])('reports nothing if the parameter may come from %s', (_, more) => {
    expect(messages(whole([], more), 'split-groups')).toEqual([])
  })

  it.each(['pkgs.linuxPackages_latest', 'pkgs.linuxPackages_zen', 'pkgs.linuxPackages_6_12'])(
    'reports the missing parameter with a kernel of nixpkgs: %s',
    kernel => {
      expect(messages(whole([], `boot.kernelPackages = ${kernel};`), 'split-groups')).toEqual(LOST)
    }
  )

  it('reports the missing parameter if its line is a comment', () => {
    expect(
      messages(whole([], '# boot.kernelParams = [ "intel_iommu=on" ];'), 'split-groups')
    ).toEqual(LOST)
  })

  it('reports nothing if the machine was booted without the parameter and its IOMMU is on', () => {
    expect(messages(whole([]), 'split-groups', { '/proc/cmdline': 'quiet\n' })).toEqual([])
  })

  it('reports nothing on AMD processors, which need no parameter', () => {
    const tree = { '/proc/cmdline': 'quiet intel_iommu=on\n' }
    expect(messages(whole([]), 'x570-two-makers', tree)).toEqual([])
  })

  it('reports nothing if the configuration is not complete', () => {
    const text = `{ boot.kernelParams = [ "${RTX_2080}" ]; boot.initrd.kernelModules = [ "vfio_pci" ]; }`
    expect(messages(text, 'split-groups')).toEqual([])
  })

  it('reports a note if modules that were not read may add the parameter', () => {
    const findings = iommuFaults(whole([]), 'split-groups', {}, { mayHaveUnreadModules: true })
    expect(findings).toMatchObject([
      {
        level: 'note',
        message:
          'the IOMMU will be off after the next boot, unless a module that was not read turns it on'
      }
    ])
    expect(findings[0]?.fix).toBeUndefined()
  })

  it('reports the missing parameter even if the latest build still has it', () => {
    const booted = 'quiet intel_iommu=on iommu=pt'
    expect(messages(whole([]), 'split-groups', systems(booted, booted))).toEqual(LOST)
  })
})
