import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { planFixes, TEXT_CODES } from '../../src/lints/index.ts'
import { CASES } from './cases.ts'
import { filesOf, inShort, lintFiles } from './support.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))

describe.each(CASES)('$code', ({ code, bad, found, fixed, good, facts }) => {
  it(`reports ${code} at its place`, () => {
    expect(inShort(bad, lintFiles(bad, facts))).toEqual(found)
  })

  it(`does not report ${code} in a correct configuration`, () => {
    expect(inShort(good, lintFiles(good, facts))).toEqual([])
  })

  it(fixed === undefined ? `offers no fix for ${code}` : `fixes ${code}`, () => {
    const fixes = lintFiles(bad, facts).flatMap(it => (it.fix ? [it.fix] : []))
    if (fixed === undefined) return expect(fixes).toEqual([])
    const [file] = filesOf(bad)
    if (!file) throw new Error('no file')
    const planned = planFixes(file.doc, fixes)
    if (!planned.ok) throw new Error(planned.error.message)
    expect(planned.value.plan.text).toBe(fixed)
    expect(planned.value.refused).toEqual([])
    expect(inShort(fixed, lintFiles(fixed, facts))).toEqual([])
  })
})

it('has a case for every code of a lint', () => {
  expect(new Set(CASES.map(it => it.code))).toEqual(new Set(TEXT_CODES))
})

describe('no false positives', () => {
  const read = (folder: string) =>
    Object.fromEntries(
      readdirSync(join(project, folder))
        .filter(name => name.endsWith('.nix'))
        .map(name => [name, readFileSync(join(project, folder, name), 'utf8')])
    )

  it('reports nothing in the shipped modules', () => {
    const files = read('nixos')
    expect(Object.keys(files)).toContain('binding.nix')
    expect(inShort(files, lintFiles(files, { importsModules: true }))).toEqual([])
  })

  it('reports nothing in the example configuration', () => {
    const files = read('examples/asrock-x570-pro4')
    expect(inShort(files, lintFiles(files))).toEqual([])
  })
})

describe('conditions, releases and specialisations', () => {
  it('checks a specialisation along with the system', () => {
    const text = `{
      services.xserver.videoDrivers = [ "nvidia" ];
      specialisation.vfio.configuration = {
        boot.blacklistedKernelModules = [ "nvidia" ];
        boot.kernelParams = [ "amd_iommu=pt" ];
      };
    }`
    expect(inShort(text, lintFiles(text))).toEqual([
      'BLACKLISTS_HOST: "nvidia"',
      'AMD_IOMMU_PT: "amd_iommu=pt"'
    ])
  })

  it('reports a finding of the system and its specialisation once', () => {
    const text = `{
      boot.kernelParams = [ "pci=nomsi" ];
      specialisation.vfio.configuration.boot.kernelParams = [ "quiet" ];
    }`
    expect(inShort(text, lintFiles(text))).toEqual(['PCI_NOMSI: "pci=nomsi"'])
  })

  it('does not report removed options in releases that have them', () => {
    const text = `{
      virtualisation.libvirtd.qemu.ovmf.enable = true;
      boot.initrd.preDeviceCommands = "modprobe -i vfio-pci";
      boot.initrd.kernelModules = [ "vfio_virqfd" ];
    }`
    expect(inShort(text, lintFiles(text, { release: '23.11' }))).toEqual([])
    expect(inShort(text, lintFiles(text, { release: '25.11' }))).toEqual([
      'OVMF_OPTION: true',
      'VIRQFD: "vfio_virqfd"'
    ])
  })

  it('does not report kernel modules that are loaded only with old kernels', () => {
    const text = `{ lib, pkgs, ... }: {
      boot.initrd.kernelModules =
        [ "vfio_pci" ] ++ lib.optionals (lib.versionOlder pkgs.linux.version "6.2") [ "vfio_virqfd" ];
    }`
    expect(inShort(text, lintFiles(text))).toEqual([])
  })

  it('reports a missing ACS patch only in a complete configuration', () => {
    const text = '{ boot.kernelParams = [ "pcie_acs_override=downstream" ]; }'
    const whole = {
      'configuration.nix': text,
      'hardware.nix': '{ fileSystems."/".device = "/dev/sda1"; system.stateVersion = "26.05"; }'
    }
    expect(inShort(text, lintFiles(text))).toEqual([])
    expect(inShort(whole, lintFiles(whole))).toEqual([
      'ACS_WITHOUT_PATCH: "pcie_acs_override=downstream"'
    ])
  })

  it('reports the default onShutdown as a note in a complete configuration', () => {
    const text = `{
      boot.kernelParams = [ "vfio-pci.ids=10de:1b80" ];
      virtualisation.libvirtd.enable = true;
      fileSystems."/".device = "/dev/sda1";
      system.stateVersion = "26.05";
    }`
    expect(inShort(text, lintFiles(text))).toEqual(['SHUTDOWN_SUSPENDS (note): true'])
  })

  it('reports findings in modules that are values in a file, without a fix', () => {
    const text = `{
      flake.modules.nixos.card = { config, ... }: {
        boot.kernelModules = [ "vfio_virqfd" ];
      };
    }`
    const findings = lintFiles(text)
    expect(inShort(text, findings)).toEqual(['VIRQFD: "vfio_virqfd"'])
    expect(findings.map(it => it.fix)).toEqual([undefined])
  })

  it('allows the same IDs in two places', () => {
    const text = `{
      boot.kernelParams = [ "vfio-pci.ids=10de:2507,10de:228e" ];
      boot.extraModprobeConfig = "options vfio-pci ids=10de:2507,10de:228E";
    }`
    expect(inShort(text, lintFiles(text))).toEqual([])
  })

  it('allows the IDs of one variable in two places', () => {
    const text = `let ids = [ "10de:28e0" ]; in { lib, ... }: {
      boot.kernelParams = [ ("vfio-pci.ids=" + lib.concatStringsSep "," ids) ];
      boot.extraModprobeConfig = "options vfio-pci ids=\${builtins.concatStringsSep "," ids}";
    }`
    expect(inShort(text, lintFiles(text))).toEqual([])
  })

  it('reports a store path in qemu.conf', () => {
    const text = `{ virtualisation.libvirtd.qemu.verbatimConfig = ''
      namespaces = []
      nvram = [ "/nix/store/abc-OVMF-fd/FV/OVMF.fd:/nix/store/abc-OVMF-fd/FV/OVMF_VARS.fd" ]
    ''; }`
    expect(inShort(text, lintFiles(text))).toEqual([
      'STORE_PATH: /nix/store/abc-OVMF-fd/FV/OVMF.fd'
    ])
  })

  it('finds lines in a string with escaped line breaks', () => {
    const text = `{
      boot.initrd.kernelModules = [ "amdgpu" "radeon" ];
      boot.kernelParams = [ "vfio-pci.ids=1002:73bf" ];
      boot.extraModprobeConfig = "softdep amdgpu pre: vfio-pci\\nsoftdep radeon pre: vfio-pci";
      virtualisation.libvirtd.qemu.verbatimConfig = "user = \\"alice\\"\\n\\tnamespaces = []";
    }`
    expect(inShort(text, lintFiles(text))).toEqual([])
  })

  it('reads an attribute set of modules like a list', () => {
    const text = '{ boot.initrd.kernelModules.vfio_virqfd = true; }'
    expect(inShort(text, lintFiles(text))).toEqual(['VIRQFD: true'])
  })

  it('finds nothing in a file that is not a module', () => {
    expect(lintFiles('[ 1 2 ]')).toEqual([])
    expect(lintFiles('{ boot.kernelParams = [ "pci=nomsi" ')).toEqual([])
  })
})

