// Commands that only read must not create, change, move or delete a file, or open one for writing.

import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { guestXml } from '../guests/support/guests.ts'
import { FLAGS } from './support/machine.ts'
import { AS_NOBODY, needing } from './support/needing.ts'
import { EXAMPLE, makeExample, type Place } from './support/place.ts'
import { makeRepository } from './support/repository.ts'

/** System calls that change a file system, whatever their arguments are; some machines lack some. */
const CHANGES = [
  ...['creat', 'mkdir', 'mkdirat', 'mknod', 'mknodat', 'link', 'linkat', 'symlink', 'symlinkat'],
  ...['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir', 'truncate', 'ftruncate'],
  ...['chmod', 'fchmod', 'fchmodat', 'fchmodat2', 'chown', 'fchown', 'lchown', 'fchownat'],
  ...['setxattr', 'lsetxattr', 'fsetxattr', 'removexattr', 'lremovexattr', 'fremovexattr'],
  ...['utime', 'utimes', 'futimesat', 'utimensat', 'fallocate']
]
const OPENS = ['open', 'openat', 'openat2']

/** The system calls by which a command and its child processes change files, except pipes and terminals. */
async function changesOf(
  place: Place,
  words: readonly string[],
  as: readonly string[] = []
): Promise<string[]> {
  const log = join(place.top, 'strace.log')
  const calls = [...CHANGES, ...OPENS].map(it => `?${it}`).join(',')
  const through = ['strace', '-f', '--seccomp-bpf', '-qq', '-o', log, '-e', `trace=${calls}`, ...as]
  const { code } = await place.run(words, { through })
  // An unknown command has another exit code.
  if (words[0] !== 'aply') expect([0, 1]).toContain(code)
  return readFileSync(log, 'utf8').split('\n').filter(isChange)
}

function isChange(line: string): boolean {
  const [, call = ''] = /^\d+\s+(\w+)\(/.exec(line) ?? []
  if (!OPENS.includes(call)) return CHANGES.includes(call)
  const isForWriting = /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE/.test(line)
  return isForWriting && !/"\/dev\/(?:null|tty|ptmx|pts\/\d+)"/.test(line)
}

/** Calls that only read, in a repository after a run. */
const READING: string[][] = [
  ['diff', 'configuration.nix', ...FLAGS, '--ignore-msrs'],
  ['diff', 'configuration.nix', ...FLAGS, '-v', '--json'],
  ['apply', '-y', '--dry-run', 'configuration.nix', '--iommu', 'intel'],
  ['diff', 'configuration.nix', '--domain', 'win10.xml', '--sysfs', '/'],
  ['apply', '-n', 'configuration.nix', '--domain', 'win10.xml', '--json'],
  ['apply', '-y', 'configuration.nix', ...FLAGS],
  ['remove', '-n', 'configuration.nix'],
  ['undo', '-y', '--dry-run', 'configuration.nix'],
  ['undo', '--list'],
  ['check', 'configuration.nix', '--sysfs', '/'],
  ['check', 'configuration.nix', '--sysfs', '/', '--fix', '-n'],
  ['option', 'get', 'configuration.nix', 'boot'],
  ['option', 'get', 'configuration.nix', '--flat', '--json'],
  ['option', 'set', '-n', 'configuration.nix', 'sound.enable', 'true'],
  ['option', 'import', '-n', 'configuration.nix', './other'],
  ['--help'],
  ['apply', '--help'],
  ['--version'],
  ['aply']
]

needing('strace', 'git')('commands that only read do not change a file', async () => {
  const place = makeRepository({})
  cpSync(EXAMPLE, place.nixos, { recursive: true })
  place.write('win10.xml', guestXml('shmem'))
  await place.run(['apply', '-q', '--yes', 'configuration.nix', ...FLAGS])
  const before = place.snapshot()
  for (const words of READING) expect([words, await changesOf(place, words)]).toEqual([words, []])
  expect(place.snapshot().filter(it => !it.includes('strace.log'))).toEqual(before)
})

needing('strace', 'git')('diff and check change no file before the first apply', async () => {
  const place = makeRepository({})
  cpSync(EXAMPLE, place.nixos, { recursive: true })
  place.write('flake.nix', '{ outputs = _: { }; }\n')
  for (const words of [
    ['diff', 'configuration.nix', ...FLAGS],
    ['apply', '-y', '--dry-run', 'configuration.nix', ...FLAGS],
    ['check', 'configuration.nix']
  ]) {
    expect([words, await changesOf(place, words)]).toEqual([words, []])
  }
})

needing(
  'strace',
  'root',
  'nobody',
  'git'
)('commands that only read do not change a file if an unprivileged user runs them', async () => {
  const place = makeRepository({})
  cpSync(EXAMPLE, place.nixos, { recursive: true })
  for (const words of [
    ['diff', 'configuration.nix', ...FLAGS],
    ...READING.slice(READING.findIndex(([it]) => it === 'check'))
  ]) {
    expect([words, await changesOf(place, words, AS_NOBODY)]).toEqual([words, []])
  }
})

needing('strace')('the trace that these tests use shows the changes of apply', async () => {
  const place = makeExample()
  const calls = await changesOf(place, ['apply', '--yes', 'configuration.nix', ...FLAGS])
  const kinds = new Set(calls.map(it => it.replace(/^\d+\s+(\w+)\(.*/, '$1')))
  for (const kind of ['mkdir', 'openat', 'fchown', 'symlink', 'rename', 'unlink'])
    expect(kinds).toContain(kind)
})

needing(
  'root',
  'unshare',
  'nobody',
  'git'
)('commands that only read work for an unprivileged user on a read-only file system', async () => {
  const place = makeRepository({})
  cpSync(EXAMPLE, place.nixos, { recursive: true })
  const before = place.snapshot()
  const script = `mount --bind ../.. ../.. && mount -o remount,ro,bind ../.. && cd . && exec ${AS_NOBODY.join(' ')} "$@"`
  for (const words of [
    ['diff', 'configuration.nix', ...FLAGS, '--no-git-add'],
    ['diff', 'configuration.nix', ...FLAGS, '--no-git-add', '--json'],
    ['option', 'get', 'configuration.nix', 'boot'],
    ['option', 'set', '-n', 'configuration.nix', 'sound.enable', 'true'],
    ['undo', '--list'],
    ['apply', '--help']
  ]) {
    const expected = await place.run(words)
    expect([0, 1]).toContain(expected.code)
    const outcome = await place.run(words, { through: ['unshare', '-m'], script })
    expect([words, outcome]).toEqual([words, expected])
  }
  expect(place.snapshot()).toEqual(before)
})
