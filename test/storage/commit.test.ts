import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  statSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { commit } from '../../src/storage/commit.ts'
import { copyAttributes } from '../../src/storage/write.ts'
import { compiled } from './support/compile.ts'
import { change, hashOf, read } from './support/files.ts'
import { jobOf, runJob } from './support/job.ts'
import { listing, listingIfAny } from './support/listing.ts'
import { needing } from './support/needing.ts'
import { makePlace } from './support/place.ts'

const folder = compiled()

test('writes new files and the configuration, and records a run with a copy of the original', () => {
  const { nixos, state, options } = makePlace()
  const configuration = join(nixos, 'configuration.nix')
  writeFileSync(configuration, 'old\n', { mode: 0o640 })

  const done = commit(
    [
      { ...change(join(nixos, 'vfio/default.nix'), 'module\n'), ownershipFrom: configuration },
      { ...change(join(nixos, 'vfio/guests/win.nix'), 'guest\n'), ownershipFrom: configuration },
      change(configuration, 'new\n')
    ],
    options
  )

  expect(done).toEqual({
    ok: true,
    value: {
      run: { id: '20261122-160312-1', folder: join(state, 'runs/20261122-160312-1') },
      warnings: [],
      leftovers: []
    }
  })
  expect(listing(nixos)).toEqual([
    '0640 configuration.nix: new',
    '0755 vfio/',
    '0640 vfio/default.nix: module',
    '0755 vfio/guests/',
    '0640 vfio/guests/win.nix: guest'
  ])
  expect(JSON.parse(read(join(state, 'runs/20261122-160312-1/manifest.json')))).toEqual({
    schema: 'vfio-patch/run',
    schemaVersion: 1,
    id: '20261122-160312-1',
    tool: '1.0.0',
    command: 'apply',
    started: '2026-11-22T16:03:12.000Z',
    root: relative(state, '/'),
    files: [
      {
        path: join(nixos, 'vfio/default.nix'),
        before: null,
        after: { sha256: hashOf('module\n') }
      },
      {
        path: join(nixos, 'vfio/guests/win.nix'),
        before: null,
        after: { sha256: hashOf('guest\n') }
      },
      {
        path: configuration,
        before: {
          sha256: hashOf('old\n'),
          mode: 0o640,
          uid: process.getuid?.(),
          gid: process.getgid?.(),
          copy: '3.before'
        },
        after: { sha256: hashOf('new\n') }
      }
    ],
    folders: [join(nixos, 'vfio'), join(nixos, 'vfio/guests')]
  })
  expect(listing(state).map(line => line.split('{')[0])).toEqual([
    '0700 runs/',
    '0700 runs/20261122-160312-1/',
    '0600 runs/20261122-160312-1/3.before: old',
    '0600 runs/20261122-160312-1/done: ',
    '0600 runs/20261122-160312-1/manifest.json: '
  ])
})

test('does not touch files that are up to date, and records no run if all files are', () => {
  const { nixos, state, options } = makePlace()
  const [one, two] = [join(nixos, 'one.nix'), join(nixos, 'two.nix')]
  for (const path of [one, two]) {
    writeFileSync(path, 'old\n', { mode: 0o644 })
    utimesSync(path, 1000, 2000)
  }
  const before = statSync(one)

  const nothing = commit([change(one, 'old\n'), change(two, 'old\n')], options)
  expect(nothing).toEqual({ ok: true, value: { run: null, warnings: [], leftovers: [] } })
  expect(existsSync(state)).toBe(false)

  commit([change(one, 'old\n'), change(two, 'new\n')], options)
  const { ino, mtimeMs } = statSync(one)
  expect([ino, mtimeMs]).toEqual([before.ino, 2_000_000])
  expect(listing(nixos)).toEqual(['0644 one.nix: old', '0644 two.nix: new'])
  expect(listing(state).map(line => line.slice(0, 45))).toEqual([
    '0700 runs/',
    '0700 runs/20261122-160312-1/',
    '0600 runs/20261122-160312-1/1.before: old',
    '0600 runs/20261122-160312-1/done: ',
    '0600 runs/20261122-160312-1/manifest.json: {\n'.slice(0, 45)
  ])
})

