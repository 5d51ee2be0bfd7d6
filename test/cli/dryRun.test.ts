// What only looks must not write: no file made, changed, moved or deleted, nothing opened for it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { FLAGS } from './support/machine.ts'
import { AS_NOBODY, needing } from './support/needing.ts'
import { makeExample, type Place } from './support/place.ts'

/** System calls that change a file system, whatever their arguments are; some machines lack some. */
const CHANGES = [
  ...['creat', 'mkdir', 'mkdirat', 'mknod', 'mknodat', 'link', 'linkat', 'symlink', 'symlinkat'],
  ...['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir', 'truncate', 'ftruncate'],
  ...['chmod', 'fchmod', 'fchmodat', 'fchmodat2', 'chown', 'fchown', 'lchown', 'fchownat'],
  ...['setxattr', 'lsetxattr', 'fsetxattr', 'removexattr', 'lremovexattr', 'fremovexattr'],
  ...['utime', 'utimes', 'futimesat', 'utimensat', 'fallocate']
]
const OPENS = ['open', 'openat', 'openat2']

/** The calls of the program and of all that it starts that change files, but for pipes and terminals. */
async function changesOf(place: Place, words: readonly string[]): Promise<string[]> {
  const log = join(place.top, 'strace.log')
  const calls = [...CHANGES, ...OPENS].map(it => `?${it}`).join(',')
  const through = ['strace', '-f', '--seccomp-bpf', '-qq', '-o', log, '-e', `trace=${calls}`]
  await place.run(words, { through })
  return readFileSync(log, 'utf8').split('\n').filter(isChange)
}

function isChange(line: string): boolean {
  const [, call = ''] = /^\d+\s+(\w+)\(/.exec(line) ?? []
  if (!OPENS.includes(call)) return CHANGES.includes(call)
  const isForWriting = /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE/.test(line)
  return isForWriting && !/"\/dev\/(?:null|tty|ptmx|pts\/\d+)"/.test(line)
}

needing('strace')('diff, apply --dry-run and undo --dry-run', async () => {
  const place = makeExample()
  const before = place.snapshot()
  expect(await changesOf(place, ['diff', 'configuration.nix', ...FLAGS])).toEqual([])
  expect(
    await changesOf(place, ['apply', '-y', '--dry-run', 'configuration.nix', ...FLAGS])
  ).toEqual([])
  expect(await changesOf(place, ['undo', '--list'])).toEqual([])
  expect(place.snapshot().filter(it => !it.includes('strace.log'))).toEqual(before)

  await place.run(['apply', '-q', '--yes', 'configuration.nix', ...FLAGS])
  expect(await changesOf(place, ['undo', '-y', '--dry-run', 'configuration.nix'])).toEqual([])
  expect(await changesOf(place, ['apply', '-y', 'configuration.nix', ...FLAGS])).toEqual([])
})

needing('strace')('and that check sees what apply does', async () => {
  const place = makeExample()
  const calls = await changesOf(place, ['apply', '--yes', 'configuration.nix', ...FLAGS])
  const kinds = new Set(calls.map(it => it.replace(/^\d+\s+(\w+)\(.*/, '$1')))
  for (const kind of ['mkdir', 'openat', 'fchown', 'link', 'rename', 'unlink'])
    expect(kinds).toContain(kind)
})

needing(
  'root',
  'unshare',
  'nobody'
)('as nobody, on a read-only file system, nothing is missed', async () => {
  const place = makeExample()
  const expected = await place.run(['diff', 'configuration.nix', ...FLAGS])
  const before = place.snapshot()
  const outcome = await place.run(['diff', 'configuration.nix', ...FLAGS], {
    through: ['unshare', '-m'],
    script: `mount --bind ../.. ../.. && mount -o remount,ro,bind ../.. && cd . && exec ${AS_NOBODY.join(' ')} "$@"`
  })
  expect(outcome).toEqual(expected)
  expect(place.snapshot()).toEqual(before)
})
