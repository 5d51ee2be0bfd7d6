import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findProgram } from '../../src/storage/access.ts'
import { needing } from '../storage/support/needing.ts'
import { makePlace } from '../storage/support/place.ts'

/** Two folders with a program each, to be used as a PATH in this order. */
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

test('anybody but root runs the first one in PATH', () => {
  const { first, second, path } = given()
  chmodSync(first, 0o777)
  expect(findProgram('tool', path, false)).toBe(join(first, 'tool'))
  chmodSync(join(first, 'tool'), 0o644)
  expect(findProgram('tool', path, false)).toBe(join(second, 'tool'))
  expect(findProgram('tool', `.::relative:${second}`, false)).toBe(join(second, 'tool'))
  expect(findProgram('none', path, false)).toBe(null)
})

const UNSAFE: [string, (place: ReturnType<typeof given>) => void][] = [
  ['belongs to somebody else', ({ first }) => chownSync(join(first, 'tool'), 1234, 0)],
  ['can be written to by others', ({ first }) => chmodSync(join(first, 'tool'), 0o757)],
  [
    'can be written to by a group',
    ({ first }) => {
      chownSync(join(first, 'tool'), 0, 1234)
      chmodSync(join(first, 'tool'), 0o775)
    }
  ],
  ['is in a folder of somebody else', ({ first }) => chownSync(first, 1234, 0)],
  ['is in a folder that others can write to', ({ first }) => chmodSync(first, 0o777)],
  [
    'is in a folder that a group can write to',
    ({ first }) => {
      chownSync(first, 0, 1234)
      chmodSync(first, 0o775)
    }
  ],
  [
    'is in a folder that leads through a link of somebody else',
    ({ first, top }) => {
      symlinkSync('first', join(top, 'link'))
      lchownSync(join(top, 'link'), 1234, 1234)
      chownSync(first, 1234, 0)
    }
  ],
  [
    'is a link to a file in a folder of somebody else',
    ({ first, top }) => {
      mkdirSync(join(top, 'theirs'))
      chownSync(join(top, 'theirs'), 1234, 0)
      writeFileSync(join(top, 'theirs/tool'), '#!/bin/sh\n', { mode: 0o755 })
      chmodSync(join(first, 'tool'), 0o644)
      symlinkSync('../theirs/tool', join(first, 'tool2'))
    }
  ]
]

needing('root').each(UNSAFE)('root does not run what %s', (_, prepare) => {
  const place = given()
  expect(findProgram('tool', place.path)).toBe(join(place.first, 'tool'))
  prepare(place)
  expect(findProgram('tool', place.path)).toBe(join(place.second, 'tool'))
  expect(findProgram('tool2', place.path)).toBe(null)
})

needing('root')('nor what is below a folder of somebody else', () => {
  const { top, second } = given()
  mkdirSync(join(top, 'home/bin'), { recursive: true })
  writeFileSync(join(top, 'home/bin/tool'), '#!/bin/sh\n', { mode: 0o755 })
  chownSync(join(top, 'home'), 1234, 0)
  expect(findProgram('tool', `${top}/home/bin:${second}`)).toBe(join(second, 'tool'))
})
