import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { knownPeople } from '../../src/storage/access.ts'
import { commit } from '../../src/storage/commit.ts'
import { writeJournal } from '../../src/storage/journal.ts'
import {
  findAbandoned,
  findInterrupted,
  predictRecovery,
  recover
} from '../../src/storage/recovery.ts'
import type { WorkFile } from '../../src/storage/work.ts'
import { change, hashOf, read } from './support/files.ts'
import { listing } from './support/listing.ts'
import { needing } from './support/needing.ts'
import { makePlace, type Place } from './support/place.ts'

const STARTED = '2026-11-22T16:03:12.000Z'

/**
 * A run that changed two files from `old` to `new` and was killed before the last rename, with the
 * locks of a process that has ended.
 */
function interrupted(place: Place = makePlace()) {
  const { nixos, state } = place
  const [module, path] = [join(nixos, 'vfio/a.nix'), join(nixos, 'configuration.nix')]
  const name = (base: string, digit: string) => `.${base}.vfio-patch.${digit.repeat(12)}.tmp`
  const spare = join(nixos, 'vfio', name('a.nix', '1'))
  const temp = join(nixos, name('configuration.nix', '2'))
  mkdirSync(join(nixos, 'vfio'))
  for (const [file, text] of [
    [module, 'new\n'],
    [spare, 'old\n'],
    [path, 'old\n'],
    [temp, 'new\n']
  ] as const)
    writeFileSync(file, text, { mode: 0o644 })
  const both = { before: hashOf('old\n'), after: hashOf('new\n') }
  const files: WorkFile[] = [
    { path: module, ...both, temp: join(nixos, 'vfio', name('a.nix', '3')), spare },
    { path, ...both, temp, spare: null }
  ]
  const work = { files, folders: [], emptied: [], run: null }
  const locked = [join(nixos, 'vfio'), nixos]
  expect(writeJournal({ command: 'apply', started: STARTED, locked, work }, nixos, path)).toBe(null)
  symlinkSync('4194399:1::..', join(nixos, 'vfio/.vfio-patch.lock'))
  symlinkSync('4194399:1::.', join(nixos, '.vfio-patch.lock'))
  const journal = join(nixos, '.vfio-patch.journal')
  return { ...place, module, path, spare, journal, where: { paths: [path], stateFolder: state } }
}

const OLD = ['0644 configuration.nix: old', '0755 vfio/', '0644 vfio/a.nix: old']
const NEW = ['0644 configuration.nix: new', '0755 vfio/', '0644 vfio/a.nix: new']

test.each(['configuration.nix', 'vfio/a.nix'])(
  'finds an interrupted run through its file %s, and rolls the run back',
  name => {
    const { nixos, module, path, journal, where } = interrupted()
    const paths = [join(nixos, name)]
    expect(findInterrupted({ ...where, paths })).toEqual([{ journal, started: STARTED }])
    expect(recover({ ...where, paths })).toEqual({
      ok: true,
      value: [
        {
          command: 'apply',
          started: STARTED,
          outcome: 'rolled back',
          files: [module, path],
          created: [],
          deleted: []
        }
      ]
    })
    expect(listing(nixos)).toEqual(OLD)
    expect(recover(where)).toEqual({ ok: true, value: [] })
    expect(findInterrupted(where)).toEqual([])
  }
)

test('finishes a run that had reached its commit point', () => {
  const { nixos, path, where } = interrupted()
  writeFileSync(path, 'new\n')
  expect(recover(where)).toMatchObject({ value: [{ outcome: 'finished' }] })
  expect(listing(nixos)).toEqual(NEW)
})

test('recovers a run on a system that is mounted elsewhere by now', () => {
  const { top, nixos } = interrupted()
  const moved = join(top, 'moved')
  renameSync(nixos, moved)
  const where = { paths: [join(moved, 'configuration.nix')], stateFolder: join(top, 'none') }
  expect(recover(where)).toMatchObject({ value: [{ outcome: 'rolled back' }] })
  expect(listing(moved)).toEqual(OLD)
})

test.each(['configuration.nix', 'vfio/a.nix'])(
  'leaves all files of a run alone if %s was edited after the interruption',
  name => {
    const { nixos, journal, where, state } = interrupted()
    const edited = join(nixos, name)
    writeFileSync(edited, 'mine\n')
    const before = listing(nixos)
    expect(recover(where)).toEqual({
      ok: false,
      error: { code: 'INTERRUPTED', path: edited, why: 'EDITED', journal, started: STARTED }
    })
    expect(listing(nixos)).toEqual(before.filter(line => !line.includes('.lock')))
    // Deleting the journal accepts the files as they are.
    rmSync(journal)
    expect(recover({ ...where, stateFolder: state })).toEqual({ ok: true, value: [] })
    expect(read(edited)).toBe('mine\n')
  }
)

