import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createLocks, lockedFolders, readLock } from '../../src/storage/lock.ts'
import { makePlace } from './support/place.ts'

const NAME = '.vfio-patch.lock'
const GONE = 4194399

/** Creates folders `a` and `b`, with the journal in `a`. */
function given() {
  const { top } = makePlace()
  const [a, b] = [join(top, 'a'), join(top, 'b')]
  for (const folder of [a, b]) mkdirSync(folder)
  const folders = lockedFolders([join(a, 'x.nix'), join(a, 'y.nix'), join(b, 'new/z.nix')])
  return { a, b, folders, locks: createLocks(a) }
}

test('takes, releases and retakes a lock', () => {
  const { a, b, folders, locks } = given()
  expect([...folders]).toEqual([
    [a, join(a, 'x.nix')],
    [b, join(b, 'new/z.nix')]
  ])
  expect(locks.take(folders)).toBe(null)
  expect([readdirSync(a), readdirSync(b)]).toEqual([[NAME], [NAME]])
  expect(readLock(b)).toMatchObject({ value: { pid: process.pid, journal: a } })

  const path = join(b, 'w.nix')
  const since = expect.stringMatching(/^20\d\d-.*Z$/)
  const held = { code: 'LOCKED', path, folder: b, pid: process.pid, command: null, since }
  expect(createLocks(b).take(lockedFolders([path]))).toEqual(held)
  locks.releaseAllExcept(a)
  expect([readdirSync(a), readdirSync(b)]).toEqual([[NAME], []])
  expect(locks.take(folders)).toBe(null)
  locks.release()
  expect([readdirSync(a), readdirSync(b)]).toEqual([[], []])
})

test('releases the locks that it has taken if another process holds the next one', () => {
  const { a, b, folders, locks } = given()
  const child = spawn('sleep', ['60'])
  onTestFinished(() => {
    child.kill()
  })
  symlinkSync(`${child.pid}:::.`, join(b, NAME))
  const path = join(b, 'new/z.nix')
  expect(locks.take(folders)).toMatchObject({
    ...{ code: 'LOCKED', path, folder: b, pid: child.pid },
    command: null
  })
  expect(readdirSync(a)).toEqual([])
})

test.each([
  { left: 'by a process that has ended', target: `${GONE}:1::.` },
  { left: 'by an earlier process with the same PID', target: `${process.pid}:1::.` },
  { left: 'before a reboot', target: `${process.pid}::${'0'.repeat(36)}:.` },
  { left: 'with an invalid target', target: 'hello' }
])('takes over a lock left $left', ({ target }) => {
  const { a, folders, locks } = given()
  symlinkSync(target, join(a, NAME))
  expect(locks.take(folders)).toBe(null)
  locks.release()
  expect(readdirSync(a)).toEqual([])
})

test('deletes only the remnants of a process that was killed while it took over a lock', () => {
  const { a, folders, locks } = given()
  symlinkSync(`${GONE}:1::.`, join(a, `${NAME}.0123456789ab`))
  symlinkSync(`${process.pid}:::.`, join(a, `${NAME}.0123456789ac`))
  writeFileSync(join(a, '.vfio-patch.journal.new'), '{')
  writeFileSync(join(a, `${NAME}.mine`), 'mine\n')
  expect(locks.take(folders)).toBe(null)
  locks.release()
  expect(readdirSync(a).sort()).toEqual([`${NAME}.0123456789ac`, `${NAME}.mine`])
  expect(readFileSync(join(a, `${NAME}.mine`), 'utf8')).toBe('mine\n')
})
