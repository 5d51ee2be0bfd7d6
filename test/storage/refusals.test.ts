import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findObstacle, knownPeople } from '../../src/storage/access.ts'
import { commit } from '../../src/storage/commit.ts'
import type { FileChange } from '../../src/storage/work.ts'
import { AS_NOBODY } from '../support/needing.ts'
import { compiled } from './support/compile.ts'
import { change, hashOf, read } from './support/files.ts'
import { jobOf, runJob } from './support/job.ts'
import { listing, listingIfAny } from './support/listing.ts'
import { needing } from './support/needing.ts'
import { makePlace, type Place } from './support/place.ts'

const folder = compiled()
const NOBODY = [...AS_NOBODY, 'env', '-u', 'HOME']

/** A configuration, and changes of it with a new module. */
function given({ nixos }: Place): { configuration: string; changes: FileChange[] } {
  const configuration = join(nixos, 'configuration.nix')
  writeFileSync(configuration, 'old\n', { mode: 0o644 })
  const module = { ...change(join(nixos, 'vfio/default.nix'), 'm\n'), ownershipFrom: configuration }
  return { configuration, changes: [module, change(configuration, 'new\n')] }
}

/** Expects that nothing was changed, backed up or left over, and that the error says so. */
function expectUntouched(place: Place, error: unknown): void {
  expect(error).toMatchObject({ onDisk: [{ state: 'before' }, { state: 'before' }], leftovers: [] })
  expect(listing(place.nixos)).toEqual([expect.stringMatching(/configuration\.nix: old$/)])
  expect(listingIfAny(place.state)).toEqual([])
}

test('refuses a file with hard links', () => {
  const place = makePlace()
  const { configuration, changes } = given(place)
  linkSync(configuration, join(place.top, 'other'))
  const { error } = refused(commit(changes, place.options))
  expect(error).toMatchObject({ code: 'HARD_LINKS', path: configuration, count: 2 })
  expectUntouched(place, error)
})

test('refuses a folder, a pipe or a symlink in place of the file', () => {
  const { nixos, options } = makePlace()
  const path = join(nixos, 'configuration.nix')
  const to = { realpath: path, before: { sha256: hashOf('old\n') }, after: Buffer.from('new\n') }

  mkdirSync(path)
  expect(commit([to], options)).toMatchObject({ error: { code: 'IS_DIRECTORY', path } })
  rmSync(path, { recursive: true })

  spawnSync('mkfifo', [path])
  expect(commit([to], options)).toMatchObject({ error: { code: 'NOT_REGULAR', path } })
  rmSync(path)

  writeFileSync(join(nixos, 'real.nix'), 'old\n')
  symlinkSync('real.nix', path)
  expect(commit([to], options)).toMatchObject({ error: { code: 'NOT_REGULAR', path } })
  expect(listing(nixos)).toEqual(['configuration.nix -> real.nix', '0644 real.nix: old'])
})

test('refuses a path through a symlink', () => {
  const place = makePlace()
  given(place)
  symlinkSync('nixos', join(place.top, 'link'))
  const path = join(place.top, 'link/configuration.nix')
  expect(commit([change(path, 'new\n')], place.options)).toMatchObject({
    error: { code: 'NOT_REGULAR', path }
  })
  expect(read(path)).toBe('old\n')
})

test('refuses a file in place of the folder for a new file', () => {
  const { nixos, options } = makePlace()
  writeFileSync(join(nixos, 'vfio'), 'mine\n', { mode: 0o644 })
  expect(commit([change(join(nixos, 'vfio/guests/win.nix'), 'm\n')], options)).toMatchObject({
    error: { code: 'NOT_DIRECTORY', path: join(nixos, 'vfio') }
  })
  expect(findObstacle(join(nixos, 'vfio/guests/win.nix'))).toEqual({
    code: 'NOT_DIRECTORY',
    path: join(nixos, 'vfio')
  })
  expect(listing(nixos)).toEqual(['0644 vfio: mine'])
})

test('refuses a file in the store', () => {
  const path = '/nix/store/0000-source/configuration.nix'
  expect(findObstacle(path)).toEqual({ code: 'STORE_LINK', path, hops: [path] })
})

test('refuses a folder that everyone can write to', () => {
  const place = makePlace()
  const { changes } = given(place)
  chmodSync(place.nixos, 0o777)
  const { error } = refused(commit(changes, place.options))
  expect(error).toMatchObject({ code: 'OPEN_FOLDER', path: place.nixos, mode: 0o777 })
  expectUntouched(place, error)
})

