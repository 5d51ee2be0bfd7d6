// Root works in a folder of the sudo caller, who has planted records there to make root change other users'
// files.

import { spawnSync } from 'node:child_process'
import {
  chownSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { commit } from '../../src/storage/commit.ts'
import { confine, inFolder, makeFolder, settleFolder } from '../../src/storage/folders.ts'
import { journalPath } from '../../src/storage/journal.ts'
import { createLocks } from '../../src/storage/lock.ts'
import { findInterrupted, recover } from '../../src/storage/recovery.ts'
import { listRuns } from '../../src/storage/runs.ts'
import { change, hashOf, read } from './support/files.ts'
import {
  ALICE,
  fileOf,
  GONE,
  type Hostile,
  journalOf,
  makeHostile,
  manifestOf,
  plant,
  plantLink,
  STARTED,
  snapshotOf,
  temporary
} from './support/hostile.ts'
import { needing } from './support/needing.ts'

const rooted = needing('root')
const CONFIGURATION = 'configuration.nix'
const RUN = '../state/runs/20261122-160312-7'

/** The refusal of a journal in Alice's folder. */
function refusal({ nixos }: Hostile, why: 'OTHERS' | 'DAMAGED') {
  const journal = journalPath(nixos)
  const started = why === 'OTHERS' ? STARTED : null
  return { ok: false, error: { code: 'INTERRUPTED', path: journal, why, journal, started } }
}

rooted.each([
  { what: "root's run", run: RUN },
  { what: 'a folder with a name like a run', run: '../decoys/private/x/20261122-160312-1' }
])('keeps $what that a journal names as its run, and rolls the files back', ({ run }) => {
  const place = makeHostile()
  const temp = join(place.nixos, temporary(CONFIGURATION))
  plant(temp, 'half')
  plant(journalPath(place.nixos), journalOf({ run }))
  const before = snapshotOf(place.decoys, place.state)
  expect(recover(place.where)).toMatchObject({ value: [{ outcome: 'rolled back' }] })
  expect(snapshotOf(place.decoys, place.state)).toEqual(before)
  expect(readdirSync(place.nixos)).toEqual([CONFIGURATION])
})

rooted("neither deletes root's runs nor marks them as done, even if they are empty", () => {
  const place = makeHostile()
  const empty = join(place.state, 'runs/20261122-160312-8')
  mkdirSync(empty)
  plant(place.configuration, 'new\n')
  for (const run of ['../state/runs/20261122-160312-8', RUN]) {
    plant(journalPath(place.nixos), journalOf({ run }))
    expect(recover(place.where)).toMatchObject({ value: [{ outcome: 'finished' }] })
    expect(existsSync(join(empty, 'done'))).toBe(false)
    expect(readdirSync(join(place.state, 'runs/20261122-160312-7')).sort()).toEqual([
      '1.before',
      'manifest.json'
    ])
    writeFileSync(place.configuration, 'old\n')
    plant(journalPath(place.nixos), journalOf({ run }))
    expect(recover(place.where)).toMatchObject({ value: [{ outcome: 'rolled back' }] })
    expect(existsSync(empty)).toBe(true)
    writeFileSync(place.configuration, 'new\n')
  }
})

rooted.each([
  {
    what: 'a file to write',
    fields: { files: [fileOf('../decoys/nixos/a.nix'), configuration()] }
  },
  {
    what: 'a temporary file',
    fields: {
      files: [
        fileOf('../decoys/nixos/a.nix', {
          ...{
            before: hashOf('new\n'),
            after: hashOf('x'),
            temp: `../decoys/nixos/${temporary('a.nix')}`
          }
        }),
        configuration()
      ]
    }
  },
  {
    what: 'a copy of an original file',
    fields: {
      files: [
        fileOf('../decoys/nixos/a.nix', {
          ...{ before: hashOf('half\n'), spare: `../decoys/nixos/${temporary('a.nix')}` }
        }),
        configuration()
      ]
    }
  },
  {
    what: 'a file to delete',
    fields: {
      files: [
        fileOf(CONFIGURATION, { before: hashOf('x'), after: hashOf('old\n') }),
        fileOf('../decoys/nixos/a.nix', { before: hashOf('new\n'), after: null })
      ]
    }
  },
  { what: 'a folder to roll back', fields: { folders: ['../decoys/empty'] } },
  { what: 'a folder to empty', fields: { emptied: ['../decoys/empty'] } },
  { what: 'a folder to lock', fields: { locked: ['../decoys/nixos'] } },
  { what: 'a path through a symlink', fields: { files: [fileOf('way/a.nix'), configuration()] } },
  { what: 'a folder through a symlink', fields: { folders: ['way/empty'] } },
  { what: 'a lock through a symlink', fields: { locked: ['way'] } }
])("refuses a journal that names $what in root's folders", ({ fields }) => {
  const place = makeHostile()
  plantLink('../decoys/nixos', join(place.nixos, 'way'))
  plant(journalPath(place.nixos), journalOf(fields))
  const before = snapshotOf(place.decoys, place.state)
  expect(recover(place.where)).toEqual(refusal(place, 'OTHERS'))
  expect(snapshotOf(place.decoys, place.state)).toEqual(before)
})

rooted.each([
  { what: 'an absolute path', fields: { files: [fileOf('/etc/hostname'), configuration()] } },
  { what: 'an absolute folder', fields: { folders: ['/tmp/empty'] } },
  { what: 'an absolute lock', fields: { locked: ['/root'] } },
  { what: 'an absolute run', fields: { run: '/root/runs/20261122-160312-1' } },
  { what: 'a run of another name', fields: { run: '../decoys/private' } },
  { what: 'a path with a null byte', fields: { emptied: ['a\0b'] } },
  { what: 'an empty path', fields: { files: [fileOf('')] } },
  { what: 'an invalid hash', fields: { files: [fileOf(CONFIGURATION, { after: 'new' })] } },
  {
    what: 'a file without a change',
    fields: { files: [fileOf(CONFIGURATION, { before: hashOf('new\n') })] }
  },
  { what: 'escape sequences in the command', fields: { command: 'apply\x1b[2J' } },
  { what: 'escape sequences in the time', fields: { started: '2026 (\x1b[2J)' } },
  {
    what: 'a temporary file of another name',
    fields: { files: [fileOf(CONFIGURATION, { temp: '../decoys/secret' })] }
  },
  {
    what: 'a temporary file in another folder',
    fields: { files: [fileOf('a.nix', { spare: `../decoys/nixos/${temporary('a.nix')}` })] }
  }
])('treats a journal with $what as damaged', ({ fields }) => {
  const place = makeHostile()
  plant(journalPath(place.nixos), journalOf(fields))
  const before = snapshotOf(place.decoys, place.state)
  expect(recover(place.where)).toEqual(refusal(place, 'DAMAGED'))
  expect(findInterrupted(place.where)).toMatchObject([{ started: null }])
  expect(snapshotOf(place.decoys, place.state)).toEqual(before)
})

rooted.each([
  { what: "a symlink to root's file", make: (it: string) => plantLink('../decoys/secret', it) },
  { what: 'a pipe', make: (it: string) => void spawnSync('mkfifo', [it]) },
  { what: 'a folder', make: (it: string) => mkdirSync(it) },
  { what: 'far too big', make: makeHuge },
  {
    what: "a hard link to root's journal",
    make: (it: string) => {
      const other = join(it, '../../decoys/nixos/.vfio-patch.journal')
      writeFileSync(other, journalOf(), { mode: 0o600 })
      linkSync(other, it)
    }
  }
])('treats a journal that is $what as damaged', ({ make }) => {
  const place = makeHostile()
  make(journalPath(place.nixos))
  const before = snapshotOf(place.decoys, place.state)
  expect(recover(place.where)).toEqual(refusal(place, 'DAMAGED'))
  expect(snapshotOf(place.decoys, place.state)).toEqual(before)
})

/** Creates a file bigger than any journal and than the longest string of Node. */
function makeHuge(path: string): void {
  const file = openSync(path, 'w')
  ftruncateSync(file, 2 ** 29 + 1)
  closeSync(file)
}

rooted("refuses root's journal that Alice moved if it now names files outside her folders", () => {
  const place = makeHostile()
  const { nixos, decoys } = place
  writeFileSync(join(decoys, CONFIGURATION), 'old\n')
  // Root wrote the journal in another folder of Alice, so its relative paths now name other files.
  const files = [fileOf('../decoys/nixos/a.nix'), configuration()]
  writeFileSync(journalPath(nixos), journalOf({ files }), { mode: 0o600 })
  const before = snapshotOf(decoys, place.state)
  expect(recover(place.where)).toEqual(refusal(place, 'OTHERS'))
  expect(snapshotOf(decoys, place.state)).toEqual(before)
})

rooted("finishes or rolls back root's own run in Alice's folder if its record matches", () => {
  for (const [text, outcome] of [
    ['old\n', 'rolled back'],
    ['new\n', 'finished']
  ] as const) {
    const place = makeHostile()
    const { nixos, state, configuration: path } = place
    writeFileSync(path, text)
    const run = join(state, 'runs/20261122-160312-7')
    writeFileSync(join(run, 'manifest.json'), manifestOf(path))
    // Root's own journal may also name one of root's folders.
    const journal = journalOf({ run: RUN, locked: ['.', '../decoys/empty'] })
    writeFileSync(journalPath(nixos), journal, { mode: 0o600 })
    expect(recover(place.where)).toMatchObject({ value: [{ outcome }] })
    expect(existsSync(run)).toBe(outcome === 'finished')
    expect(existsSync(join(run, 'done'))).toBe(outcome === 'finished')
    expect(readdirSync(nixos)).toEqual([CONFIGURATION])
  }
})

rooted('does not delete a completed run if its journal reappears', () => {
  const place = makeHostile()
  const { nixos, state, configuration: path } = place
  const run = join(state, 'runs/20261122-160312-7')
  writeFileSync(join(run, 'manifest.json'), manifestOf(path))
  writeFileSync(join(run, 'done'), '')
  const before = snapshotOf(run)
  writeFileSync(journalPath(nixos), journalOf({ run: RUN }), { mode: 0o600 })
  expect(recover(place.where)).toMatchObject({ value: [{ outcome: 'rolled back' }] })
  expect(snapshotOf(run)).toEqual(before)
})

rooted.each([
  { what: 'with a journal', hasJournal: true },
  { what: 'with a stale lock', hasJournal: false }
])("ignores a lock that leads to root's folder $what", ({ hasJournal }) => {
  const place = makeHostile()
  const other = join(place.decoys, 'nixos')
  if (hasJournal)
    writeFileSync(journalPath(other), journalOf({ files: [fileOf('a.nix')] }), { mode: 0o600 })
  symlinkSync(`${GONE}.`, join(other, '.vfio-patch.lock'))
  for (const to of ['../decoys/nixos', 'way', other]) {
    const lock = join(place.nixos, '.vfio-patch.lock')
    if (to === 'way') plantLink('../decoys/nixos', join(place.nixos, 'way'))
    plantLink(`${GONE}${to}`, lock)
    const before = snapshotOf(place.decoys)
    expect(findInterrupted(place.where)).toEqual([])
    expect(recover(place.where)).toEqual({ ok: true, value: [] })
    expect(snapshotOf(place.decoys)).toEqual(before)
    expect(existsSync(lock)).toBe(false)
  }
})

rooted("ignores the lock in root's folder after Alice moved the folder", () => {
  const place = makeHostile()
  const { nixos, decoys } = place
  const other = join(decoys, 'nixos')
  writeFileSync(journalPath(other), journalOf({ files: [fileOf('a.nix')] }), { mode: 0o600 })
  symlinkSync(`${GONE}.`, join(other, '.vfio-patch.lock'))
  const moved = join(nixos, 'moved')
  mkdirSync(moved)
  symlinkSync(`${GONE}../../decoys/nixos`, join(moved, '.vfio-patch.lock'))
  const before = snapshotOf(decoys)
  expect(recover({ ...place.where, paths: [join(moved, 'a.nix')] })).toEqual({
    ok: true,
    value: []
  })
  expect(snapshotOf(decoys)).toEqual(before)
})

rooted.each(['0:::.', '99999999999999999999:::.', '-1:::.', '1', '../decoys/secret'])(
  'takes over a lock with the invalid target %s',
  target => {
    const place = makeHostile()
    plantLink(target, join(place.nixos, '.vfio-patch.lock'))
    const before = snapshotOf(place.decoys)
    expect(createLocks(place.nixos).take(new Map([[place.nixos, place.configuration]]))).toBe(null)
    expect(snapshotOf(place.decoys)).toEqual(before)
  }
)

rooted('takes over a lock that is a pipe or a folder', () => {
  for (const make of ['mkfifo', 'mkdir']) {
    const place = makeHostile()
    spawnSync(make, [join(place.nixos, '.vfio-patch.lock')])
    const locks = createLocks(place.nixos)
    expect(locks.take(new Map([[place.nixos, place.configuration]]))).toBe(null)
    locks.release()
  }
})

rooted("refuses root's backups in a state folder below a folder of Alice", () => {
  const place = makeHostile()
  const stateFolder = join(place.nixos, 'state')
  mkdirSync(join(stateFolder, 'runs'), { recursive: true, mode: 0o700 })
  const cause = { code: 'OPEN_FOLDER', path: place.nixos, uid: ALICE, gid: ALICE, mode: 0o755 }
  const options = { ...place.options, stateFolder, people: place.people }
  expect(commit([change(place.configuration, 'new\n')], options)).toMatchObject({
    error: { code: 'BACKUP_FAILED', cause }
  })
  expect(listRuns(stateFolder, { people: place.people })).toEqual({ ok: false, error: cause })
  expect(read(place.configuration)).toBe('old\n')
})

rooted('keeps working in the opened folder if it is replaced with a symlink meanwhile', () => {
  const { nixos, decoys } = makeHostile()
  const [folder, path] = [join(nixos, 'vfio'), join(nixos, 'vfio/a.nix')]
  mkdirSync(folder)
  chownSync(folder, ALICE, ALICE)
  plant(path, 'mine\n')
  const before = snapshotOf(decoys)
  inFolder(path, it => {
    renameSync(folder, join(nixos, 'moved'))
    plantLink('../decoys/nixos', folder)
    unlinkSync(it)
  })
  expect(readdirSync(join(nixos, 'moved'))).toEqual([])
  // The next call finds the symlink.
  expect(() => inFolder(path, it => unlinkSync(it))).toThrow(/ENOTDIR/)
  expect(snapshotOf(decoys)).toEqual(before)
})

rooted("does not work in another owner's folders when it is confined to Alice's", () => {
  const { nixos } = makeHostile()
  mkdirSync(join(nixos, 'vfio'))
  writeFileSync(join(nixos, 'vfio/a.nix'), 'root\n')
  const removal = () => inFolder(join(nixos, 'vfio/a.nix'), it => unlinkSync(it))
  expect(() => confine((_, uid) => uid === ALICE, removal)).toThrow(/EPERM/)
  expect(read(join(nixos, 'vfio/a.nix'))).toBe('root\n')
})

rooted('does not change the owner of what replaced a new folder', () => {
  const { nixos, decoys } = makeHostile()
  const path = join(nixos, 'vfio')
  const before = snapshotOf(decoys)
  plantLink('../decoys/empty', path)
  expect(settleFolder(path, 0o755, true)).toMatchObject({ code: 'NOT_DIRECTORY' })
  unlinkSync(path)
  mkdirSync(path, { mode: 0o700 })
  writeFileSync(join(path, 'secret'), 'secret\n')
  const filled = snapshotOf(path)
  expect(settleFolder(path, 0o755, true)).toMatchObject({ code: 'IO_ERROR', errno: 'EEXIST', path })
  expect(snapshotOf(path)).toEqual(filled)
  expect(makeFolder(join(nixos, 'new'))).toBe(null)
  expect(settleFolder(join(nixos, 'new'), 0o755, true)).toBe(null)
  expect(snapshotOf(join(nixos, 'new'))).toEqual([expect.stringMatching(/^\. 1234:1234 40755 /)])
  expect(snapshotOf(decoys)).toEqual(before)
})

function configuration() {
  return {
    ...fileOf(CONFIGURATION, { before: hashOf('old\n') }),
    temp: temporary(CONFIGURATION)
  }
}
