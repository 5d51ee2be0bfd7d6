import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findProgram } from '../../src/storage/access.ts'
import { needing } from '../storage/support/needing.ts'
import { makePlace } from '../storage/support/place.ts'

/** Creates two folders with a program each; `path` is a PATH with them in this order. */
function given() {
  const { top } = makePlace()
  chmodSync(top, 0o755)
  const folders = ['first', 'second'].map(it => join(top, it))
  for (const folder of folders) {
    mkdirSync(folder, { mode: 0o755 })
    writeFileSync(join(folder, 'tool'), '#!/bin/sh\n', { mode: 0o755 })
  }
  const [first = '', second = ''] = folders
  return { top, first, second, path: folders.join(':') }
}

test('finds the first program in PATH for users other than root', () => {
  const { first, second, path } = given()
  chmodSync(first, 0o777)
  expect(findProgram('tool', path, false)).toBe(join(first, 'tool'))
  chmodSync(join(first, 'tool'), 0o644)
  expect(findProgram('tool', path, false)).toBe(join(second, 'tool'))
  expect(findProgram('tool', `.::relative:${second}`, false)).toBe(join(second, 'tool'))
  expect(findProgram('none', path, false)).toBe(null)
})

const UNSAFE: [string, (place: ReturnType<typeof given>) => void][] = [
  ['belongs to another user', ({ first }) => chownSync(join(first, 'tool'), 1234, 0)],
  ['is writable by others', ({ first }) => chmodSync(join(first, 'tool'), 0o757)],
  [
    'is writable by a group',
    ({ first }) => {
      chownSync(join(first, 'tool'), 0, 1234)
      chmodSync(join(first, 'tool'), 0o775)
    }
  ],
  ["is in another user's folder", ({ first }) => chownSync(first, 1234, 0)],
  ['is in a folder that is writable by others', ({ first }) => chmodSync(first, 0o777)],
  [
    'is in a folder that is writable by a group',
    ({ first }) => {
      chownSync(first, 0, 1234)
      chmodSync(first, 0o775)
    }
  ],
  [
    "is reached through another user's symlink",
    ({ first, top }) => {
      symlinkSync('first', join(top, 'link'))
      lchownSync(join(top, 'link'), 1234, 1234)
      chownSync(first, 1234, 0)
    }
  ],
  [
    "is a symlink to a file in another user's folder",
    ({ first, top }) => {
      mkdirSync(join(top, 'other'))
      chownSync(join(top, 'other'), 1234, 0)
      writeFileSync(join(top, 'other/tool'), '#!/bin/sh\n', { mode: 0o755 })
      chmodSync(join(first, 'tool'), 0o644)
      symlinkSync('../other/tool', join(first, 'tool2'))
    }
  ]
]

needing('root').each(UNSAFE)('as root, skips a program that %s', (_, prepare) => {
  const place = given()
  expect(findProgram('tool', place.path)).toBe(join(place.first, 'tool'))
  prepare(place)
  expect(findProgram('tool', place.path)).toBe(join(place.second, 'tool'))
  expect(findProgram('tool2', place.path)).toBe(null)
})

needing('root')("as root, skips programs below another user's folder", () => {
  const { top, second } = given()
  mkdirSync(join(top, 'home/bin'), { recursive: true })
  writeFileSync(join(top, 'home/bin/tool'), '#!/bin/sh\n', { mode: 0o755 })
  chownSync(join(top, 'home'), 1234, 0)
  expect(findProgram('tool', `${top}/home/bin:${second}`)).toBe(join(second, 'tool'))
})