needing('root')("refuses another user's folder, unless that user called sudo", () => {
  const place = makePlace()
  const { configuration, changes } = given(place)
  chownSync(place.nixos, 1234, 100)
  chownSync(configuration, 1234, 100)

  const { error } = refused(commit(changes, { ...place.options, people: knownPeople({}) }))
  expect(error).toMatchObject({ code: 'OPEN_FOLDER', path: place.nixos, uid: 1234, gid: 100 })
  expectUntouched(place, error)

  const people = knownPeople({ SUDO_UID: '1234' })
  expect(commit(changes, { ...place.options, people })).toMatchObject({ ok: true })
  expect(listing(place.nixos)).toEqual([
    '0644 1234:100 configuration.nix: new',
    '0755 1234:100 vfio/',
    '0644 1234:100 vfio/default.nix: m'
  ])
})

needing('root')('refuses a folder whose group has untrusted members', () => {
  const place = makePlace()
  const { changes } = given(place)
  chownSync(place.nixos, 0, 900)
  chmodSync(place.nixos, 0o2775)
  const people = (members: string) => ({
    trusted: new Set([0, 1234]),
    passwd: 'alice:x:1234:100::/:/bin/sh\nbob:x:1235:100::/:/bin/sh\n',
    group: `wheel:x:900:${members}\n`
  })
  expect(commit(changes, { ...place.options, people: people('alice,bob') })).toMatchObject({
    error: { code: 'OPEN_FOLDER', path: place.nixos, gid: 900, mode: 0o2775 }
  })
  expect(commit(changes, { ...place.options, people: people('alice') })).toMatchObject({ ok: true })
})

needing('root', 'chattr').each([
  { mark: '+i', on: 'configuration.nix' },
  { mark: '+i', on: '.' }
])('refuses after chattr $mark $on', ({ mark, on }) => {
  const place = makePlace()
  const { changes } = given(place)
  const path = join(place.nixos, on)
  chattr(mark, path)
  const { error } = refused(commit(changes, place.options))
  expect(error).toMatchObject({ code: 'IMMUTABLE', path })
  expectUntouched(place, error)
})

needing('root', 'chattr')('rolls everything back if the rename fails because of chattr +a', () => {
  const place = makePlace()
  const { configuration, changes } = given(place)
  chattr('+a', configuration)
  const { error } = refused(commit(changes, place.options))
  expect(error).toMatchObject({ code: 'IMMUTABLE', path: configuration, leftovers: [] })
  expect(listing(place.nixos)).toEqual(['0644 configuration.nix: old'])
  expect(listing(place.state)).toEqual(['0700 runs/'])
})

needing('root', 'unshare')('refuses a read-only file system', async () => {
  const place = makePlace()
  const { changes } = given(place)
  const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
  const below = ['unshare', '-m', 'sh', '-c', script, place.nixos]
  const { error } = refused(await runJob(folder(), jobOf(changes, place.options), below))
  expect(error).toMatchObject({ code: 'READ_ONLY_FS', path: place.nixos })
  expectUntouched(place, error)
})

needing('root', 'unshare')(
  'refuses a file that is a mount point, and finds its source',
  async () => {
    const place = makePlace()
    const { configuration, changes } = given(place)
    const source = join(place.top, 'persist/con fig.nix')
    mkdirSync(join(place.top, 'persist'))
    writeFileSync(source, 'old\n')
    const below = ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" "$1" && shift && exec "$@"']
    const job = jobOf(changes, place.options)
    const result = await runJob(folder(), job, [...below, source, configuration])
    const { error } = refused(result)
    expect(error).toMatchObject({ code: 'MOUNT_POINT', path: configuration, source })
    expectUntouched(place, error)
  }
)

needing('root', 'node as nobody')(
  "refuses another user's file without write permission",
  async () => {
    const place = makePlace()
    const { configuration, changes } = given(place)
    chmodSync(place.top, 0o755)
    const job = jobOf(changes, place.options)

    const first = refused(await runJob(folder(), job, NOBODY))
    expect(first.error).toMatchObject({ code: 'NOT_WRITABLE', path: place.nixos, errno: 'EACCES' })
    expectUntouched(place, first.error)

    // A rename would succeed here and change the owner.
    chownSync(place.nixos, 65534, 65534)
    chmodSync(configuration, 0o666)
    const second = refused(await runJob(folder(), job, NOBODY))
    expect(second.error).toMatchObject({
      code: 'NOT_WRITABLE',
      path: configuration,
      errno: 'EPERM'
    })
    expectUntouched(place, second.error)
  }
)

