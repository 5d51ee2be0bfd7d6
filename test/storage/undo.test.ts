import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type CommitOptions, commit } from '../../src/storage/commit.ts'
import type { Run } from '../../src/storage/run.ts'
import { lastRun, lastUndone, listRecords, listRuns, runById } from '../../src/storage/runs.ts'
import { planUndo } from '../../src/storage/undo.ts'
import type { FileChange } from '../../src/storage/work.ts'
import { change, hashOf, read } from './support/files.ts'
import { listing } from './support/listing.ts'
import { needing } from './support/needing.ts'
import { makePlace, type Place } from './support/place.ts'

/** A configuration to which `apply` added two modules in new folders. */
function applied() {
  const place = makePlace()
  const { nixos, options } = place
  const configuration = join(nixos, 'configuration.nix')
  writeFileSync(configuration, 'old', { mode: 0o640 })
  const modules = ['vfio/default.nix', 'vfio/guests/win.nix'].map(name => ({
    ...change(join(nixos, name), `${name}\n`),
    ownershipFrom: configuration
  }))
  write([...modules, change(configuration, 'new\r\n')], options)
  return { ...place, configuration }
}

const BEFORE = ['0640 configuration.nix: old']
const AFTER = [
  '0640 configuration.nix: new',
  '0755 vfio/',
  '0640 vfio/default.nix: vfio/default.nix',
  '0755 vfio/guests/',
  '0640 vfio/guests/win.nix: vfio/guests/win.nix'
]

test('undoes and redoes a run repeatedly', () => {
  const { nixos, state, configuration, options } = applied()
  expect(listing(nixos)).toEqual(AFTER)

  undo(state, configuration, options)
  expect(listing(nixos)).toEqual(BEFORE)
  expect(read(configuration)).toBe('old')

  redo(state, configuration, options)
  expect(listing(nixos)).toEqual(AFTER)
  expect(read(configuration)).toBe('new\r\n')

  undo(state, configuration, options)
  expect(listing(nixos)).toEqual(BEFORE)
  const first = '20261122-160312-1'
  const runs = value(listRuns(state)).map(({ id, command, done, undoes, redoes }) => [
    id,
    command,
    done,
    { undoes, redoes }
  ])
  expect(runs).toEqual([
    ['20261122-160312-4', 'undo', true, { undoes: first }],
    ['20261122-160312-3', 'undo --redo', true, { redoes: first }],
    ['20261122-160312-2', 'undo', true, { undoes: first }],
    [first, 'apply', true, {}]
  ])
})

test('plans the creation of deleted files first, then changes, then deletions', () => {
  const { nixos, state, configuration, options } = applied()
  const [one, two] = ['vfio/default.nix', 'vfio/guests/win.nix'].map(name => join(nixos, name))
  expect(summary(planned(lastOf(state, configuration)))).toEqual([
    ['change', configuration],
    ['delete', two],
    ['delete', one]
  ])
  undo(state, configuration, options)
  expect(summary(planned(value(lastUndone(state, configuration)).by))).toEqual([
    ['make', one],
    ['make', two],
    ['change', configuration]
  ])
})

test('deletes a created configuration before its modules, and restores it after them', () => {
  const { nixos, state, options } = makePlace()
  const [module, path] = [join(nixos, 'm.nix'), join(nixos, 'configuration.nix')]
  write([change(module, 'm\n'), change(path, 'new\n')], options)
  expect(summary(planned(lastOf(state, path)))).toEqual([
    ['delete', path],
    ['delete', module]
  ])
  undo(state, path, options)
  expect(listing(nixos)).toEqual([])
  expect(summary(planned(value(lastUndone(state, path)).by))).toEqual([
    ['make', module],
    ['make', path]
  ])
})

test('refuses to undo a run if one of its files was edited', () => {
  const { nixos, state, configuration } = applied()
  const module = join(nixos, 'vfio/default.nix')
  writeFileSync(module, 'mine\n')
  const run = lastOf(state, configuration)
  expect(planUndo(run)).toEqual({
    ok: false,
    error: { code: 'EDITED_SINCE', path: module, run: run.id, found: hashOf('mine\n') }
  })
})

