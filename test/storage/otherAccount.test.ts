// Root sees the runs of the sudo caller, but the sudo caller can't make root read anything else.

import {
  chownSync,
  lchownSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { commit } from '../../src/storage/commit.ts'
import { findOtherAccount, runsOfOther } from '../../src/storage/undo.ts'
import { change, read } from './support/files.ts'
import { needing } from './support/needing.ts'
import { makePlace } from './support/place.ts'

const ALICE = 1234

/** Creates a state folder in Alice's home with a run of hers; `account` is what root finds. */
function given() {
  const place = makePlace()
  const home = join(place.top, 'home')
  const stateFolder = join(home, '.local/state/vfio-patch')
  const path = join(place.nixos, 'a.nix')
  mkdirSync(dirname(stateFolder), { recursive: true, mode: 0o700 })
  const options = { ...place.options, stateFolder }
  expect(commit([change(path, 'new\n')], options)).toMatchObject({ ok: true })
  const folder = join(stateFolder, 'runs/20261122-160312-1')
  const manifest = join(folder, 'manifest.json')
  for (const each of [stateFolder, dirname(folder), folder, manifest]) chownSync(each, ALICE, ALICE)
  const passwd = `root:x:0:0::/root:/bin/sh\nalice:x:${ALICE}:${ALICE}::${home}:/bin/sh\n`
  const account = findOtherAccount({ root: '/', uid: 0, env: { SUDO_UID: `${ALICE}` }, passwd })
  if (account === null) throw new Error('there is no account')
  return { ...place, home, stateFolder, path, folder, manifest, passwd, account }
}

needing('root')('finds the runs of the sudo caller', () => {
  const { account, stateFolder, path, nixos } = given()
  expect(account).toEqual({ name: 'alice', uid: ALICE, stateFolder })
  expect(runsOfOther(account, path, '/')).toEqual(['20261122-160312-1'])
  expect(runsOfOther(account, null, '/')).toEqual(['20261122-160312-1'])
  expect(runsOfOther(account, join(nixos, 'b.nix'), '/')).toEqual([])
  expect(runsOfOther(account, path, '/mnt')).toEqual([])
})

needing('root')('finds no other account for root unless the sudo caller has a state folder', () => {
  const { passwd, stateFolder } = given()
  const facts = { root: '/', uid: 0, passwd }
  expect(findOtherAccount({ ...facts, env: {} })).toBe(null)
  expect(findOtherAccount({ ...facts, env: { SUDO_UID: '0' } })).toBe(null)
  expect(findOtherAccount({ ...facts, env: { SUDO_UID: '77' } })).toBe(null)
  expect(findOtherAccount({ ...facts, env: { DOAS_USER: 'alice' } })?.name).toBe('alice')
  rmSync(stateFolder, { recursive: true })
  expect(findOtherAccount({ ...facts, env: { SUDO_UID: `${ALICE}` } })).toBe(null)
})

test('finds root as the other account of a user if root has a state folder', () => {
  const { top } = makePlace()
  const facts = { root: top, uid: 1000, env: { SUDO_UID: '7' }, passwd: '' }
  expect(findOtherAccount(facts)).toBe(null)
  const stateFolder = join(top, 'var/lib/vfio-patch')
  mkdirSync(stateFolder, { recursive: true })
  expect(findOtherAccount(facts)).toEqual({ name: 'root', uid: 0, stateFolder })
})

type Given = ReturnType<typeof given>

/** Moves a file or folder, and puts Alice's symlink to the new path in its place. */
function linked(path: string, to: string): void {
  renameSync(path, to)
  symlinkSync(to, path)
  lchownSync(path, ALICE, ALICE)
}

needing('root').each<{ what: string; how: (place: Given) => void; seen: string[] | null }>([
  {
    what: "a state folder that is a symlink to root's folder",
    how: ({ stateFolder, top }) => {
      chownSync(stateFolder, 0, 0)
      linked(stateFolder, join(top, 'roots'))
    },
    seen: null
  },
  {
    what: 'a folder of runs that is a symlink',
    how: ({ stateFolder, top }) => linked(join(stateFolder, 'runs'), join(top, 'roots')),
    seen: null
  },
  {
    what: 'a run that is a symlink',
    how: ({ folder, top }) => linked(folder, join(top, 'roots')),
    seen: []
  },
  {
    what: "a record that is a symlink to root's record",
    how: ({ manifest, top }) => {
      chownSync(manifest, 0, 0)
      linked(manifest, join(top, 'roots'))
    },
    seen: []
  },
  {
    what: 'a record that belongs to root',
    how: ({ manifest }) => chownSync(manifest, 0, 0),
    seen: []
  },
  {
    what: 'a record of more than a megabyte',
    how: ({ manifest }) => writeFileSync(manifest, read(manifest).padEnd(2 ** 20 + 1)),
    seen: []
  },
  {
    what: 'an invalid record',
    how: ({ manifest }) => writeFileSync(manifest, '\u001b[31m{}'),
    seen: []
  }
])('does not follow or read $what', ({ how, seen }) => {
  const place = given()
  how(place)
  expect(runsOfOther(place.account, place.path, '/')).toEqual(seen)
})