test('deletes files after all writes, and then their folders if these are empty', () => {
  const { nixos, options } = makePlace()
  mkdirSync(join(nixos, 'vfio/guests'), { recursive: true })
  for (const name of ['configuration.nix', 'vfio/default.nix', 'vfio/guests/win.nix'])
    writeFileSync(join(nixos, name), 'old\n', { mode: 0o644 })
  writeFileSync(join(nixos, 'vfio/mine.nix'), 'mine\n', { mode: 0o644 })
  const emptied = [join(nixos, 'vfio'), join(nixos, 'vfio/guests')]

  const done = commit(
    [
      { ...change(join(nixos, 'vfio/default.nix'), null), emptied },
      { ...change(join(nixos, 'vfio/guests/win.nix'), null), emptied },
      change(join(nixos, 'configuration.nix'), 'new\n')
    ],
    options
  )

  expect(done).toMatchObject({ ok: true, value: { warnings: [] } })
  expect(listing(nixos)).toEqual([
    '0644 configuration.nix: new',
    '0755 vfio/',
    '0644 vfio/mine.nix: mine'
  ])
})

test('makes a change that only deletes files', () => {
  const { nixos, options } = makePlace()
  const [one, two] = [join(nixos, 'one.nix'), join(nixos, 'two.nix')]
  for (const path of [one, two]) writeFileSync(path, 'old\n')
  const done = commit([change(one, null), change(two, null)], options)
  expect(done).toMatchObject({ ok: true, value: { warnings: [] } })
  expect(listing(nixos)).toEqual([])
})

test.each([
  { now: 'edited\n', what: 'edited' },
  { now: null, what: 'deleted' }
])('refuses a file that was $what after it was read', ({ now }) => {
  const { nixos, state, options } = makePlace()
  const path = join(nixos, 'configuration.nix')
  writeFileSync(path, 'old\n', { mode: 0o644 })
  const [module, planned] = [change(join(nixos, 'm.nix'), 'm\n'), change(path, 'new\n')]
  if (now === null) commit([change(path, null)], { ...options, backup: false })
  else writeFileSync(path, now)

  const found = now === null ? null : hashOf(now)
  expect(commit([module, planned], options)).toEqual({
    ok: false,
    error: {
      code: 'STALE',
      path,
      found,
      onDisk: [
        { path: join(nixos, 'm.nix'), state: 'before', sha256: null },
        { path, state: 'other', sha256: found }
      ],
      leftovers: []
    }
  })
  expect(listing(nixos)).toEqual(now === null ? [] : ['0644 configuration.nix: edited'])
  expect(listingIfAny(state)).toEqual([])
})

test('refuses to create a file that someone else created after planning', () => {
  const { nixos, options } = makePlace()
  const path = join(nixos, 'vfio.nix')
  const planned = change(path, 'planned\n')
  writeFileSync(path, 'existing\n', { mode: 0o644 })
  expect(commit([planned], options)).toMatchObject({
    error: { code: 'STALE', path, found: hashOf('existing\n') }
  })
  expect(listing(nixos)).toEqual(['0644 vfio.nix: existing'])
})

test('writes binary and empty content', () => {
  const { nixos, options } = makePlace()
  const [one, two] = [join(nixos, 'one.nix'), join(nixos, 'two.nix')]
  writeFileSync(two, 'old\n')
  const bytes = Buffer.from([0xff, 0x00, 0x0d, 0x0a, 0x80])
  const changes = [
    { realpath: one, before: null, after: bytes },
    { realpath: two, before: { sha256: hashOf('old\n') }, after: Buffer.alloc(0) }
  ]
  expect(commit(changes, options)).toMatchObject({ ok: true })
  expect(spawnSync('cat', [one]).stdout).toEqual(bytes)
  expect(statSync(two).size).toBe(0)
})

test('gives a new file the owner of its folder and the mode 0644, whatever the umask', () => {
  const { nixos, options } = makePlace()
  const umask = process.umask(0o077)
  try {
    commit([change(join(nixos, 'vfio/default.nix'), 'm\n')], options)
  } finally {
    process.umask(umask)
  }
  expect(listing(nixos)).toEqual(['0755 vfio/', '0644 vfio/default.nix: m'])
})