test('treats the deletion of a file that the run changed as an edit', () => {
  const { state, configuration } = applied()
  rmSync(configuration)
  expect(planUndo(lastOf(state, configuration))).toMatchObject({
    error: { code: 'EDITED_SINCE', path: configuration, found: null }
  })
})

test('omits files that are already as before the run', () => {
  const { nixos, state, configuration, options } = applied()
  rmSync(join(nixos, 'vfio/guests'), { recursive: true })
  expect(summary(planned(lastOf(state, configuration)))).toEqual([
    ['change', configuration],
    ['delete', join(nixos, 'vfio/default.nix')]
  ])
  undo(state, configuration, options)
  expect(listing(nixos)).toEqual(BEFORE)
})

test('keeps a folder that the run created if it has other files', () => {
  const { nixos, state, configuration, options } = applied()
  writeFileSync(join(nixos, 'vfio/mine.nix'), 'mine\n', { mode: 0o644 })
  undo(state, configuration, options)
  expect(listing(nixos)).toEqual([...BEFORE, '0755 vfio/', '0644 vfio/mine.nix: mine'])
})

test('keeps a mode that was changed after the run, and restores the mode of a deleted file', () => {
  const { nixos, state, configuration, options } = applied()
  const module = join(nixos, 'vfio/default.nix')
  chmodSync(module, 0o600)
  write([change(configuration, 'newer\n'), change(module, null)], options)
  chmodSync(configuration, 0o644)
  undo(state, configuration, options)
  expect(listing(nixos)).toEqual([
    '0644 configuration.nix: new',
    '0755 vfio/',
    '0600 vfio/default.nix: vfio/default.nix',
    '0755 vfio/guests/',
    '0640 vfio/guests/win.nix: vfio/guests/win.nix'
  ])
})

test('finds the last run for a file, and ignores later runs for other files', () => {
  const { nixos, state, configuration, options } = applied()
  const other = join(nixos, 'other.nix')
  write([change(other, 'other\n')], options)
  expect(lastOf(state, configuration).id).toBe('20261122-160312-1')
  expect(lastOf(state, other).id).toBe('20261122-160312-2')
  const path = join(nixos, 'none.nix')
  expect(lastRun(state, path)).toEqual({ ok: false, error: { code: 'NO_RUN', path } })
})

test('orders runs by number, because clocks can go back', () => {
  const { nixos, state, options } = makePlace()
  const path = join(nixos, 'a.nix')
  const days = ['2026-11-22', '2026-10-01', '2026-10-02']
  for (const day of days)
    write([change(path, day)], { ...options, now: new Date(`${day}T12:00:00Z`) })
  expect(value(listRuns(state)).map(({ id }) => id)).toEqual([
    '20261002-120000-3',
    '20261001-120000-2',
    '20261122-120000-1'
  ])
  expect(lastOf(state, path).id).toBe('20261002-120000-3')
})

test('finds a run by its ID', () => {
  const { state } = applied()
  expect(value(runById(state, '20261122-160312-1')).command).toBe('apply')
  expect(runById(state, '20261122-160312-2')).toEqual({
    ok: false,
    error: { code: 'NO_RUN', path: join(state, 'runs/20261122-160312-2') }
  })
})

test('finds an interrupted run only if its files show that it took effect', () => {
  const { state, configuration } = applied()
  const run = lastOf(state, configuration)
  rmSync(join(run.folder, 'done'))
  expect(lastOf(state, configuration)).toEqual({ ...run, done: false })

  writeFileSync(configuration, 'old')
  expect(lastRun(state, configuration)).toMatchObject({ error: { code: 'NO_RUN' } })
})

test.each([
  { damage: 'missing', how: (path: string) => rmSync(path) },
  { damage: 'changed', how: (path: string) => writeFileSync(path, 'bad') }
])('refuses to undo a run if a file of its backup is $damage', ({ how }) => {
  const { state, configuration } = applied()
  const run = lastOf(state, configuration)
  const path = join(run.folder, '3.before')
  how(path)
  expect(planUndo(run)).toEqual({ ok: false, error: { code: 'BACKUP_DAMAGED', path, run: run.id } })
})

