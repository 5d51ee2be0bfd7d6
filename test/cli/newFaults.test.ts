// diff and apply report the problems that the change would cause.

import { expect, test } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const OFF = '--parse-check=off'
const HEADLINE = '/etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files'
const CHECKED = 'Checked: parses (built-in parser only; switched off).'

/** The messages of `diff`, without the patch. */
async function messagesOf(files: Record<string, string>, ...flags: string[]): Promise<string> {
  const { stderr } = await makePlace(files).run(['diff', 'configuration.nix', OFF, ...flags])
  return stderr
}

const DESKTOP = text`
  { config, pkgs, ... }:
  {
    imports = [ ./hardware-configuration.nix ];
    boot.kernelParams = [ "amd_iommu=pt" ];
    services.xserver.videoDrivers = [ "nvidia" ];
    system.stateVersion = "26.05";
  }
  `
const HARDWARE = '{ ... }:\n{\n  boot.extraModprobeConfig = "options vfio-pci ids=10de:1b80";\n}\n'

test.concurrent('diff reports that the change blacklists the driver of the desktop and sets IDs twice', async () => {
  const files = { 'configuration.nix': DESKTOP, 'hardware-configuration.nix': HARDWARE }
  const flags = ['--keep-obsolete', '--device', '1002:67df', '--blacklist-nvidia']
  expect(await messagesOf(files, ...flags)).toBe(text`
    ${HEADLINE}
    New problem: configuration.nix:9: IDS_TWICE, IDs for vfio-pci are set in more than one place. Why: the lists are not combined: only the list that the kernel reads last has an effect, and devices in the other lists keep their usual drivers. Do: put all IDs in one place
    New problem: configuration.nix:11: BLACKLISTS_HOST, this blacklists the driver that services.xserver.videoDrivers selects. Why: a blacklisted driver is not loaded for any card, so there is no desktop. Do: remove it; vfio-pci binds the guest's card without a blacklist
    ${CHECKED}
    `)
  // Problems that the files already have are reported only by check.
  expect(await messagesOf(files, '--keep-obsolete', '--ignore-msrs')).toBe(
    `${HEADLINE}\n${CHECKED}\n`
  )
})

const PLAIN = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'

test.concurrent('diff reports too many huge pages and an ID that a device of the host shares', async () => {
  const files = { 'configuration.nix': PLAIN }
  const of = (machine: string) => ['--sysfs', folderOf(machine)]
  expect(
    await messagesOf(files, ...of('x570-two-makers'), '--gpu', '01:00.0', '--hugepages', '1G:64')
  ).toBe(text`
    ${HEADLINE}
    Card: 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080], with 0000:01:00.1 (audio): a guest gets the whole card.
    IOMMU type: amd (detected from the CPU).
    Selected by PCI ID: no other device on this host has it.
    New problem: configuration.nix:18: HUGEPAGES_TOO_MANY, 64.0 GiB of huge pages leave the host too little of its 31.3 GiB. Why: the host cannot use reserved memory, so it runs out of memory or does not boot. Do: leave the host 4 GiB: at most 27 of these pages
    ${CHECKED}
    `)
  const functions = ['1002:73bf', '1002:ab28', '1002:73a6', '1002:73a4']
  const devices = functions.flatMap(it => ['--device', it])
  expect(await messagesOf(files, ...of('shared-audio-id'), ...devices)).toBe(text`
    ${HEADLINE}
    New problem: configuration.nix:9: SHARED_ID, 0000:0c:00.1 (audio) of the host has the same ID, so it is passed through as well. Why: an ID selects all devices that have it, not only the guest's. Do: name the device by its address (0000:03:00.1) in virtualisation.vfio.addresses: vfio-patch apply --gpu 0000:03:00.0
    ${CHECKED}
    `)
})

test.concurrent('diff notes shared memory that only root can open', async () => {
  const shared = ['--shared-memory', 'looking-glass', '--shared-memory', 'scream']
  const files = { 'configuration.nix': PLAIN }
  expect(await messagesOf(files, ...shared)).toBe(text`
    ${HEADLINE}
    Note: looking-glass and scream belong to root, so nobody else can open them. Name the user who views the guest: --user NAME.
    ${CHECKED}
    `)
  const withoutNotes = `${HEADLINE}\n${CHECKED}\n`
  expect(await messagesOf(files, ...shared, '--user', 'alice')).toBe(withoutNotes)
  expect(await messagesOf(files, '--shared-memory', 'scream:alice')).toBe(withoutNotes)
  const group = 'users.users.alice.extraGroups = [ "kvm" ];'
  const inGroup = PLAIN.replace('system.', `${group}\n  system.`)
  expect(await messagesOf({ 'configuration.nix': inGroup }, ...shared)).toBe(withoutNotes)
})

test.concurrent('diff notes a user that the configuration does not define', async () => {
  const given = (users: string) => ({
    'configuration.nix': PLAIN.replace('system.', 'imports = [ ./users.nix ];\n  system.'),
    'users.nix': `{ config, ... }:\n{\n${users}}\n`
  })
  const alice = '  users.users.alice = { isNormalUser = true; };\n'
  const bob = '  users.users = { bob.isNormalUser = true; };\n'
  const call = ['--user', 'alcie', '--user', 'bob']
  expect(await messagesOf(given(alice + bob), ...call)).toBe(text`
    ${HEADLINE}
    Note: the files that could be read define no user alcie, only alice and bob.
    ${CHECKED}
    `)
  const withoutNotes = `${HEADLINE}\n${CHECKED}\n`
  expect(await messagesOf(given(alice + bob), '--user', 'bob')).toBe(withoutNotes)
  // A computed name, or a module of a flake, may define these users.
  const computed = '  users.users."x${config.me}".isNormalUser = true;\n'
  expect(await messagesOf(given(alice + computed), ...call)).toBe(withoutNotes)
  expect(await messagesOf(given(''), ...call)).toBe(withoutNotes)
  const flake = { ...given(alice), 'flake.nix': '{ outputs = inputs: { }; }\n' }
  expect(await messagesOf(flake, ...call)).toBe(withoutNotes)
})

test.concurrent('check refuses a flake and a home-manager module', async () => {
  const place = makePlace({
    'flake.nix': '{ outputs = inputs: { }; }\n',
    'home.nix': '{ ... }:\n{\n  home.stateVersion = "26.05";\n}\n'
  })
  await expectRefusal(place, ['check', 'flake.nix'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/flake.nix is a flake, not a NixOS module. Nothing was written.
        Do:  pass the module that it lists under modules, e.g. vfio-patch check hosts/pc/configuration.nix
      `
  })
  await expectRefusal(place, ['check', 'home.nix', '--fix', '-y'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/home.nix is a module of home-manager, not of NixOS. Nothing was written.
        Why: passing a card through concerns the whole system, not one user.
        Do:  pass the configuration of the machine, e.g. vfio-patch check hosts/pc/configuration.nix
      `
  })
})
