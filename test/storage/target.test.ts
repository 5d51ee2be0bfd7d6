import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { locateTarget, readTarget } from '../../src/storage/read.ts'
import { hashOf } from './support/files.ts'
import { makePlace } from './support/place.ts'

test('reads bytes, hash, owner and mode', () => {
  const { nixos } = makePlace()
  const path = join(nixos, 'configuration.nix')
  writeFileSync(path, '{ }\r\n', { mode: 0o640 })
  expect(readTarget(path)).toEqual({
    ok: true,
    value: {
      path,
      realpath: path,
      bytes: Buffer.from('{ }\r\n'),
      sha256: hashOf('{ }\r\n'),
      mode: 0o640,
      uid: process.getuid?.(),
      gid: process.getgid?.()
    }
  })
})

test('follows symlinks to files and folders, relative and absolute', () => {
  const { top, nixos } = makePlace()
  mkdirSync(join(top, 'repo/hosts'), { recursive: true })
  writeFileSync(join(top, 'repo/hosts/pc.nix'), '{ }')
  symlinkSync('../repo/./hosts', join(nixos, 'hosts'))
  symlinkSync(join(nixos, 'hosts/../hosts/pc.nix'), join(nixos, 'configuration.nix'))
  expect(readTarget(join(nixos, 'configuration.nix'))).toMatchObject({
    value: {
      path: join(nixos, 'configuration.nix'),
      realpath: join(top, 'repo/hosts/pc.nix')
    }
  })
})

test('resolves absolute symlinks inside another root, and never leaves that root', () => {
  const { top } = makePlace()
  const root = join(top, 'mnt')
  mkdirSync(join(root, 'etc/nixos'), { recursive: true })
  mkdirSync(join(root, 'persist'))
  writeFileSync(join(root, 'persist/pc.nix'), 'pc')
  symlinkSync('/persist/pc.nix', join(root, 'etc/nixos/configuration.nix'))
  symlinkSync('../../../../../../persist', join(root, 'etc/up'))
  symlinkSync(root, join(top, 'link-to-root'))

  const realpath = join(root, 'persist/pc.nix')
  const read = (path: string, of = root) => readTarget(path, { root: of })
  expect(read(join(root, 'etc/nixos/configuration.nix'))).toMatchObject({ value: { realpath } })
  expect(read(join(root, 'etc/up/pc.nix'))).toMatchObject({ value: { realpath } })
  const other = join(top, 'link-to-root')
  expect(read(join(other, 'etc/up/pc.nix'), `${other}/`)).toMatchObject({ value: { realpath } })
  expect(read('/etc/passwd')).toEqual({
    ok: false,
    error: { code: 'OUTSIDE_ROOT', path: '/etc/passwd', root }
  })
  expect(read(`${root}-2/a.nix`)).toMatchObject({ error: { code: 'OUTSIDE_ROOT' } })
})

test('refuses a symlink into the store, and lists the path after each symlink', () => {
  const { top } = makePlace()
  const root = join(top, 'mnt')
  const store = '/nix/store/0123-etc'
  mkdirSync(join(root, 'etc/nixos'), { recursive: true })
  mkdirSync(join(root, store, 'etc/nixos'), { recursive: true })
  writeFileSync(join(root, store, 'etc/nixos/configuration.nix'), '{ }')
  symlinkSync(`${store}/etc`, join(root, 'etc/static'))
  symlinkSync('/etc/static/nixos/configuration.nix', join(root, 'etc/nixos/configuration.nix'))

  const path = join(root, 'etc/nixos/configuration.nix')
  const hops = [
    path,
    join(root, 'etc/static/nixos/configuration.nix'),
    join(root, store, 'etc/nixos/configuration.nix')
  ]
  expect(readTarget(path, { root })).toEqual({
    ok: false,
    error: { code: 'STORE_LINK', path, hops }
  })
  expect(locateTarget(path, { root })).toMatchObject({ error: { code: 'STORE_LINK', hops } })
  expect(readTarget(path, { root, store: true })).toMatchObject({
    value: { path, realpath: hops[2], sha256: hashOf('{ }') }
  })
})

test('refuses a symlink into a store that does not exist, as in a rescue system', () => {
  const { nixos } = makePlace()
  const [path, to] = [join(nixos, 'configuration.nix'), '/nix/store/0000-gone/configuration.nix']
  symlinkSync(to, path)
  expect(readTarget(path)).toEqual({
    ok: false,
    error: { code: 'STORE_LINK', path, hops: [path, to] }
  })
})

test('accepts a symlink through the store to a file outside', () => {
  const { top } = makePlace()
  const root = join(top, 'mnt')
  mkdirSync(join(root, 'nix/store/0123-files'), { recursive: true })
  mkdirSync(join(root, 'home'))
  writeFileSync(join(root, 'home/pc.nix'), 'mine')
  symlinkSync('/home/pc.nix', join(root, 'nix/store/0123-files/pc.nix'))
  symlinkSync('/nix/store/0123-files/pc.nix', join(root, 'pc.nix'))
  expect(readTarget(join(root, 'pc.nix'), { root })).toMatchObject({
    value: { realpath: join(root, 'home/pc.nix') }
  })
})

test('refuses a missing file, a folder, a pipe and a symlink loop', () => {
  const { nixos } = makePlace()
  const at = (name: string) => `${nixos}/${name}`
  writeFileSync(at('file'), '')
  mkdirSync(at('folder'))
  spawnSync('mkfifo', [at('pipe')])
  symlinkSync('nowhere', at('dangling'))
  symlinkSync('loop', at('loop'))
  const problem = (name: string) => {
    const result = readTarget(at(name))
    return result.ok ? result : result.error
  }
  expect(problem('none')).toEqual({ code: 'NOT_FOUND', path: at('none'), hops: [at('none')] })
  expect(problem('none/../file')).toMatchObject({ code: 'NOT_FOUND', path: at('none/../file') })
  expect(problem('dangling')).toEqual({
    code: 'NOT_FOUND',
    path: at('dangling'),
    hops: [at('dangling'), at('nowhere')]
  })
  expect(problem('file/child')).toEqual({ code: 'NOT_DIRECTORY', path: at('file') })
  expect(problem('folder')).toEqual({ code: 'IS_DIRECTORY', path: at('folder') })
  expect(problem('pipe')).toEqual({ code: 'NOT_REGULAR', path: at('pipe') })
  expect(problem('loop')).toMatchObject({ code: 'LINK_LOOP', path: at('loop') })
  expect(() => readTarget('a.nix')).toThrow('not an absolute path: a.nix')
})

test('refuses a file without read permission, except for root', () => {
  const { nixos } = makePlace()
  const path = join(nixos, 'configuration.nix')
  writeFileSync(path, 'secret')
  chmodSync(path, 0)
  const asRoot = process.getuid?.() === 0
  expect(readTarget(path)).toMatchObject(
    asRoot ? { ok: true } : { error: { code: 'NOT_READABLE', path, errno: 'EACCES' } }
  )
})

test('returns the path without symlinks of a file that need not exist', () => {
  const { top, nixos } = makePlace()
  symlinkSync(nixos, join(top, 'link'))
  expect(locateTarget(join(top, 'link/vfio/default.nix'))).toEqual({
    ok: true,
    value: { realpath: join(nixos, 'vfio/default.nix'), exists: false }
  })
  expect(locateTarget(join(top, 'link/.'))).toEqual({
    ok: true,
    value: { realpath: nixos, exists: true }
  })
})
