// -o and --dump: the files that they write, and the files that they must not replace.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { AS_NOBODY, needing } from './support/needing.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const CONFIGURATION = '{ ... }:\n{\n  imports = [ ./more ];\n  a = 1;\n}\n'
const MORE = '{ ... }:\n{\n  b = 1;\n}\n'
const OFF = '--parse-check=off'
const CALL = ['option', 'set', 'pc.nix', 'a', '2', OFF, '--dry-run', '-q']
const PATCH = text`
  --- a/pc.nix
  +++ b/pc.nix
  @@ -1,5 +1,5 @@
   { ... }:
   {
     imports = [ ./more ];
  -  a = 1;
  +  a = 2;
   }
  `
const MACHINE = ['--sysfs', join(import.meta.dirname, '../machine/machines/single-gpu')]

function given(): Place {
  return makePlace({ 'pc.nix': CONFIGURATION, more: MORE })
}

/** The mode of a file of the place in octal digits, and its owner. */
function rightsOf(place: Place, name: string): string {
  const { mode, uid, gid } = lstatSync(join(place.nixos, name))
  return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`
}

test.concurrent('-o replaces the old patch file with a new one, and leaves no other file', async () => {
  const place = given()
  place.write('a.patch', 'older\n')
  linkSync(join(place.nixos, 'a.patch'), join(place.nixos, 'kept'))
  expect(await place.run([...CALL, '-o', 'a.patch'])).toEqual({ code: 1, stdout: '', stderr: '' })
  expect(place.read('a.patch')).toBe(PATCH)
  expect(place.read('kept')).toBe('older\n')
  expect(readdirSync(place.nixos).sort()).toEqual(['a.patch', 'kept', 'more', 'pc.nix'])
})

/** Files that `-o` must not replace: the argument of `-o`, the name in the message, and what creates the file. */
const PROTECTED: [what: string, name: string, shown: string, (place: Place) => void][] = [
  ['the configuration', 'pc.nix', '/etc/nixos/pc.nix', () => {}],
  [
    'a symlink to the configuration',
    'link',
    '/etc/nixos/pc.nix',
    ({ nixos }) => symlinkSync('pc.nix', join(nixos, 'link'))
  ],
  [
    'a hard link to the configuration',
    'hard',
    '/etc/nixos/hard',
    ({ nixos }) => linkSync(join(nixos, 'pc.nix'), join(nixos, 'hard'))
  ],
  ['an imported file', 'more', '/etc/nixos/more', () => {}],
  [
    'a symlink to an imported file',
    'link',
    '/etc/nixos/more',
    ({ nixos }) => symlinkSync('more', join(nixos, 'link'))
  ],
  [
    'a hard link to an imported file',
    'hard',
    '/etc/nixos/hard',
    ({ nixos }) => linkSync(join(nixos, 'more'), join(nixos, 'hard'))
  ],
  ['a Nix file that does not exist', 'new.nix', 'new.nix', () => {}],
  ['the name of the journal', '.vfio-patch.journal', '.vfio-patch.journal', () => {}]
]

test.concurrent.each(PROTECTED)('-o does not replace %s', async (_, name, shown, prepare) => {
  const place = given()
  prepare(place)
  await expectRefusal(place, [...CALL, '-o', name], {
    code: 2,
    stderr: text`
      vfio-patch: -o would replace ${shown} with a patch. Nothing was written.
        Do:  choose another name for the patch, e.g. -o vfio.patch
      `
  })
})

const NOT_REGULAR = [
  [
    'a symlink',
    'out',
    'a symlink',
    (place: Place) => symlinkSync('../../home/x', join(place.nixos, 'out'))
  ],
  [
    'a pipe',
    'out',
    'not a regular file',
    (place: Place) => void spawnSync('mkfifo', [join(place.nixos, 'out')])
  ],
  ['standard output', '/dev/stdout', 'a symlink', () => {}],
  ['a device', '/dev/null', 'not a regular file', () => {}],
  ['a full device', '/dev/full', 'not a regular file', () => {}]
] as const

test.concurrent.each(NOT_REGULAR)('-o refuses %s', async (_, name, what, prepare) => {
  const place = given()
  prepare(place)
  const device = lstatSync('/dev/null')
  await expectRefusal(place, [...CALL, '-o', name], {
    code: 2,
    stderr: text`
      vfio-patch: -o ${name} is ${what}. Nothing was written.
        Why: the patch is written to a new file, which replaces the old one.
        Do:  choose another name for the patch, e.g. -o vfio.patch
             or omit -o to print the patch: vfio-patch diff … | less
      `
  })
  expect(lstatSync('/dev/null').ino).toBe(device.ino)
})

test.concurrent('-o refuses a folder', async () => {
  const place = given()
  mkdirSync(join(place.nixos, 'out'))
  await expectRefusal(place, [...CALL, '-o', 'out/'], {
    code: 2,
    stderr: text`
      vfio-patch: -o out/ is a folder. Nothing was written.
        Do:  give the patch a name in it, e.g. -o out/vfio.patch
      `
  })
})

test.concurrent('-o and --dump refuse a path below a file', async () => {
  const place = given()
  const refusal = (what: string, name: string) => ({
    code: 4,
    stderr: expect.stringContaining(`vfio-patch: cannot write the ${what} to ${name} (ENOTDIR).`)
  })
  await expectRefusal(place, [...CALL, '-o', 'more/x'], refusal('patch', 'more/x'))
  const dump = ['scan', '-q', ...MACHINE, '--dump', 'more/x']
  await expectRefusal(place, dump, refusal('dump', 'more/x'))
})

test.concurrent('-o lets only those users read the patch who can read the configuration', async () => {
  const place = given()
  chmodSync(join(place.nixos, 'pc.nix'), 0o600)
  place.write('old.patch', 'older\n')
  for (const name of ['new.patch', 'old.patch']) {
    await place.run([...CALL, '-o', name])
    expect(rightsOf(place, name)).toMatch(/^600 /)
  }
  chmodSync(join(place.nixos, 'pc.nix'), 0o755)
  await place.run([...CALL, '-o', 'wide.patch'], { script: 'umask 022; exec "$@"' })
  await place.run([...CALL, '-o', 'narrow.patch'], { script: 'umask 077; exec "$@"' })
  const own = `${process.getuid?.()}:${process.getgid?.()}`
  expect(rightsOf(place, 'wide.patch')).toBe(`644 ${own}`)
  expect(rightsOf(place, 'narrow.patch')).toBe(`600 ${own}`)
})

needing('root')(
  '-o with sudo gives the patch to the owner of the folder if that user can read the configuration',
  async () => {
    const place = given()
    for (const name of ['', 'pc.nix']) chownSync(join(place.nixos, name), 1234, 1235)
    const env = { SUDO_UID: '1234' }
    await place.run([...CALL, '-o', 'own.patch'], { env })
    expect(rightsOf(place, 'own.patch')).toBe('644 1234:1235')
    await place.run([...CALL, '-o', 'other.patch'])
    expect(rightsOf(place, 'other.patch')).toBe('644 0:0')
    // Only root can read the configuration, so only root can read the patch.
    chownSync(join(place.nixos, 'pc.nix'), 0, 0)
    chmodSync(join(place.nixos, 'pc.nix'), 0o640)
    for (const name of ['secret.patch', 'own.patch']) {
      await place.run([...CALL, '-o', name], { env })
      expect(rightsOf(place, name)).toBe('600 0:1235')
    }
  }
)

needing('root', 'unshare')('-o keeps the old patch if the disk is full', async () => {
  const place = given()
  mkdirSync(join(place.top, 'full'))
  const mount = 'mount -t tmpfs -o size=8k,mode=755 none ../../full'
  const outcome = await place.run(
    [...CALL.filter(it => it !== '--dry-run'), '-y', '-o', '../../full/a.patch'],
    {
      through: ['unshare', '-m'],
      script: `${mount} && echo older >../../full/a.patch && head -c 9000 /dev/zero >../../full/x 2>/dev/null; "$@"; code=$?; ls -A ../../full; cat ../../full/a.patch; exit $code`
    }
  )
  expect(outcome).toEqual({
    code: 4,
    stdout: 'a.patch\nx\nolder\n',
    stderr: text`
      vfio-patch: cannot write the patch to ../../full/a.patch (ENOSPC). Nothing was written.
        Do:  choose another place for it, e.g. -o ~/vfio.patch
      `
  })
  expect(place.read('pc.nix')).toBe(CONFIGURATION)
})

needing('root', 'nobody')('-o refuses a folder of another user', async () => {
  const place = given()
  await expectRefusal(
    place,
    [...CALL, '-o', 'a.patch'],
    {
      code: 4,
      stderr: text`
        vfio-patch: cannot write the patch to a.patch (EACCES). Nothing was written.
          Do:  choose another place for it, e.g. -o ~/vfio.patch
        `
    },
    { through: AS_NOBODY }
  )
})

needing('root')('--dump with sudo gives the dump to the user, and refuses a symlink', async () => {
  const place = makePlace()
  chownSync(place.nixos, 1234, 1235)
  const scan = ['scan', '-q', ...MACHINE, '--dump']
  const env = { SUDO_UID: '1234' }
  expect(await place.run([...scan, 'a/b'], { env })).toEqual({ code: 0, stdout: '', stderr: '' })
  expect([rightsOf(place, 'a'), rightsOf(place, 'a/b')]).toEqual(['755 1234:1235', '755 1234:1235'])
  for (const name of readdirSync(join(place.nixos, 'a/b')))
    expect(rightsOf(place, `a/b/${name}`)).toBe('644 1234:1235')

  mkdirSync(join(place.top, 'elsewhere'))
  symlinkSync('../../elsewhere', join(place.nixos, 'link'))
  await expectRefusal(
    place,
    [...scan, 'link'],
    {
      code: 2,
      stderr:
        'vfio-patch: --dump: link is a symlink. Nothing was written.\n  Do:  name a new folder, e.g. --dump my-machine\n'
    },
    { env }
  )
})

needing('root', 'unshare')('--dump leaves no file or folder if the disk is full', async () => {
  const place = makePlace()
  mkdirSync(join(place.top, 'full'))
  writeFileSync(join(place.top, 'full/kept'), '')
  const outcome = await place.run(['scan', '-q', ...MACHINE, '--dump', '../../full/a/b'], {
    through: ['unshare', '-m'],
    script:
      'mount -t tmpfs -o size=16k,mode=755 none ../../full; "$@"; code=$?; ls -A ../../full; exit $code'
  })
  expect(outcome).toEqual({
    code: 4,
    stdout: '',
    stderr: text`
      vfio-patch: cannot write the dump to ../../full/a/b (ENOSPC).
        Do:  choose another place for it, e.g. --dump ~/my-machine
      `
  })
  expect(readFileSync(join(place.top, 'full/kept'), 'utf8')).toBe('')
})
