// Reads from the text of a configuration which disks it uses.

import { expect, test } from 'vitest'
import { sourceFile } from '../../src/configuration/files.ts'
import { configuredDevices } from '../../src/plan/disks/configuredDevices.ts'

/** Each device as `kind name device:line entry`. */
function devicesIn(text: string): string[] {
  return configuredDevices([sourceFile('/a.nix', text)]).map(it =>
    [it.kind, it.name, `${it.device}:${it.at.line}`, it.entry].filter(Boolean).join(' ')
  )
}

const inModule = (body: string) => devicesIn(`{ lib, ... }:\n{\n${body}\n}\n`)

test.each([
  ['fileSystems."/".device = "/dev/sda1";', ['mount / /dev/sda1:3']],
  [
    'fileSystems."/" = { device = "/dev/disk/by-label/root"; fsType = "ext4"; };',
    ['mount / /dev/disk/by-label/root:3']
  ],
  [
    'fileSystems."/data" = { label = "My Data"; options = [ "noauto" "nofail" ]; };',
    ['mount /data /dev/disk/by-label/My\\x20Data:3']
  ],
  [
    'fileSystems."/" = lib.mkForce { device = lib.mkDefault "UUID=12-34"; };',
    ['mount / /dev/disk/by-uuid/12-34:3']
  ],
  ['fileSystems = lib.mkIf true { "/a" = { device = "/dev/sdb"; }; };', ['mount /a /dev/sdb:3']],
  [
    'fileSystems."/a" = { device = "/dev/sda:/dev/sdb"; fsType = "bcachefs"; };',
    ['mount /a /dev/sda:3', 'mount /a /dev/sdb:3']
  ],
  [
    'fileSystems."/a" = { device = "/dev/disk/by-path/pci-0000:00:1f.2-ata-1"; };',
    ['mount /a /dev/disk/by-path/pci-0000:00:1f.2-ata-1:3']
  ],
  [
    'fileSystems."/a" = { device = "/dev/sda"; fsType = "btrfs"; options = [ "device=/dev/sdb" "noauto" ]; };',
    ['mount /a /dev/sda:3', 'mount /a /dev/sdb:3']
  ],
  ['fileSystems."/a" = { device = "/dev/sda"; enable = false; };', []],
  [
    'fileSystems."/a" = { encrypted = { enable = true; label = "x"; blkDev = "/dev/sda2"; keyFile = "/key"; }; };',
    ['mount /a /dev/sda2:3']
  ],
  ['fileSystems."/tmp" = { device = "tmpfs"; fsType = "tmpfs"; };', []],
  ['fileSystems."/nfs" = { device = "nas:/x"; fsType = "nfs"; };', []],
  ['fileSystems."/bind" = { device = "/data/x"; options = [ "bind" ]; };', []],
  ['fileSystems."/" = { device = "rpool/root"; fsType = "zfs"; };', ['pool rpool rpool:3']],
  ['boot.zfs.extraPools = [ "tank" ];', ['pool tank tank:3']],
  [
    'swapDevices = [ { device = "/dev/sda2"; } { label = "swap"; } ];',
    ['swap /dev/sda2:3', 'swap /dev/disk/by-label/swap:3']
  ],
  ['swapDevices = [ { device = "/var//swap"; size = 1024; } ];', ['swap /var/swap:3']],
  [
    'fileSystems."/a" = { device = "/var/a.img"; fsType = "ext4"; options = [ "loop" ]; };',
    ['mount /a /var/a.img:3']
  ],
  ['swapDevices = [ { device = "/dev/zvol/rpool/swap"; } ];', ['swap /dev/zvol/rpool/swap:3']],
  [
    'swapDevices = [ { device = "/dev/mapper/s"; encrypted = { label = "s"; blkDev = "/dev/sda3"; }; } ];',
    ['swap /dev/mapper/s:3', 'swap /dev/sda3:3']
  ],
  ['boot.initrd.luks.devices.crypt.device = "/dev/sda2";', ['luks crypt /dev/sda2:3']],
  [
    'boot.initrd.luks.devices."crypt" = { device = "/dev/sda2"; header = "/dev/sdc1"; };',
    ['luks crypt /dev/sda2:3', 'luks crypt /dev/sdc1:3']
  ],
  ['boot.initrd.luks.devices = [ { name = "a"; device = "/dev/sda2"; } ];', ['luks a /dev/sda2:3']],
  ['boot.resumeDevice = "/dev/sda3";', ['resume /dev/sda3:3']],
  ['boot.kernelParams = [ "quiet" "resume=UUID=12" ];', ['resume /dev/disk/by-uuid/12:3']],
  ['boot.loader.grub.device = "/dev/sda";', ['boot /dev/sda:3']],
  ['boot.loader.grub.devices = [ "/dev/sda" "nodev" ];', ['boot /dev/sda:3']],
  [
    'boot.loader.grub.mirroredBoots = [ { devices = [ "/dev/sdb" ]; path = "/boot2"; } ];',
    ['boot /dev/sdb:3']
  ],
  ['disko.devices.disk.main.device = "/dev/nvme0n1";', ['disko main /dev/nvme0n1:3']],
  [
    'disko.devices.disk = { main = { type = "disk"; device = "/dev/nvme0n1"; content.type = "gpt"; }; };',
    ['disko main /dev/nvme0n1:3']
  ],
  ['environment.etc.crypttab.text = "\\n# x\\ndata /dev/sdb1 /key\\n";', ['luks data /dev/sdb1:3']],
  ['systemd.mounts = [ { what = "/dev/sdb1"; where = "/media"; } ];', ['mount /media /dev/sdb1:3']],
  [
    'specialisation.nas.configuration.fileSystems."/a".device = "/dev/sdb";',
    ['mount /a /dev/sdb:3 nas']
  ],
  [
    'specialisation.nas.configuration = { pkgs, ... }: {\n  fileSystems."/a".device = "/dev/sdb";\n};',
    ['mount /a /dev/sdb:4 nas']
  ],
  ['boot.kernelModules = [ "/dev/sdb" ];', []],
  ['# fileSystems."/a".device = "/dev/sdb";', []]
])('reads the disks in %s', (body, expected) => {
  expect(inModule(body)).toEqual(expected)
})

test('follows variables of the same file, and reads arguments of functions', () => {
  expect(
    devicesIn(`{ lib, ... }:
let
  id = "/dev/disk/by-id/ata-X";
  root = id + "-part2";
  swap = { device = "\${id}-part3"; };
  on = disk: { device = disk; };
in
{
  fileSystems."/" = { device = root; };
  fileSystems."/boot".device = "\${id}-part1";
  fileSystems."/data" = on "/dev/sdb";
  swapDevices = [ swap ];
}
`)
  ).toEqual([
    'mount / /dev/disk/by-id/ata-X-part2:9',
    'mount /boot /dev/disk/by-id/ata-X-part1:10',
    'mount /data /dev/sdb:11',
    'swap /dev/disk/by-id/ata-X-part3:5'
  ])
})

test('terminates if a variable contains itself', () => {
  expect(
    devicesIn(`{ ... }:
let
  disk = { device = "/dev/sdb"; label = disk.label; };
  a = b;
  b = a;
in
{
  fileSystems."/a" = disk;
  fileSystems."/b".device = a;
}
`)
  ).toEqual(['mount /a /dev/sdb:3'])
})