needing('root')("keeps owner, group and mode of a user's file that root changes with sudo", () => {
  const { nixos, options } = makePlace()
  const path = join(nixos, 'configuration.nix')
  writeFileSync(path, 'old\n')
  for (const each of [nixos, path]) chownSync(each, 1234, 4321)
  chmodSync(path, 0o640)
  const people = { trusted: new Set([0, 1234]), passwd: '', group: '' }
  const module = { ...change(join(nixos, 'vfio/default.nix'), 'm\n'), ownershipFrom: path }

  commit([module, change(path, 'new\n')], { ...options, people })

  expect(listing(nixos)).toEqual([
    '0640 1234:4321 configuration.nix: new',
    '0755 1234:4321 vfio/',
    '0640 1234:4321 vfio/default.nix: m'
  ])
})

needing(
  'root',
  'GNU cp',
  'python3'
)('keeps extended attributes and the access list', () => {
  const { nixos, options } = makePlace()
  const path = join(nixos, 'configuration.nix')
  writeFileSync(path, 'old\n', { mode: 0o640 })
  // user::rw- user:1234:rw- group::r-- mask::rw- other::---, in the kernel's format.
  const list =
    '0200000001000600ffffffff02000600d204000004000400ffffffff10000600ffffffff20000000ffffffff'
  python(`os.setxattr(p, "user.note", b"keep me")`, path)
  python(`os.setxattr(p, "system.posix_acl_access", bytes.fromhex("${list}"))`, path)
  const times = statSync(path).mtimeMs

  expect(commit([change(path, 'new\n')], options)).toMatchObject({ ok: true })

  expect(listing(nixos)).toEqual(['0660 configuration.nix: new'])
  expect(python('print(os.getxattr(p, "user.note").decode())', path)).toBe('keep me')
  expect(python('print(os.getxattr(p, "system.posix_acl_access").hex())', path)).toBe(list)
  expect(statSync(path).mtimeMs).toBeGreaterThan(times)
})

test('does not use a cp that is not from GNU', () => {
  const { nixos } = makePlace()
  const cp = join(nixos, 'cp')
  writeFileSync(cp, '#!/bin/sh\necho "cp: unrecognized option"; exit 1\n', { mode: 0o755 })
  expect(copyAttributes(cp, 1, cp)).toBe(null)
  expect(copyAttributes(cp, 1, null)).toBe(null)
})

test('reports a GNU cp that fails', () => {
  const { nixos } = makePlace()
  const cp = join(nixos, 'cp')
  const says = 'test "$1" = --version && echo "cp (GNU coreutils) 9.1" && exit 0; exit 1'
  writeFileSync(cp, `#!/bin/sh\n${says}\n`, { mode: 0o755 })
  expect(copyAttributes(cp, 1, cp)).toEqual({
    code: 'IO_ERROR',
    path: cp,
    errno: 'EIO',
    syscall: 'cp'
  })
})

test('lets one of two concurrent processes write, and refuses the other with LOCKED or STALE', async () => {
  const { nixos, options } = makePlace()
  const path = join(nixos, 'configuration.nix')
  for (let round = 0; round < 5; round += 1) {
    writeFileSync(path, 'old\n')
    const jobs = ['one\n', 'two\n'].map(text => jobOf([change(path, text)], options))
    const results = await Promise.all(jobs.map(job => runJob(folder(), job)))
    const [winner, ...others] = [...results.keys()].filter(index => results[index]?.ok)
    expect(others).toEqual([])
    const loser = results[winner === 0 ? 1 : 0]
    expect(['STALE', 'LOCKED']).toContain(loser?.ok === false && loser.error.code)
    expect(read(path)).toBe(winner === 0 ? 'one\n' : 'two\n')
  }
})

test('throws for two changes of one file and for a relative path', () => {
  const { nixos, options } = makePlace()
  const path = join(nixos, 'a.nix')
  expect(() => commit([change(path, 'a'), change(path, 'b')], options)).toThrow(
    'two changes of one file'
  )
  expect(() => commit([change('a.nix', 'a')], options)).toThrow('not an absolute path: a.nix')
})

function python(code: string, path: string): string {
  const script = `import os, sys; p = sys.argv[1]; ${code}`
  const { status, stdout, stderr } = spawnSync('python3', ['-c', script, path], {
    encoding: 'utf8'
  })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}
