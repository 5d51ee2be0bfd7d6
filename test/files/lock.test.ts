import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sha256 } from '../../src/files/hash.ts'
import { lockFolder, takeLocks } from '../../src/files/lock.ts'
import { makePlace } from './support/place.ts'

const path = '/etc/nixos/configuration.nix'
const name = `${sha256(Buffer.from(path))}.lock`

test('taken once, given back, taken again', () => {
  const folder = join(makePlace().top, 'run/lock')
  const first = takeLocks([path], folder)
  expect(first.ok).toBe(true)
  expect(readdirSync(folder)).toEqual([name])
  expect(takeLocks(['/a.nix', path], folder)).toEqual({
    ok: false,
    error: { code: 'LOCKED', path, pid: process.pid }
  })
  expect(readdirSync(folder)).toEqual([name])
  if (first.ok) first.value()
  expect(readdirSync(folder)).toEqual([])
  expect(takeLocks([path], folder).ok).toBe(true)
})

test('held by another process', () => {
  const folder = join(makePlace().top, 'lock')
  const child = spawn('sleep', ['60'])
  onTestFinished(() => {
    child.kill()
  })
  mkdirSync(folder)
  writeFileSync(join(folder, name), `{"pid":${child.pid},"start":null}`)
  expect(takeLocks([path], folder)).toEqual({
    ok: false,
    error: { code: 'LOCKED', path, pid: child.pid }
  })
})

test.each([
  { left: 'by a process that is gone', text: '{"pid":4194399,"start":"1"}' },
  { left: 'by an earlier process of this number', text: `{"pid":${process.pid},"start":"1"}` },
  { left: 'empty', text: '' },
  { left: 'with something else in it', text: 'hello' }
])('a lock left $left is taken over', ({ text }) => {
  const folder = join(makePlace().top, 'lock')
  mkdirSync(folder)
  writeFileSync(join(folder, name), text)
  const taken = takeLocks([path], folder)
  expect(taken.ok).toBe(true)
  if (taken.ok) taken.value()
  expect(readdirSync(folder)).toEqual([])
})

test('where the locks are', () => {
  const facts = { stateFolder: '/home/a/.local/state/vfio-patch', env: {} }
  expect(lockFolder({ ...facts, uid: 0 })).toBe('/run/vfio-patch')
  const env = { XDG_RUNTIME_DIR: '/run/user/1000' }
  expect(lockFolder({ ...facts, uid: 1000, env })).toBe('/run/user/1000/vfio-patch')
  expect(lockFolder({ ...facts, uid: 1000 })).toBe('/home/a/.local/state/vfio-patch/locks')
})