test('lists no run for a folder without a manifest, with an incomplete one, or with another name', () => {
  const { state } = applied()
  const runs = join(state, 'runs')
  mkdirSync(join(runs, '20261122-160312-2'))
  mkdirSync(join(runs, '20261122-160312-3'))
  writeFileSync(join(runs, '20261122-160312-3/manifest.json'), '{"schema":"vfio-patch/run",')
  mkdirSync(join(runs, 'notes'))
  expect(value(listRuns(state)).map(({ id }) => id)).toEqual(['20261122-160312-1'])
  const path = join(runs, '20261122-160312-3/manifest.json')
  expect(value(listRecords(state)).damaged).toEqual([{ id: '20261122-160312-3', path }])
})

test.each([
  { what: 'leads out of its folder', from: '"3.before"', to: '"../../../../etc/shadow"' },
  { what: 'is of another version', from: '"schemaVersion": 1', to: '"schemaVersion": 2' },
  { what: 'has the name of another run', from: '"20261122-160312-1"', to: '"20261122-160312-7"' },
  {
    what: 'undoes something that is not a run',
    from: '"folders"',
    to: '"undoes": "../1", "folders"'
  },
  {
    what: 'undoes and redoes a run',
    from: '"folders"',
    to: '"undoes": "20261122-160312-1", "redoes": "20261122-160312-1", "folders"'
  }
])('reports as damaged a record that $what', ({ from, to }) => {
  const { state, configuration } = applied()
  const path = join(lastOf(state, configuration).folder, 'manifest.json')
  expect(read(path)).toContain(from)
  writeFileSync(path, read(path).replace(from, to))
  expect(value(listRuns(state))).toEqual([])
  const id = '20261122-160312-1'
  const damaged = { ok: false, error: { code: 'RECORD_DAMAGED', path, run: id } }
  expect(lastRun(state, configuration)).toEqual(damaged)
  expect(lastUndone(state, configuration)).toEqual(damaged)
  expect(runById(state, id)).toEqual(damaged)
})

test.each([
  { what: 'a pipe', make: (path: string) => execFileSync('mkfifo', [path]) },
  { what: 'a folder', make: (path: string) => mkdirSync(path) },
  { what: 'a symlink', make: (path: string) => symlinkSync('/dev/zero', path) },
  {
    what: 'too big',
    make: (path: string) => {
      writeFileSync(path, '')
      truncateSync(path, 2 ** 25)
    }
  }
])('treats a record that is $what as damaged, and still reads the other records', ({ make }) => {
  const { state, configuration } = applied()
  mkdirSync(join(state, 'runs/20261122-160312-2'))
  const path = join(state, 'runs/20261122-160312-2/manifest.json')
  make(path)
  expect(value(listRecords(state)).damaged).toEqual([{ id: '20261122-160312-2', path }])
  expect(lastOf(state, configuration).id).toBe('20261122-160312-1')
})

test("treats a file in place of a run's folder as a damaged record", () => {
  const { state, configuration } = applied()
  writeFileSync(join(state, 'runs/20261122-160312-2'), '')
  expect(value(listRecords(state)).damaged.map(({ id }) => id)).toEqual(['20261122-160312-2'])
  expect(lastOf(state, configuration).id).toBe('20261122-160312-1')
})

test('ignores a damaged record if the files are as a known run left them', () => {
  const { nixos, state, configuration, options } = applied()
  write([change(join(nixos, 'other.nix'), 'other\n')], options)
  writeFileSync(join(state, 'runs/20261122-160312-2/manifest.json'), '')
  expect(lastOf(state, configuration).id).toBe('20261122-160312-1')
  writeFileSync(configuration, 'mine\n')
  expect(lastRun(state, configuration)).toMatchObject({ error: { code: 'RECORD_DAMAGED' } })
})

test('restores the first text with two undos, and the last text with two redos', () => {
  const { nixos, state, configuration, options } = applied()
  write([change(configuration, 'newer\n')], options)
  for (const expected of ['new\r\n', 'old']) {
    undo(state, configuration, options)
    expect(read(configuration)).toBe(expected)
  }
  expect(listing(nixos)).toEqual(BEFORE)
  expect(lastRun(state, configuration)).toMatchObject({ error: { code: 'NO_RUN' } })
  for (const expected of ['new\r\n', 'newer\n']) {
    redo(state, configuration, options)
    expect(read(configuration)).toBe(expected)
  }
  expect(lastUndone(state, configuration)).toMatchObject({ error: { code: 'NO_RUN' } })
})

