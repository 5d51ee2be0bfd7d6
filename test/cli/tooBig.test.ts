// Files that are too big: they are refused before they are read, or skipped if the configuration imports them.

import { readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const FILE = '/etc/nixos/configuration.nix'
const OFF = '--parse-check=off'
const MIB = 1024 * 1024
const SMALL = '{ ... }:\n{\n  boot.loader.timeout = 1;\n}\n'

/** A module of exactly this many bytes. */
function module(size: number): string {
  const text = '{\n  boot.loader.timeout = 1;\n}\n'
  return text + '\n'.repeat(size - text.length)
}

const refusal = (name: string, what: string) => text`
  vfio-patch: ${name} is too big: ${what} Nothing was written.
    Why: editing a bigger file and proving the edit would take minutes and gigabytes of memory; files that people write are far smaller.
    Do:  check that this is the right file; move big tables or texts into separate files, and read these with import or builtins.readFile
  `

const CALLS = [
  ['apply', 'configuration.nix', '--device', '10de:1b80', '-y', OFF],
  ['check', 'configuration.nix'],
  ['remove', 'configuration.nix', '-y', OFF],
  ['option', 'get', 'configuration.nix', 'boot'],
  ['option', 'set', 'configuration.nix', 'boot.x', '1', '-y', OFF]
]

test.concurrent.each(CALLS)('%s %s refuses a file of 600 MB', async (...words) => {
  const place = makePlace({ 'configuration.nix': SMALL })
  const file = join(place.nixos, 'configuration.nix')
  truncateSync(file, 600_000_000)
  expect(await place.run(words)).toEqual({
    code: 3,
    stdout: '',
    stderr: refusal(FILE, 'it is 572.3 MiB, and the limit for a Nix file is 1 MiB.')
  })
  expect([readdirSync(place.nixos), statSync(file).size]).toEqual([
    ['configuration.nix'],
    600_000_000
  ])
})

test.concurrent('option get accepts 1 MiB and refuses one byte more', async () => {
  const place = makePlace({ 'configuration.nix': module(MIB) })
  const get = ['option', 'get', 'configuration.nix', 'boot.loader.timeout']
  const found = await place.run(get)
  expect(found.code).toBe(0)
  place.write('configuration.nix', module(MIB + 1))
  await expectRefusal(place, get, {
    code: 3,
    stderr: refusal(FILE, 'it is 1.1 MiB, and the limit for a Nix file is 1 MiB.')
  })
})

test.concurrent('option set refuses endless standard input', async () => {
  const place = makePlace()
  const set = ['option', 'set', '-', 'boot.x', '1']
  const expected = {
    code: 3,
    stdout: '',
    stderr: refusal('standard input', 'the limit for a Nix file is 1 MiB.')
  }
  expect(await place.run(set, { script: 'yes | "$@"' })).toEqual(expected)
  const fifo = 'mkfifo pipe; yes >pipe & "$@" <pipe; code=$?; rm pipe; exit $code'
  expect(await place.run(set, { script: fifo })).toEqual(expected)
  expect(place.files()).toEqual({})
})

test.concurrent('check --json reports a file that is too big', async () => {
  const place = makePlace({ 'configuration.nix': module(2 * MIB) })
  const { code, stdout } = await place.run(['check', 'configuration.nix', '--json'])
  expect([code, JSON.parse(stdout).error.code]).toEqual([3, 'TOO_BIG'])
})

test.concurrent('check, apply and remove skip an imported file that is too big, with a note', async () => {
  const place = makePlace({
    'configuration.nix': '{ ... }:\n{\n  imports = [ ./hosts.nix ./folder ./gone.nix ];\n}\n',
    'hosts.nix': SMALL,
    'folder/default.nix': SMALL
  })
  truncateSync(join(place.nixos, 'hosts.nix'), 600_000_000)
  writeFileSync(join(place.nixos, 'folder/default.nix'), module(MIB + 1))
  const notes = [
    'Note: /etc/nixos/hosts.nix was not read or checked: it is 572.3 MiB, and the limit for a Nix file is 1 MiB.',
    'Note: /etc/nixos/folder/default.nix was not read or checked: it is 1.1 MiB, and the limit for a Nix file is 1 MiB.'
  ]
  const check = await place.run(['check', 'configuration.nix'])
  expect(check).toEqual({
    code: 0,
    stdout: '',
    stderr: `${notes.join('\n')}\nNothing found in ${FILE}.\n`
  })
  const { code, stderr } = await place.run([
    ...['apply', 'configuration.nix', '--device', '10de:1b80', '-y', OFF]
  ])
  expect(code).toBe(0)
  for (const it of notes) expect(stderr).toContain(it)
  const removed = await place.run(['remove', 'configuration.nix', '-y', OFF])
  expect(removed.code).toBe(0)
  for (const it of notes) expect(removed.stderr).toContain(it)
})
