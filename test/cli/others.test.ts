// Other users and programs: parent folders that others can write to, lost output, and files that can't be deleted.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fileOf, journalOf } from '../storage/support/hostile.ts'
import { needing } from './support/needing.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const CONFIGURATION = '{ ... }:\n{\n  a = 1;\n}\n'
const DOMAIN =
  "<domain type='kvm'><name>win</name><memory>1048576</memory><os><type>hvm</type></os></domain>"
const FILE = '/etc/nixos/pc.nix'
const OFF = '--parse-check=off'
const SET = ['option', 'set', 'pc.nix', 'a', '2', OFF]
const MACHINE = ['--sysfs', join(import.meta.dirname, '../machine/machines/single-gpu')]

function given(): Place {
  return makePlace({ 'pc.nix': CONFIGURATION })
}

const LOST = text`
  vfio-patch: the output could not be written (ENOSPC).
    Do:  check whether the output device has space left
  `

test.concurrent('option set and undo exit with 8 if their output is lost', async () => {
  const place = given()
  const { code, stderr } = await place.run([...SET, '--yes'], { script: '"$@" >/dev/full' })
  expect(code).toBe(8)
  expect(
    stderr.endsWith(
      `\n${LOST.replace('the output', 'warning: the change was written, but there is a problem: the output')}`
    )
  ).toBe(true)
  expect(place.read('pc.nix')).toBe(CONFIGURATION.replace('1', '2'))
  const undone = await place.run(['undo', 'pc.nix', '--yes', '--json'], {
    script: '"$@" >/dev/full'
  })
  expect(undone.code).toBe(8)
  expect(place.read('pc.nix')).toBe(CONFIGURATION)
})

test.concurrent.each([
  [['check', 'broken.nix', OFF], 4],
  [['diff', 'pc.nix', '--iommu', 'amd', OFF], 4],
  [['scan', ...MACHINE], 4],
  [['scan', ...MACHINE, '--json'], 4],
  [['option', 'get', 'pc.nix', 'a'], 4],
  [['--help'], 4],
  [['--version'], 4],
  [['diff', 'none.nix', '--json'], 4],
  [['diff', '--nonsense', '--json'], 2]
] as const)('%j fails if its output is lost', async (words, code) => {
  const place = given()
  place.write('broken.nix', '{ ... }:\n{\n  boot.kernelParams = [ "pci=nomsi" ];\n}\n')
  const outcome = await place.run(words, { script: '"$@" >/dev/full' })
  expect([outcome.code, outcome.stderr.endsWith(LOST)]).toEqual([code, true])
})

test.concurrent('a closed pipe or a closed standard output is not an error', async () => {
  const place = given()
  const script = '{ "$@"; echo $? >&3; } 3>code | true'
  expect((await place.run([...SET, '--yes'], { script })).stderr).not.toContain('could not')
  expect(place.read('code')).toBe('0\n')
  expect((await place.run(['undo', '-qy', 'pc.nix'], { script: '"$@" >&-' })).code).toBe(0)
})

/** The notes that a call prints. */
async function notesOf(place: Place, words: readonly string[], env = {}): Promise<string[]> {
  const { stderr } = await place.run(words, { env })
  return stderr.split('\n').filter(it => it.startsWith('Note: '))
}

needing('root')('check and option set note that others can write to a parent folder', async () => {
  const place = given()
  const etc = join(place.top, 'etc')
  const calls = [
    [...SET, '-n'],
    [...SET, '--yes'],
    ['check', 'pc.nix', OFF]
  ]
  for (const call of calls) expect(await notesOf(place, call)).toEqual([])
  chmodSync(etc, 0o777)
  const note = `Note: other users can write to /etc (mode 777) and could replace ${FILE}, which is built as root. To prevent this: sudo chmod go-w /etc`
  for (const call of [['option', 'set', 'pc.nix', 'a', '3', OFF, '--yes'], ...calls])
    expect(await notesOf(place, call)).toEqual([note])
  const { stdout } = await place.run([...SET, '-n', '--json'])
  expect(JSON.parse(stdout).notes).toEqual([])
  const shown = await place.run(['option', 'set', 'pc.nix', 'a', '4', OFF, '-n', '--json'])
  expect(JSON.parse(shown.stdout).notes).toEqual([note.slice(6)])

  chmodSync(etc, 0o1777)
  expect(await notesOf(place, ['check', 'pc.nix', OFF])).toEqual([])
  chmodSync(etc, 0o755)
  chownSync(etc, 1235, 1235)
  expect(await notesOf(place, ['check', 'pc.nix', OFF])).toEqual([
    `Note: other users can write to /etc (owned by user 1235) and could replace ${FILE}, which is built as root. To prevent this: sudo chown root: /etc`
  ])
  expect(await notesOf(place, ['check', 'pc.nix', OFF], { SUDO_UID: '1235' })).toEqual([])
  chownSync(join(place.nixos, 'pc.nix'), 1235, 1235)
  expect(await notesOf(place, ['check', 'pc.nix', OFF])).toEqual([])
})

