import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import type { Settings } from '../../src/settings/settings.ts'
import { carryOut, inputFor } from '../plan/support/input.ts'
import { describeWithOracle, evalNix, nixPath, type Oracle } from './evalModules.ts'

const example = fileURLToPath(new URL('../../examples/asrock-x570-pro4', import.meta.url))
const declarations = fileURLToPath(new URL('nixosOptions.nix', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The example configuration, evaluated with the settings applied to it. */
function evaluated(oracle: Oracle, settings: Settings, view: string): unknown {
  const system = mkdtempSync(join(folder, 'system-'))
  cpSync(example, system, { recursive: true })
  const path = join(system, 'configuration.nix')
  carryOut(inputFor(path, readFileSync(path, 'utf8'), settings))
  // The example imports one file of nixpkgs, and sets options that are not declared here.
  const nixpkgs = join(folder, 'nixpkgs')
  mkdirSync(join(nixpkgs, 'installer/scan'), { recursive: true })
  writeFileSync(join(nixpkgs, 'installer/scan/not-detected.nix'), '{ }\n')
  const result = evalNix(`
    (${view}) ((import ${nixPath(oracle.nixpkgsLib)}).evalModules {
      specialArgs = { modulesPath = ${nixPath(nixpkgs)}; };
      modules = [ (import ${nixPath(declarations)} { }) ${nixPath(path)} { _module.check = false; _module.args.pkgs = { }; } ];
    }).config`)
  if (!result.ok) throw new Error(result.error)
  return result.value
}

const view = `config: {
  inherit (config.boot) kernelParams blacklistedKernelModules;
  initrd = config.boot.initrd.kernelModules;
  tmpfiles = config.systemd.tmpfiles.rules;
  members = config.users.groups.libvirtd.members or [ ];
  libvirtd = config.virtualisation.libvirtd.enable;
  failures = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
  inherit (config) warnings;
}`

describeWithOracle('the example configuration', oracle => {
  it('evaluates to the expected settings for the GTX 1080', () => {
    const settings: Settings = {
      IOMMUType: 'amd',
      devices: ['10de:1b80', '10de:10f0'],
      blacklistNvidia: true,
      ignoreMSRs: true,
      users: ['alice'],
      sharedMemoryFiles: [{ name: 'looking-glass' }, { name: 'scream' }]
    }
    expect(evaluated(oracle, settings, view)).toEqual({
      kernelParams: [
        'iommu=pt',
        'vfio-pci.ids=10de:1b80,10de:10f0',
        'kvm.ignore_msrs=1',
        'kvm.report_ignored_msrs=0',
        'quiet',
        'loglevel=3'
      ],
      blacklistedKernelModules: [
        'nvidia',
        'nvidia_drm',
        'nvidia_modeset',
        'nvidia_uvm',
        'nvidiafb',
        'nouveau',
        'nova_core',
        'nova_drm'
      ],
      initrd: ['vfio', 'vfio_iommu_type1', 'vfio_pci'],
      tmpfiles: ['f /dev/shm/looking-glass 0660 alice kvm -', 'f /dev/shm/scream 0660 alice kvm -'],
      members: ['alice'],
      libvirtd: true,
      failures: [],
      warnings: []
    })
  })

  it('sets the parameters for the framebuffer and huge pages if requested', () => {
    const settings: Settings = {
      IOMMUType: 'intel',
      addresses: ['0000:01:00.0'],
      disableEFIfb: true,
      hugepages: { pageSize: '1G', numPages: 16 }
    }
    expect(evaluated(oracle, settings, 'config: config.boot.kernelParams')).toEqual(
      expect.arrayContaining([
        'intel_iommu=on',
        'iommu=pt',
        'initcall_blacklist=sysfb_init',
        'default_hugepagesz=1G',
        'hugepagesz=1G',
        'hugepages=16'
      ])
    )
  })
})