describe('fixes', () => {
  const planOf = (text: string) => {
    const [file] = filesOf(text)
    if (!file) throw new Error('no file')
    const fixes = lintFiles(text).flatMap(it => (it.fix ? [it.fix] : []))
    const planned = planFixes(file.doc, fixes)
    return planned.ok
      ? { text: planned.value.plan.text, refused: planned.value.refused.map(it => it.error.code) }
      : planned.error.code
  }

  it('plans all fixes together, and adds all lines for one string at once', () => {
    const text = `{
  boot.initrd.kernelModules = [ "vfio_pci" "amdgpu" "radeon" "vfio_virqfd" ];
  boot.kernelParams = [ "vfio-pci.ids=1002:73bf" "amd_iommu=pt" "pci=nomsi" ];
}
`
    expect(planOf(text)).toEqual({
      text: `{
  boot.initrd.kernelModules = [ "vfio_pci" "amdgpu" "radeon" ];
  boot.kernelParams = [ "vfio-pci.ids=1002:73bf" "iommu=pt" ];
  boot.extraModprobeConfig = "softdep amdgpu pre: vfio-pci\\nsoftdep radeon pre: vfio-pci";
}
`,
      refused: []
    })
  })

  it('renames an option first, and fixes its value in the next plan', () => {
    const text = '{ virtualisation.libvirtd.qemuVerbatimConfig = "user = \\"alice\\""; }\n'
    const renamed = '{ virtualisation.libvirtd.qemu.verbatimConfig = "user = \\"alice\\""; }\n'
    expect(planOf(text)).toEqual({ text: renamed, refused: [] })
    expect(planOf(renamed)).toEqual({
      text: renamed.replace('alice\\"', 'alice\\"\\nnamespaces = []'),
      refused: []
    })
  })

  it('makes the other fixes if one is refused', () => {
    const text = `{
  virtualisation.libvirtd.qemu.runAsRoot = false;
  virtualisation.libvirtd.qemuRunAsRoot = true;
  boot.kernelParams = [ "pci=nomsi" ];
}
`
    expect(planOf(text)).toEqual({
      text: text.replace('"pci=nomsi" ', ''),
      refused: ['CONFLICT']
    })
  })
})