needing('root')('option set with sudo refuses a journal or state folder of the user', async () => {
  const place = given()
  for (const name of ['', 'pc.nix']) chownSync(join(place.nixos, name), 1235, 1235)
  const env = { SUDO_UID: '1235' }
  place.write('.vfio-patch.journal', journalOf({ files: [fileOf('../other/a.nix')] }))
  chownSync(join(place.nixos, '.vfio-patch.journal'), 1235, 1235)
  const record = {
    code: 5,
    stderr: text`
      vfio-patch: an earlier run was interrupted (2026-11-22 16:03), and another user could have written its record /etc/nixos/.vfio-patch.journal. Nothing was written.
        Why: with sudo, a record by another user is accepted only for that user's own folders.
        Do:  run this as that user without sudo; or check that your files are as you want them, then: rm /etc/nixos/.vfio-patch.journal
      `
  }
  await expectRefusal(place, [...SET, '-qy'], record, { env })
  rmSync(join(place.nixos, '.vfio-patch.journal'))
  const state = {
    code: 4,
    stderr: text`
      vfio-patch: could not save a backup in /etc/nixos/state: the folder /etc/nixos belongs to another user (1235). Nothing was written.
        Do:  keep backups where nobody else can replace them, e.g. VFIO_PATCH_STATE=/var/lib/vfio-patch, or repeat with --no-backup --yes
      `
  }
  const withState = { ...env, VFIO_PATCH_STATE: join(place.nixos, 'state') }
  await expectRefusal(place, [...SET, '-qy'], state, { env: withState })
})

needing('root')("commands with sudo refuse a user's symlink to a file of root", async () => {
  const place = makePlace({ 'pc.nix': CONFIGURATION, 'other/empty': '' })
  const other = join(place.nixos, 'other')
  symlinkSync('../pc.nix', join(other, 'pc.nix'))
  chownSync(other, 1235, 1235)
  const env = { SUDO_UID: '1235' }
  const refusal = {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/other/pc.nix leads through another user's folder or symlink to ${FILE}, which only root can change. Nothing was written.
        Why: that user could redirect it to any file that root owns.
        Do:  pass the file itself: sudo vfio-patch option set ${FILE} a 2
      `
  }
  mkdirSync(join(place.top, 'of-root'))
  symlinkSync('../../../of-root', join(other, 'out'))
  for (const [flag, words] of [
    ['-o', [...SET, '-qn']],
    ['--dump', ['scan', '-q', ...MACHINE]]
  ] as const)
    await expectRefusal(
      place,
      [...words, flag, 'other/out/new'],
      {
        code: 3,
        stderr: text`
        vfio-patch: ${flag} other/out/new leads through another user's folder or symlink to /of-root/new, where only root can write. Nothing was written.
          Why: that user could redirect it to any place.
          Do:  pass /of-root/new directly, or pass another path
        `
      },
      { env }
    )
  const words = ['option', 'set', 'other/pc.nix', 'a', '2', OFF, '-qy']
  await expectRefusal(place, words, refusal, { env })
  expect((await place.run([...SET, '-qy'], { env })).code).toBe(0)
  const undo = await place.run(['undo', 'other/pc.nix', '-qy'], { env })
  expect([undo.code, undo.stderr]).toEqual([3, expect.stringContaining('leads through another')])
  expect(place.read('pc.nix')).toBe(CONFIGURATION.replace('1', '2'))
})

needing('root').each([
  ['vfio', '/of-root/default.nix'],
  ['vfio/guests', '/of-root/win.nix']
])('apply with sudo refuses %s if it is a symlink to a folder of root', async (link, file) => {
  const place = makePlace({ 'other/pc.nix': CONFIGURATION, 'win.xml': DOMAIN })
  const other = join(place.nixos, 'other')
  const folderOfRoot = join(place.top, 'of-root')
  mkdirSync(folderOfRoot)
  for (const it of [other, join(other, 'pc.nix')]) chownSync(it, 1235, 1235)
  const env = { SUDO_UID: '1235' }
  const apply = ['apply', 'other/pc.nix', OFF, ...MACHINE, '-qy']
  if (link !== 'vfio') expect((await place.run([...apply, '--iommu', 'amd'], { env })).code).toBe(0)
  symlinkSync(folderOfRoot, join(other, link))
  const expected = {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/other/pc.nix is in another user's folder, and a symlink or an import there leads to ${file}, which only root can change. Nothing was written.
        Why: that user could redirect it to any folder that root owns.
        Do:  replace the symlink with a folder that belongs to that user, or run this without sudo
      `
  }
  await expectRefusal(place, [...apply, '--domain', 'win.xml'], expected, { env })
  expect(readdirSync(folderOfRoot)).toEqual([])
})

