// Real Nix evaluates the configuration and the guest that `apply --domain` writes.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { modernize } from '../../src/guests/modernize/modernize.ts'
import { canonicalOf } from '../../src/guests/xml/tree.ts'
import { makeExample, makePlace, type Place } from '../cli/support/place.ts'
import { GUESTS, guestXml } from '../guests/support/guests.ts'
import { documentOf } from '../guests/support/text.ts'
import { folderOf } from '../machine/support/machines.ts'
import { describeWithOracle, evalNix, nixPath, type Oracle } from './evalModules.ts'

const declarations = fileURLToPath(new URL('nixosOptions.nix', import.meta.url))
const MACHINE = ['--sysfs', folderOf('x570-two-makers')]

/** The value of `view` for the configuration in a place, including its imports. */
function evaluatedView(oracle: Oracle, place: Place, view: string): unknown {
  const nixpkgs = join(place.top, 'nixpkgs')
  mkdirSync(join(nixpkgs, 'installer/scan'), { recursive: true })
  writeFileSync(join(nixpkgs, 'installer/scan/not-detected.nix'), '{ }\n')
  const result = evalNix(`
    (${view}) ((import ${nixPath(oracle.nixpkgsLib)}).evalModules {
      specialArgs = { modulesPath = ${nixPath(nixpkgs)}; };
      modules = [
        (import ${nixPath(declarations)} { })
        ${nixPath(join(place.nixos, 'configuration.nix'))}
        { _module.check = false; }
      ];
    }).config`)
  if (!result.ok) throw new Error(result.error)
  return result.value
}

/** A Nix function that returns the XML for libvirt, and the failed assertions. */
function definitionOf(guest: string): string {
  return `config: {
    xml = config.virtualisation.vfio.guests.\${${JSON.stringify(guest)}}.definition.file.text;
    failures = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
  }`
}

/** Canonical forms of the rendered XML and of the source after `modernize`. */
function formsOf(xml: string, source: string): { rendered: string; modernized: string } {
  const { root } = documentOf(xml)
  const { root: modernized } = modernize(documentOf(source).root, {
    // Use the identities that Nix renders as the new ones.
    uuid: () => /<uuid>(.*)<\/uuid>/.exec(xml)?.[1] ?? '',
    mac: (
      macs => () =>
        macs.shift()?.[1] ?? ''
    )([...xml.matchAll(/<mac address='(.*?)'/g)])
  })
  return { rendered: canonicalOf(root), modernized: canonicalOf(modernized) }
}

const view = `config: {
  inherit (config.boot) kernelParams;
  tmpfiles = config.systemd.tmpfiles.rules;
  members = config.users.groups.kvm.members or [ ];
  hostCPUs = config.virtualisation.vfio.guests.win10.hostCPUs;
  service = config.systemd.services ? vfio-guests;
  failures = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
  inherit (config) warnings;
}`

describeWithOracle('apply --domain', oracle => {
  it('adds the guest to the example configuration', async () => {
    const place = makeExample()
    const source = guestXml('seed-win10')
    place.write('win10.xml', source)
    const words = ['apply', 'configuration.nix', '--domain', 'win10.xml', '--user', 'alice']
    const outcome = await place.run([...words, '--ignore-msrs', ...MACHINE, '--yes'])
    expect(outcome.code).toBe(0)
    expect(evaluatedView(oracle, place, view)).toEqual({
      kernelParams: [
        'iommu=pt',
        'vfio-pci.ids=10de:1b80,10de:10f0',
        'kvm.ignore_msrs=1',
        'kvm.report_ignored_msrs=0',
        'quiet',
        'loglevel=3'
      ],
      tmpfiles: ['f /dev/shm/looking-glass 0660 alice kvm -', 'f /dev/shm/scream 0660 alice kvm -'],
      members: ['root', 'alice'],
      hostCPUs: '0-1,8-9',
      service: true,
      failures: [],
      warnings: []
    })
    const { xml } = evaluatedView(oracle, place, definitionOf('win10')) as { xml: string }
    const forms = formsOf(xml, source)
    expect(forms.rendered).toBe(forms.modernized)
  })

  it.each(GUESTS)('renders %s with only the reported changes', async guest => {
    // The password is removed first, as the error requests.
    const source = guestXml(guest).replace(" passwd='hunter2'", '')
    const place = makePlace({
      'configuration.nix': '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n',
      'guest.xml': source
    })
    const call = ['apply', 'configuration.nix', '--domain', 'guest.xml', ...MACHINE, '--yes']
    expect((await place.run(call)).code).toBe(0)
    const name = /<name>(.*)<\/name>/.exec(source)?.[1] ?? ''
    const { xml, failures } = evaluatedView(oracle, place, definitionOf(name)) as {
      xml: string
      failures: string[]
    }
    expect(failures).toEqual([])
    const forms = formsOf(xml, source)
    expect(forms.rendered).toBe(forms.modernized)
  })

  it('sets up kvmfr, huge pages, a TPM and devices of QEMU arguments for a guest', async () => {
    const source = `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
      <name>win11</name>
      <memory unit='GiB'>8</memory>
      <memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>
      <vcpu>8</vcpu>
      <os><type arch='x86_64' machine='q35'>hvm</type></os>
      <devices><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices>
      <qemu:commandline>
        <qemu:arg value='-object'/>
        <qemu:arg value='memory-backend-file,id=lg,mem-path=/dev/kvmfr0,size=64M,share=on'/>
        <qemu:arg value='-object'/>
        <qemu:arg value='rng-random,id=rng0,filename=/dev/hwrng'/>
      </qemu:commandline>
    </domain>`
    const place = makePlace({
      'configuration.nix': '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n',
      'win11.xml': source
    })
    const call = ['apply', 'configuration.nix', '--domain', 'win11.xml', ...MACHINE, '--yes']
    expect((await place.run(call)).code).toBe(0)
    const shown = `config: {
      inherit (config.boot) kernelParams extraModprobeConfig;
      inherit (config.virtualisation.libvirtd) deviceACL;
      swtpm = config.virtualisation.libvirtd.qemu.swtpm.enable;
      failures = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
    }`
    expect(evaluatedView(oracle, place, shown)).toEqual({
      kernelParams: [
        'intel_iommu=on',
        'iommu=pt',
        'default_hugepagesz=1G',
        'hugepagesz=1G',
        'hugepages=8'
      ],
      extraModprobeConfig: expect.stringContaining('options kvmfr static_size_mb=64\n'),
      deviceACL: ['/dev/kvmfr0', '/dev/hwrng'],
      swtpm: true,
      failures: []
    })
  })

  it('keeps the guest out of the default boot entry with --specialisation', async () => {
    const place = makeExample()
    place.write('win10.xml', guestXml('seed-win10'))
    const words = [
      'apply',
      'configuration.nix',
      '--domain',
      'win10.xml',
      '--specialisation',
      'vfio'
    ]
    expect((await place.run([...words, ...MACHINE, '--yes'])).code).toBe(0)
    expect(
      evaluatedView(
        oracle,
        place,
        `config: {
          on = config.virtualisation.vfio.enable;
          services = config.systemd.services ? vfio-guests;
          inherit (config.boot) kernelParams;
        }`
      )
    ).toEqual({ on: false, services: false, kernelParams: ['quiet', 'loglevel=3'] })
  })
})