test('after a new run, drops the undone runs for its files and keeps those for other files', () => {
  const { nixos, state, configuration, options } = applied()
  const other = join(nixos, 'other.nix')
  write([change(other, 'other\n')], options)
  undo(state, other, options)
  undo(state, configuration, options)
  write([change(configuration, 'newer\n')], options)
  expect(lastUndone(state, configuration)).toMatchObject({ error: { code: 'NO_RUN' } })
  expect(value(lastUndone(state, other)).run.id).toBe('20261122-160312-2')
})

test('finds a run by its target, whatever files the run changed', () => {
  const { nixos, state, configuration, options } = applied()
  const module = join(nixos, 'vfio/default.nix')
  const purpose = { target: configuration }
  write([change(module, 'newer\n')], { ...options, purpose })
  expect(lastOf(state, configuration).id).toBe('20261122-160312-2')
  undo(state, configuration, options)
  expect(read(module)).toBe('vfio/default.nix\n')
  expect(lastOf(state, configuration).id).toBe('20261122-160312-1')
})

test('skips runs that were undone manually, and finds runs that were redone manually', () => {
  const { state, configuration, options } = applied()
  write([change(configuration, 'newer\n')], options)
  writeFileSync(configuration, 'new\r\n')
  expect(lastOf(state, configuration).id).toBe('20261122-160312-1')
  writeFileSync(configuration, 'newer\n')
  undo(state, configuration, options)
  writeFileSync(configuration, 'newer\n')
  expect(lastOf(state, configuration).id).toBe('20261122-160312-2')
  expect(lastUndone(state, configuration)).toMatchObject({ error: { code: 'NO_RUN' } })
})

test('infers which run was undone or redone if the records have no purpose', () => {
  const { nixos, state, configuration, options } = applied()
  write([change(configuration, 'newer\n')], options)
  // Earlier versions redid a run by undoing its undo.
  const undoOnce = (run: Run) => write(planned(run), { ...options, command: 'undo' })
  undoOnce(lastOf(state, configuration))
  expect(lastOf(state, configuration).id).toBe('20261122-160312-1')
  undoOnce(value(runById(state, '20261122-160312-3')))
  expect(read(configuration)).toBe('newer\n')
  expect(lastOf(state, configuration).id).toBe('20261122-160312-2')
  undo(state, configuration, options)
  undo(state, configuration, options)
  expect(listing(nixos)).toEqual(BEFORE)
})

test('keeps the whole history after repeated undo and redo', () => {
  const { nixos, state, configuration, options } = applied()
  for (let round = 2; round <= 6; round += 1) write([change(configuration, `${round}\n`)], options)
  for (let round = 1; round <= 15; round += 1) {
    undo(state, configuration, options)
    redo(state, configuration, options)
  }
  expect(value(listRuns(state)).length).toBeLessThan(30)
  for (let round = 1; round <= 6; round += 1) undo(state, configuration, options)
  expect(listing(nixos)).toEqual(BEFORE)
  for (let round = 1; round <= 6; round += 1) redo(state, configuration, options)
  expect(read(configuration)).toBe('6\n')
})

test('of twenty-five runs, keeps the last twenty and undoes them one after the other', () => {
  const { nixos, state, options } = makePlace()
  const path = join(nixos, 'a.nix')
  for (let round = 1; round <= 25; round += 1) write([change(path, `${round}\n`)], options)
  for (let round = 24; round >= 5; round -= 1) {
    undo(state, path, options)
    expect(read(path)).toBe(`${round}\n`)
  }
  expect(lastRun(state, path)).toMatchObject({ error: { code: 'NO_RUN' } })
})

test('finds no runs without a state folder', () => {
  const { state } = makePlace()
  expect(listRuns(state)).toEqual({ ok: true, value: [] })
})

needing('root')('does not read runs that others could have written', () => {
  const { state, configuration } = applied()
  chmodSync(join(state, 'runs'), 0o777)
  expect(lastRun(state, configuration)).toMatchObject({
    error: { code: 'NOT_PRIVATE', path: join(state, 'runs'), mode: 0o777 }
  })
})