needing('root', 'chattr')(
  'option set refuses an append-only file and leaves no other file',
  async ({ onTestFinished }) => {
    const place = given()
    const path = join(place.nixos, 'pc.nix')
    spawnSync('chattr', ['+a', path])
    onTestFinished(() => void spawnSync('chattr', ['-a', path]))
    expect(await place.run([...SET, '-qy'])).toEqual({
      code: 3,
      stdout: '',
      stderr: text`
      vfio-patch: ${FILE} is append-only (chattr +a). Nothing was written.
        Do:  sudo chattr -a ${FILE}, then run this again
      `
    })
    expect(readdirSync(place.nixos)).toEqual(['pc.nix'])
    expect(readdirSync(join(place.top, 'state/runs'))).toEqual([])
  }
)

needing('root', 'chattr')(
  'option set refuses an append-only folder',
  async ({ onTestFinished }) => {
    const place = given()
    const { nixos } = place
    spawnSync('chattr', ['+a', nixos])
    onTestFinished(() => void spawnSync('chattr', ['-a', nixos]))
    const left = ['.vfio-patch.journal.new', '.vfio-patch.lock']
    const refusal = {
      code: 3,
      stdout: '',
      stderr: text`
      vfio-patch: /etc/nixos is append-only (chattr +a). Nothing was written.
        Do:  sudo chattr -a /etc/nixos, then run this again
             not deleted: ${left.map(it => `/etc/nixos/${it}`).join(', ')}; the next command that writes deletes this
      `
    }
    expect(await place.run([...SET, '-qy'])).toEqual(refusal)
    expect(readdirSync(nixos).sort()).toEqual([...left, 'pc.nix'])
    expect(place.read('pc.nix')).toBe(CONFIGURATION)
    spawnSync('chattr', ['-a', nixos])
    expect(await place.run([...SET, '-qy'])).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(readdirSync(nixos)).toEqual(['pc.nix'])
  }
)

needing('root', 'chattr')(
  'remove warns about a module that it cannot delete, and a later run deletes it',
  async ({ onTestFinished }) => {
    const place = makePlace({ 'pc.nix': '{ ... }:\n{\n}\n' })
    expect((await place.run(['apply', 'pc.nix', '--iommu', 'amd', '-qy', OFF])).code).toBe(0)
    const module = join(place.nixos, 'vfio/scripts.nix')
    const name = existsSync(module) ? 'scripts.nix' : 'default.nix'
    const path = join(place.nixos, 'vfio', name)
    spawnSync('chattr', ['+a', path])
    onTestFinished(() => void spawnSync('chattr', ['-a', path]))
    const { code, stderr } = await place.run(['remove', 'pc.nix', '-y', OFF])
    expect(code).toBe(8)
    const shown = '/etc/nixos/vfio/default.nix'
    const journal = '/etc/nixos/.vfio-patch.journal'
    expect(stderr.slice(stderr.indexOf('vfio-patch: '), stderr.indexOf('Wrote'))).toBe(text`
    vfio-patch: warning: the change was written, but there is a problem: ${shown} is append-only (chattr +a).
      Do:  sudo chattr -a ${shown}, then run this again
    vfio-patch: warning: the change was written, but there is a problem: could not delete ${shown}, ${journal}.
      Do:  fix the cause; the next time a command writes, it also finishes this run and deletes these files
    `)
    // The next run reports the same until the cause is fixed.
    const again = await place.run(['remove', 'pc.nix', '-qy', OFF])
    expect(again.code).toBe(5)
    expect(again.stderr).toContain(`  Why: ${shown} is append-only (chattr +a).`)
    expect(again.stderr).toContain(`  Do:  sudo chattr -a ${shown}, then run this again\n`)
    spawnSync('chattr', ['-a', path])
    expect((await place.run(['remove', 'pc.nix', '-qy', OFF])).code).toBe(0)
    expect(readdirSync(place.nixos)).toEqual(['pc.nix'])
  }
)

needing('root', 'git')(
  'apply as root does not run a git or Nix that another user could replace',
  async () => {
    const place = given()
    const bin = join(place.top, 'bin')
    mkdirSync(bin)
    for (const name of ['git', 'nix-instantiate'])
      writeFileSync(join(bin, name), `#!/bin/sh\necho ${name} >>${place.top}/ran\n`, {
        mode: 0o755
      })
    const env = { PATH: `${bin}:${place.env.PATH}`, SUDO_UID: '1234' }
    spawnSync('git', ['init', '-q', place.nixos])
    const call = ['apply', 'pc.nix', '--iommu', 'amd', '-qy']
    chownSync(bin, 1234, 1234)
    expect((await place.run(call, { env })).code).toBe(0)
    expect(existsSync(join(place.top, 'ran'))).toBe(false)
    expect((await place.run(['undo', 'pc.nix', '-qy'], { env })).code).toBe(0)
    chownSync(bin, 0, 0)
    await place.run(call, { env })
    expect(existsSync(join(place.top, 'ran'))).toBe(true)
    renameSync(join(place.top, 'ran'), join(place.top, 'ran.before'))
  }
)
