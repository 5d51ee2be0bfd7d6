import { expect, test } from 'vitest'
import { parseMounts } from '../../src/mounts.ts'
import { knownPeople, membersOf, uidOf } from '../../src/storage/access.ts'
import { isTransientName } from '../../src/storage/commit.ts'
import { runsFolder, stateFolder } from '../../src/storage/stateFolder.ts'
import { otherPaths } from '../../src/storage/system.ts'

const PASSWD = `root:x:0:0:System administrator:/root:/run/current-system/sw/bin/bash
alice:x:1000:100:Alice:/home/alice:/run/current-system/sw/bin/bash
bob:x:1001:1001::/home/bob:/bin/sh
`
const GROUP = `root:x:0:
wheel:x:1:alice
users:x:100:
kvm:x:302:bob,alice
`

test('finds the members of a group by its list and by the primary group of users', () => {
  expect(membersOf(302, PASSWD, GROUP)).toEqual(new Set([1000, 1001]))
  expect(membersOf(100, PASSWD, GROUP)).toEqual(new Set([1000]))
  expect(membersOf(0, PASSWD, GROUP)).toEqual(new Set([0]))
  expect(membersOf(5000, PASSWD, GROUP)).toBe(null)
  expect([uidOf('bob', PASSWD), uidOf('eve', PASSWD), uidOf('', PASSWD)]).toEqual([
    1001,
    null,
    null
  ])
})

test('trusts root, the current user and, for root, the sudo caller', () => {
  const self = process.geteuid?.() ?? -1
  const trusted = (env: NodeJS.ProcessEnv) => knownPeople(env).trusted
  expect(trusted({})).toEqual(new Set([0, self]))
  expect(trusted({ SUDO_UID: '' })).toEqual(new Set([0, self]))
  expect(trusted({ SUDO_UID: '1000' })).toEqual(new Set(self === 0 ? [0, 1000] : [0, self]))
})

const MOUNTS = parseMounts(`22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:25 /@persist /persist rw,noatime - btrfs /dev/sdb rw,subvol=/@persist
24 22 0:25 /@persist/etc/nixos/con\\040fig.nix /etc/nixos/con\\040fig.nix rw - btrfs /dev/sdb rw
25 22 254:2 /nixos/b.nix /etc/nixos/b.nix rw - ext4 /dev/vdb rw
26 22 254:2 / /mnt/disk rw - ext4 /dev/vdb rw
28 22 254:2 /nixos/b.nix /srv/b.nix rw - ext4 /dev/vdb rw
27 22 254:2 /nixos /srv/nixos rw - ext4 /dev/vdb rw
`)

test('finds the other paths at which a file is mounted', () => {
  expect(otherPaths(MOUNTS, '/etc/nixos/con fig.nix')).toEqual(['/persist/etc/nixos/con fig.nix'])
  expect(otherPaths(MOUNTS, '/etc/nixos/b.nix')).toEqual([
    '/srv/nixos/b.nix',
    '/mnt/disk/nixos/b.nix'
  ])
  expect(otherPaths(MOUNTS, '/etc/nixos/c.nix')).toEqual([])
})

test('chooses the state folder by root folder, user and environment', () => {
  const root = { root: '/', uid: 0, home: '/root', env: {} }
  const alice = { root: '/', uid: 1000, home: '/home/alice', env: {} }
  expect(stateFolder(root)).toBe('/var/lib/vfio-patch')
  expect(stateFolder({ ...root, root: '/mnt' })).toBe('/mnt/var/lib/vfio-patch')
  expect(stateFolder({ ...root, env: { XDG_STATE_HOME: '/s' } })).toBe('/var/lib/vfio-patch')
  expect(stateFolder(alice)).toBe('/home/alice/.local/state/vfio-patch')
  expect(stateFolder({ ...alice, env: { XDG_STATE_HOME: '/s' } })).toBe('/s/vfio-patch')
  expect(stateFolder({ ...alice, env: { XDG_STATE_HOME: 's' } })).toBe(stateFolder(alice))
  expect(stateFolder({ ...alice, env: { VFIO_PATCH_STATE: '' } })).toBe(stateFolder(alice))
  expect(stateFolder({ ...root, env: { VFIO_PATCH_STATE: '/keep' } })).toBe('/keep')
  expect(runsFolder('/keep')).toBe('/keep/runs')
})

test('recognizes the names of temporary files, locks and journals', () => {
  const names = [
    '.vfio-patch.lock',
    '.vfio-patch.lock.0123456789ab',
    '.vfio-patch.journal',
    '.vfio-patch.journal.new',
    '.configuration.nix.vfio-patch.0123456789ab.tmp'
  ]
  expect(names.filter(isTransientName)).toEqual(names)
  const others = ['configuration.nix', '.vfio-patch.lock.old', 'a.vfio-patch.0123456789ab.tmp']
  expect(others.filter(isTransientName)).toEqual([])
})