test('returns the purpose from the journal', () => {
  const { journal, where, path, module } = interrupted()
  const found = JSON.parse(read(journal))
  const purpose = { undoes: '20261122-160312-7', target: 'configuration.nix' }
  writeFileSync(journal, JSON.stringify({ ...found, command: 'undo', ...purpose }))
  const expected = {
    command: 'undo',
    started: STARTED,
    purpose: { undoes: '20261122-160312-7', target: path },
    outcome: 'rolled back',
    files: [module, path],
    created: [],
    deleted: []
  }
  const before = listing(dirname(path))
  expect(predictRecovery(where)).toEqual([expected])
  expect(listing(dirname(path))).toEqual(before)
  expect(recover(where)).toEqual({ ok: true, value: [expected] })
  expect(predictRecovery(where)).toEqual([])
})

test.each([
  { undoes: '../../root/x' },
  { undoes: '20261122-160312-1/../..' },
  { undoes: 7 },
  { redoes: '' },
  { redoes: null },
  { undoes: '20261122-160312-1', redoes: '20261122-160312-1' },
  { target: ['x'] },
  { target: 5 }
])('treats a journal with %j as damaged, and does nothing', fields => {
  const { nixos, journal, where } = interrupted()
  writeFileSync(journal, JSON.stringify({ ...JSON.parse(read(journal)), ...fields }))
  const before = listing(nixos)
  expect(recover(where)).toMatchObject({ error: { code: 'INTERRUPTED', why: 'DAMAGED' } })
  expect(predictRecovery(where)).toEqual([])
  expect(listing(nixos).filter(line => !line.includes('.lock'))).toEqual(
    before.filter(line => !line.includes('.lock'))
  )
})

test('does not change the target that a journal names', () => {
  const { top, journal, where } = interrupted()
  const victim = join(top, 'victim')
  writeFileSync(victim, 'old\n', { mode: 0o600 })
  const found = JSON.parse(read(journal))
  writeFileSync(journal, JSON.stringify({ ...found, target: '../victim' }))
  expect(recover(where)).toMatchObject({ value: [{ purpose: { target: victim } }] })
  expect(read(victim)).toBe('old\n')
})

test('returns the kind of a run from its lock if there is no journal', () => {
  const { nixos, journal, where, state } = interrupted()
  expect(findAbandoned(where)).toEqual([])
  rmSync(journal)
  expect(findAbandoned(where)).toEqual([{ folder: nixos, kind: 'change' }])
  const lock = join(nixos, '.vfio-patch.lock')
  rmSync(lock)
  symlinkSync('4194399:1::undo:.', lock)
  mkdirSync(state, { mode: 0o700 })
  symlinkSync(`4194399:1::redo:../nixos`, join(state, '.vfio-patch.lock'))
  expect(findAbandoned(where)).toEqual([
    { folder: nixos, kind: 'undo' },
    { folder: nixos, kind: 'redo' }
  ])
  expect(recover(where)).toEqual({ ok: true, value: [] })
  expect(findAbandoned(where)).toEqual([])
})

test('changes no file if the copy of an original file is missing', () => {
  const { nixos, module, spare, journal, where } = interrupted()
  rmSync(spare)
  expect(recover(where)).toEqual({
    ok: false,
    error: { code: 'INTERRUPTED', path: module, why: 'STUCK', journal, started: STARTED }
  })
  expect(read(module)).toBe('new\n')
  expect(existsSync(join(nixos, '.configuration.nix.vfio-patch.222222222222.tmp'))).toBe(true)
})

test.each([
  { what: 'incomplete', text: '{ "schema": "vfio-patch/journal",' },
  { what: 'empty', text: '' }
])('treats a journal that is $what as damaged', ({ text }) => {
  const { journal, where } = interrupted()
  writeFileSync(journal, text)
  expect(recover(where)).toMatchObject({
    error: { code: 'INTERRUPTED', path: journal, why: 'DAMAGED', journal, started: null }
  })
})

test('does not move or delete other files that a journal names', () => {
  const { nixos, journal, where } = interrupted()
  writeFileSync(join(nixos, 'other'), 'other\n')
  const text = read(journal)
  for (const name of ['other', '../other', '.a.nix.vfio-patch.1.tmp']) {
    writeFileSync(journal, text.replace(/vfio\/\.a\.nix\.vfio-patch\.1{12}\.tmp/, name))
    expect(recover(where)).toMatchObject({ error: { why: 'DAMAGED' } })
  }
  expect(read(join(nixos, 'other'))).toBe('other\n')
})