test('undoes a run on a system below /mnt after the system was mounted elsewhere', () => {
  const { top, nixos, options } = makePlace()
  const [mnt, etc] = [join(top, 'mnt'), join(top, 'mnt/etc')]
  mkdirSync(etc, { recursive: true })
  writeFileSync(join(etc, 'a.nix'), 'old\n', { mode: 0o644 })
  const stateFolder = join(mnt, 'var/lib/vfio-patch')
  const module = change(join(etc, 'vfio/default.nix'), 'm\n')
  write([module, change(join(etc, 'a.nix'), 'new\n')], { ...options, stateFolder, root: mnt })

  const found = lastRun(stateFolder, join(etc, 'a.nix'), { root: mnt })
  expect(value(found).files.map(({ path }) => path)).toEqual([
    '/etc/vfio/default.nix',
    '/etc/a.nix'
  ])
  // The parents of the state folder belong to the new system, so they are not private.
  if (process.getuid?.() === 0)
    expect(listing(mnt).filter(line => line.includes(' var'))).toEqual(
      expect.arrayContaining(['0755 var/', '0755 var/lib/', '0700 var/lib/vfio-patch/'])
    )
  expect(existsSync(join(nixos, 'var'))).toBe(false)

  const started = join(top, 'started')
  renameSync(mnt, started)
  const again = lastRun(join(started, 'var/lib/vfio-patch'), join(started, 'etc/a.nix'), {
    root: started
  })
  expect(summary(planned(value(again)))).toEqual([
    ['change', join(started, 'etc/a.nix')],
    ['delete', join(started, 'etc/vfio/default.nix')]
  ])
})

test('separates the runs of several systems in one state folder', () => {
  const { top, state, options } = makePlace()
  const [one, two] = [join(top, 'one'), join(top, 'two')]
  for (const root of [one, two]) {
    mkdirSync(join(root, 'etc'), { recursive: true })
    writeFileSync(join(root, 'etc/a.nix'), 'old\n')
    write([change(join(root, 'etc/a.nix'), `${root}\n`)], { ...options, root })
  }
  const last = (root: string) => lastRun(state, join(root, 'etc/a.nix'), { root })
  expect([value(last(one)).id, value(last(two)).id]).toEqual([
    '20261122-160312-1',
    '20261122-160312-2'
  ])
  expect(value(listRuns(state, { root: one })).map(({ id }) => id)).toEqual(['20261122-160312-1'])
  expect(listRuns(state)).toEqual({ ok: true, value: [] })
  expect(runById(state, '20261122-160312-1', { root: two })).toMatchObject({
    error: { code: 'NO_RUN' }
  })
  write(planned(value(last(one))), { ...options, root: one })
  expect(read(join(one, 'etc/a.nix'))).toBe('old\n')
  expect(read(join(two, 'etc/a.nix'))).toBe(`${two}\n`)
})

test('keeps twenty runs for each file, however many runs other files have', () => {
  const { nixos, state, options } = makePlace()
  const [path, other] = [join(nixos, 'a.nix'), join(nixos, 'b.nix')]
  write([change(other, 'other\n')], options)
  for (let round = 1; round <= 25; round += 1) write([change(path, `${round}\n`)], options)
  const runs = value(listRuns(state))
  expect(runs.map(({ id }) => id)).toEqual(
    [26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 1].map(
      number => `20261122-160312-${number}`
    )
  )
  undo(state, path, options)
  expect(read(path)).toBe('24\n')
  undo(state, other, options)
  expect(existsSync(other)).toBe(false)
})

function write(changes: FileChange[], options: CommitOptions): void {
  const done = commit(changes, options)
  expect(done).toMatchObject({ ok: true, value: { warnings: [] } })
}

function undo(state: Place['state'], path: string, options: CommitOptions): void {
  const run = lastOf(state, path)
  write(planned(run), { ...options, command: 'undo', purpose: { undoes: run.id } })
}

function redo(state: Place['state'], path: string, options: CommitOptions): void {
  const { run, by } = value(lastUndone(state, path))
  write(planned(by), { ...options, command: 'undo --redo', purpose: { redoes: run.id } })
}

function lastOf(state: string, path: string): Run {
  return value(lastRun(state, path))
}

function planned(run: Run): FileChange[] {
  return value(planUndo(run))
}

function summary(changes: FileChange[]): string[][] {
  return changes.map(({ realpath, before, after }) => [
    before === null ? 'make' : after === null ? 'delete' : 'change',
    realpath
  ])
}

function value<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}