needing('root', 'node as nobody')(
  'refuses a state folder that the caller cannot write to',
  async () => {
    const place = makePlace()
    const { configuration, changes } = given(place)
    chmodSync(place.top, 0o755)
    chownSync(place.nixos, 65534, 65534)
    chownSync(configuration, 65534, 65534)

    const first = refused(await runJob(folder(), jobOf(changes, place.options), NOBODY))
    const cause = { code: 'NOT_WRITABLE', path: place.state, errno: 'EACCES' }
    expect(first.error).toMatchObject({ code: 'BACKUP_FAILED', path: place.state, cause })
    expectUntouched(place, first.error)

    const second = await runJob(
      folder(),
      jobOf(changes, { ...place.options, backup: false }),
      NOBODY
    )
    expect(second).toEqual({ ok: true, value: { run: null, warnings: [], leftovers: [] } })
    expect(listing(place.nixos)).toEqual([
      '0644 65534:65534 configuration.nix: new',
      '0755 65534:65534 vfio/',
      '0644 65534:65534 vfio/default.nix: m'
    ])
  }
)

needing('root')('refuses a state folder that others can write to', () => {
  const place = makePlace()
  const { changes } = given(place)
  mkdirSync(join(place.state, 'runs'), { recursive: true, mode: 0o700 })
  chmodSync(join(place.state, 'runs'), 0o777)
  const { error } = refused(commit(changes, place.options))
  const cause = { code: 'NOT_PRIVATE', path: join(place.state, 'runs'), uid: 0, mode: 0o777 }
  expect(error).toMatchObject({ code: 'BACKUP_FAILED', path: place.state, cause })
  expect(listing(place.nixos)).toEqual(['0644 configuration.nix: old'])
})

needing('root', 'unshare')('rolls everything back if a full disk cuts a write short', async () => {
  const place = makePlace()
  const configuration = join(place.nixos, 'configuration.nix')
  const old = 'a'.repeat(30_000)
  writeFileSync(join(place.top, 'old'), old)
  const after = Buffer.from('b'.repeat(60_000))
  const changes = [{ realpath: configuration, before: { sha256: hashOf(old) }, after }]
  const script = `
    mount -t tmpfs -o size=64k,mode=755 none "$0" && cp "$0/../old" "$0/configuration.nix" || exit 9
    "$@"; ls -lAn "$0" > "$0/../names"; cp "$0/configuration.nix" "$0/../after"`
  const below = ['unshare', '-m', 'sh', '-c', script, place.nixos]
  const { error } = refused(await runJob(folder(), jobOf(changes, place.options), below))

  expect(error).toMatchObject({
    code: 'NO_SPACE',
    path: configuration,
    needed: 60_000,
    onDisk: [{ path: configuration, state: 'before', sha256: hashOf(old) }],
    leftovers: []
  })
  expect(read(join(place.top, 'after'))).toBe(old)
  expect(read(join(place.top, 'names')).trim().split('\n')).toEqual([
    expect.stringMatching(/^total /),
    expect.stringMatching(/^-rw-r--r-- 1 0 0 30000 .* configuration\.nix$/)
  ])
  expect(listing(place.state)).toEqual(['0700 runs/'])
})

needing('root', 'unshare')('refuses if the disk is too full for the backups', async () => {
  const place = makePlace()
  const { configuration } = given(place)
  const old = 'a'.repeat(100_000)
  writeFileSync(configuration, old)
  mkdirSync(place.state, { mode: 0o700 })
  const script = 'mount -t tmpfs -o size=64k,mode=700 none "$0" && exec "$@"'
  const below = ['unshare', '-m', 'sh', '-c', script, place.state]
  const changes = [change(configuration, 'new\n')]
  const { error } = refused(await runJob(folder(), jobOf(changes, place.options), below))
  const copy = join(place.state, 'runs/20261122-160312-1/1.before')
  expect(error).toMatchObject({
    code: 'BACKUP_FAILED',
    path: place.state,
    cause: { code: 'NO_SPACE', path: copy, needed: 100_000 }
  })
  expect(readFileSync(configuration, 'utf8')).toBe(old)
  expect(readdirSync(place.nixos)).toEqual(['configuration.nix'])
})

function refused<T>(result: { ok: true } | { ok: false; error: T }): { error: T } {
  if (result.ok) throw new Error('it was written')
  return result
}

function chattr(mark: string, path: string): void {
  const { status, stderr } = spawnSync('chattr', [mark, path], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  onTestFinished(() => {
    spawnSync('chattr', [mark.replace('+', '-'), path])
  })
}
