import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { commit } from '../../src/storage/commit.ts'
import { recover } from '../../src/storage/recovery.ts'
import { change, hashOf, read } from './support/files.ts'
import { listing } from './support/listing.ts'
import { makePlace } from './support/place.ts'

/** What strace can't inject: calls that succeed but report an error, and edits at a given moment. */
const calls = vi.hoisted(() => ({
  afterRename: (_to: string) => {},
  beforeOpen: (_path: string) => {},
  afterSync: () => {}
}))

vi.mock('node:fs', async original => {
  const real = await original<typeof fs>()
  return {
    ...real,
    renameSync: (from: string, to: string) => {
      real.renameSync(from, to)
      calls.afterRename(to)
    },
    openSync: (path: string, ...rest: [fs.OpenMode, fs.Mode?]) => {
      calls.beforeOpen(path)
      return real.openSync(path, ...rest)
    },
    fsyncSync: (fd: number) => {
      real.fsyncSync(fd)
      calls.afterSync()
    }
  }
})

afterEach(() => {
  calls.afterRename = () => {}
  calls.beforeOpen = () => {}
  calls.afterSync = () => {}
})

function given() {
  const place = makePlace()
  const [module, path] = [join(place.nixos, 'm.nix'), join(place.nixos, 'configuration.nix')]
  fs.writeFileSync(path, 'old\n', { mode: 0o644 })
  return { ...place, module, path, changes: [change(module, 'm\n'), change(path, 'new\n')] }
}

test('keeps the change, with a warning, if the last rename succeeds but reports EIO', () => {
  const { nixos, path, changes, options } = given()
  calls.afterRename = to => {
    if (to === path) throw systemError('EIO', 'rename')
  }
  expect(commit(changes, options)).toMatchObject({
    ok: true,
    value: {
      run: { id: '20261122-160312-1' },
      warnings: [{ code: 'IO_ERROR', path, errno: 'EIO', syscall: 'rename' }]
    }
  })
  expect(listing(nixos)).toEqual(['0644 configuration.nix: new', '0644 m.nix: m'])
})

test('rolls the change back if the rename of a module succeeds but reports EIO', () => {
  const { nixos, module, changes, options } = given()
  calls.afterRename = to => {
    if (to === module) throw systemError('EIO', 'rename')
  }
  const onDisk = [{ state: 'before' }, { state: 'before' }]
  expect(commit(changes, options)).toMatchObject({ error: { path: module, onDisk, leftovers: [] } })
  expect(listing(nixos)).toEqual(['0644 configuration.nix: old'])
})

test('keeps modules and backup if the outcome of the last rename is unknown', () => {
  const { nixos, state, module, path, changes, options } = given()
  let broken = false
  calls.afterRename = to => {
    broken ||= to === path
    if (broken) throw systemError('EIO', 'rename')
  }
  calls.beforeOpen = opened => {
    if (broken && opened === path) throw systemError('EIO', 'open')
  }
  expect(commit(changes, options)).toEqual({
    ok: false,
    error: {
      code: 'IO_ERROR',
      path,
      errno: 'EIO',
      syscall: 'rename',
      onDisk: [
        { path: module, state: 'after', sha256: hashOf('m\n') },
        { path, state: 'unknown', sha256: null }
      ],
      leftovers: [join(state, 'runs/20261122-160312-1'), module]
    }
  })
  broken = false
  expect(recover({ paths: [path], stateFolder: state })).toEqual({
    ok: true,
    value: [
      {
        command: 'apply',
        started: '2026-11-22T16:03:12.000Z',
        run: '20261122-160312-1',
        outcome: 'finished',
        files: [module, path],
        created: [module],
        deleted: []
      }
    ]
  })
  expect(listing(nixos)).toEqual(['0644 configuration.nix: new', '0644 m.nix: m'])
})

test('keeps an edit made between the backup and the rename', () => {
  const { nixos, path, changes, options } = given()
  calls.afterSync = () => {
    if (fs.readdirSync(nixos).some(name => name.startsWith('.configuration')))
      fs.writeFileSync(path, 'edited\n')
  }
  expect(commit(changes, options)).toMatchObject({
    error: {
      code: 'STALE',
      path,
      found: hashOf('edited\n'),
      onDisk: [{ state: 'before' }, { path, state: 'other' }],
      leftovers: []
    }
  })
  expect(listing(nixos)).toEqual(['0644 configuration.nix: edited'])
})

test('rolls back everything except a new module that was edited meanwhile', () => {
  const { nixos, module, path, changes, options } = given()
  calls.afterRename = to => {
    if (to === module) {
      fs.writeFileSync(module, 'edited\n')
      fs.writeFileSync(path, 'edited\n')
    }
  }
  expect(commit(changes, options)).toMatchObject({ error: { code: 'STALE', leftovers: [module] } })
  expect(listing(nixos)).toEqual(['0644 configuration.nix: edited', '0644 m.nix: edited'])
})

test('warns and keeps a file if it was edited before the run could delete it', () => {
  const { nixos, module, path, options } = given()
  fs.writeFileSync(module, 'm\n', { mode: 0o644 })
  calls.afterRename = to => {
    if (to === path) fs.writeFileSync(module, 'edited\n')
  }
  const done = commit([change(path, 'new\n'), change(module, null)], options)
  expect(done).toMatchObject({
    ok: true,
    value: { warnings: [{ code: 'STALE', path: module, found: hashOf('edited\n') }] }
  })
  expect(listing(nixos)).toEqual(['0644 configuration.nix: new', '0644 m.nix: edited'])
})

test('rolls everything back after an unexpected error, and rethrows the error', () => {
  const { nixos, state, module, path, changes, options } = given()
  calls.afterRename = to => {
    if (to === module) throw new TypeError('a bug')
  }
  expect(() => commit(changes, options)).toThrow('a bug')
  expect(read(path)).toBe('old\n')
  expect(listing(nixos)).toEqual(['0644 configuration.nix: old'])
  expect(listing(state)).toEqual(['0700 runs/'])
})

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(code), { code, errno: -5, syscall })
}