test('refuses to write until an interrupted run is recovered', () => {
  const { nixos, path, journal, options } = interrupted()
  const before = listing(nixos)
  expect(commit([change(path, 'newer\n')], options)).toMatchObject({
    error: { code: 'INTERRUPTED', path: journal, why: 'PENDING', journal, started: STARTED }
  })
  expect(listing(nixos)).toEqual(before)
})

test('does not touch the files of a run that is still in progress', () => {
  const { nixos, path, where } = interrupted()
  const lock = join(nixos, '.vfio-patch.lock')
  rmSync(lock)
  symlinkSync(`${process.pid}:::.`, lock)
  expect(findInterrupted(where)).toEqual([])
  const before = listing(nixos)
  expect(recover(where)).toEqual({ ok: true, value: [] })
  expect(listing(nixos)).toEqual(before)
  expect(commit([change(path, 'newer\n')], makePlace().options)).toMatchObject({
    error: { code: 'LOCKED', path, pid: process.pid }
  })
})

needing('root')("rolls back a user's run as root, but only in that user's folders", () => {
  const people = knownPeople({ SUDO_UID: '1234' })
  const given = () => {
    const place = interrupted()
    const { nixos } = place
    for (const each of ['', 'vfio', '.vfio-patch.journal', 'configuration.nix'])
      chownSync(join(nixos, each), 1234, 1234)
    return place
  }
  const own = given()
  expect(recover({ ...own.where, people })).toMatchObject({ value: [{ outcome: 'rolled back' }] })
  expect(readdirSync(own.nixos).sort()).toEqual(['configuration.nix', 'vfio'])

  const others = given()
  const refusal = { error: { code: 'INTERRUPTED', why: 'OTHERS', journal: others.journal } }
  expect(recover({ ...others.where, people: knownPeople({}) })).toMatchObject(refusal)
  chownSync(join(others.nixos, 'vfio'), 0, 0)
  expect(recover({ ...others.where, people })).toMatchObject(refusal)
  expect(read(others.module)).toBe('new\n')
})

needing('root').each([
  { what: 'the folder itself', on: 'state', uid: 0, mode: 0o755, code: 'NOT_PRIVATE' },
  { what: 'the folder itself', on: 'state', uid: 1234, mode: 0o700, code: 'NOT_PRIVATE' },
  { what: 'the folder of the runs', on: 'state/runs', uid: 0, mode: 0o770, code: 'NOT_PRIVATE' },
  { what: 'a parent folder', on: '.', uid: 0, mode: 0o777, code: 'OPEN_FOLDER' },
  { what: 'a parent folder', on: '.', uid: 1234, mode: 0o755, code: 'OPEN_FOLDER' }
])(
  'refuses an unsafe state folder: $what has the owner $uid and the mode $mode',
  ({ on, uid, mode, code }) => {
    const place = makePlace()
    const path = join(place.nixos, 'a.nix')
    writeFileSync(path, 'old\n')
    // Separate from the folder of the files.
    const way = join(place.top, 'way')
    mkdirSync(join(way, 'state/runs'), { recursive: true, mode: 0o700 })
    for (const each of ['.', 'state', 'state/runs']) chmodSync(join(way, each), 0o700)
    const options = { ...place.options, stateFolder: join(way, 'state') }
    const safe = commit([change(path, 'new\n')], options)
    expect(safe).toMatchObject({ ok: true })

    chownSync(join(way, on), uid, uid)
    chmodSync(join(way, on), mode)
    const bad = join(way, on)
    expect(commit([change(path, 'newer\n')], options)).toMatchObject({
      error: { code: 'BACKUP_FAILED', cause: { code, path: bad, uid, mode } }
    })
    expect(read(path)).toBe('new\n')
  }
)

needing('root')('follows a symlink to the state folder only if root or the caller owns it', () => {
  const place = makePlace()
  const path = join(place.nixos, 'a.nix')
  const link = join(place.top, 'link')
  mkdirSync(join(place.top, 'real'), { mode: 0o700 })
  symlinkSync('real', link)
  const options = { ...place.options, stateFolder: join(link, 'state') }
  expect(commit([change(path, 'new\n')], options)).toMatchObject({ ok: true })
  rmSync(link)
  symlinkSync('real', link)
  lchownSync(link, 1234, 1234)
  expect(commit([change(path, 'newer\n')], options)).toMatchObject({
    error: { code: 'BACKUP_FAILED', cause: { code: 'NOT_PRIVATE', path: link, uid: 1234 } }
  })
})
