// Chooses the card of each machine, writes it to a configuration, and evaluates that.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { chooseDevices } from '../../src/plan/devices.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { machineCalled } from '../machine/support/machines.ts'
import { carryOut, inputFor } from '../plan/support/input.ts'
import { describeWithOracle, evalNix, nixPath, type Oracle } from './evalModules.ts'

const declarations = fileURLToPath(new URL('nixosOptions.nix', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The boot settings of a machine after its card is chosen for passthrough. */
function booted(oracle: Oracle, machine: string, gpu: string, settings: Settings = {}): unknown {
  const asked = { gpus: [gpu], confirmed: [gpu] }
  const choice = chooseDevices(machineCalled(machine), settings, asked)
  if (!choice.ok) throw new Error(choice.error.map(problem => problem.code).join())
  const system = mkdtempSync(join(folder, `${machine}-`))
  const path = join(system, 'configuration.nix')
  const given = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
  carryOut(inputFor(path, given, choice.value.settings))
  const result = evalNix(`
    (${view}) ((import ${nixPath(oracle.nixpkgsLib)}).evalModules {
      modules = [
        (import ${nixPath(declarations)} { })
        ${nixPath(path)}
        { _module.check = false; _module.args.pkgs = { }; }
      ];
    }).config`)
  if (!result.ok) throw new Error(result.error)
  return result.value
}

const view = `config: {
  inherit (config.boot) kernelParams;
  drivers = builtins.concatMap (line:
    let found = builtins.match "softdep ([a-z0-9_]+) pre: vfio-pci.*" line; in
    if found == null then [ ] else found
  ) (builtins.filter builtins.isString (builtins.split "\\n" config.boot.extraModprobeConfig));
  addresses = map (it: it.address) config.virtualisation.vfio.addresses;
  failures = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
  inherit (config) warnings;
}`

const DEFAULT_DRIVERS = [
  'amdgpu',
  'radeon',
  'nouveau',
  'nova_core',
  'nvidia',
  'nvidiafb',
  'i915',
  'xe',
  'snd_hda_intel',
  'i2c_nvidia_gpu'
]
const NONE = { addresses: [], drivers: DEFAULT_DRIVERS, failures: [], warnings: [] }

describeWithOracle('the configuration of a machine', oracle => {
  it.each([
    ['x570-two-makers', '0000:01:00.0', 'iommu=pt', '10de:1b80,10de:10f0'],
    ['already-bound', '0000:01:00.0', 'iommu=pt', '10de:1b80,10de:10f0'],
    ['laptop-mux', '0000:01:00.0', 'iommu=pt', '10de:24dc,10de:228b'],
    ['three-cards', '0000:0a:00.0', 'iommu=pt', '10de:2504,10de:228e'],
    ['dirty-group', '0000:0a:00.0', 'iommu=pt', '10de:1b80,10de:10f0'],
    ['amd-reset', '0000:01:00.0', 'intel_iommu=on iommu=pt', '1002:67df,1002:aaf0']
  ])('binds the card of %s by ID', (machine, gpu, iommu, ids) => {
    expect(booted(oracle, machine, gpu)).toEqual({
      ...NONE,
      kernelParams: [...iommu.split(' '), `vfio-pci.ids=${ids}`]
    })
  })

  it('loads vfio-pci before the USB driver for a card with USB', () => {
    expect(booted(oracle, 'split-groups', '0000:01:00.0')).toEqual({
      ...NONE,
      kernelParams: [
        'intel_iommu=on',
        'iommu=pt',
        'vfio-pci.ids=10de:1e82,10de:10f8,10de:1ad8,10de:1ad9'
      ],
      drivers: [
        'i2c_nvidia_gpu',
        'nouveau',
        'nova_core',
        'nvidia',
        'nvidiafb',
        'snd_hda_intel',
        'xhci_pci'
      ]
    })
  })

  it('binds nothing at boot if the only card is passed through while a guest runs', () => {
    expect(booted(oracle, 'single-gpu', '0000:0a:00.0', { bindAtBoot: false })).toEqual({
      ...NONE,
      kernelParams: ['iommu=pt'],
      drivers: []
    })
  })

  it('binds cards by address if another device has the same ID', () => {
    expect(booted(oracle, 'two-identical', '0000:0a:00.0')).toEqual({
      ...NONE,
      kernelParams: ['iommu=pt'],
      addresses: ['0000:0a:00.0', '0000:0a:00.1']
    })
    expect(booted(oracle, 'shared-audio-id', '0000:03:00.0')).toEqual({
      ...NONE,
      kernelParams: ['iommu=pt'],
      drivers: ['amdgpu', 'radeon', 'snd_hda_intel', 'xhci_pci'],
      addresses: ['0000:03:00.0', '0000:03:00.1', '0000:03:00.2', '0000:03:00.3']
    })
  })

  it('only turns the IOMMU on if it is off', () => {
    expect(booted(oracle, 'iommu-off', '0000:01:00.0')).toEqual({
      ...NONE,
      kernelParams: ['intel_iommu=on', 'iommu=pt'],
      warnings: [expect.stringContaining('binds no device yet')]
    })
  })
})
