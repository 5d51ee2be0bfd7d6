import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { needing } from './support/needing.ts'
import { expectRefusal, makeExample, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const APPLY = ['apply', '--yes', '--quiet', '--device', '10de:1b80']
const SET = ['option', 'set', 'configuration.nix', 'networking.hostName', '"workstation"', '--yes']
const FILES = ['configuration.nix', 'hardware-configuration.nix']
const INTERRUPTED = /an earlier run was interrupted \(\d{4}-\d\d-\d\d \d\d:\d\d\)/

/** Kills an `apply` before the rename with this number; the journal's is the first. */
async function interrupted(nth: number): Promise<Place> {
  const place = makeExample()
  const injection = `inject=rename:signal=SIGKILL:when=${nth}`
  const through = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=rename', '-e', injection]
  await place.run([...APPLY, 'configuration.nix'], { through })
  expect(existsSync(join(place.nixos, '.vfio-patch.journal'))).toBe(true)
  return place
}

needing('strace')('the next command that writes says so and takes the run back', async () => {
  const place = await interrupted(4)
  expect(readdirSync(join(place.nixos, 'vfio'))).toContain('vfio.nix')
  const { code, stdout, stderr } = await place.run(SET)
  expect([code, stdout]).toEqual([0, ''])
  expect(stderr.replace(INTERRUPTED, 'INTERRUPTED')).toBe(text`
    vfio-patch: note: INTERRUPTED; it was taken back.
    Nothing to do: /etc/nixos/configuration.nix says all this already.
    `)
  expect(readdirSync(place.nixos).sort()).toEqual(FILES)
  expect(readdirSync(join(place.top, 'state/runs'))).toEqual([])
  expect((await place.run(SET)).stderr).not.toContain('interrupted')
})

needing('strace')('as JSON, it is in the document and nowhere else', async () => {
  const place = await interrupted(4)
  const looked = await place.run([...SET.filter(it => it !== '--yes'), '--dry-run', '--json'])
  const { earlierRuns: pending } = JSON.parse(looked.stdout)
  expect(pending).toEqual([{ started: expect.any(String), outcome: 'pending', files: [] }])
  const { stdout, stderr } = await place.run([...SET, '--json'])
  const files = expect.arrayContaining(['/etc/nixos/configuration.nix'])
  expect(JSON.parse(stdout)).toMatchObject({
    outcome: 'unchanged',
    earlierRuns: [{ started: expect.any(String), outcome: 'taken-back', files }]
  })
  expect(looked.stderr + stderr).toBe('')
})

needing('strace')('commands that do not write only say so', async () => {
  const place = await interrupted(4)
  const before = place.snapshot()
  const calls = [
    ['diff', 'configuration.nix'],
    [...APPLY.filter(it => it !== '--quiet'), '--dry-run', 'configuration.nix'],
    ['option', 'get', 'configuration.nix', 'networking.hostName'],
    ['undo', '--list', 'configuration.nix']
  ]
  for (const call of calls) {
    const { stderr } = await place.run(call)
    expect(stderr.split('\n')[0]?.replace(INTERRUPTED, 'INTERRUPTED')).toBe(
      'vfio-patch: note: INTERRUPTED; the next command that writes sees to it.'
    )
  }
  expect(place.snapshot()).toEqual(before)
})

needing('strace')('a file that was edited since is left alone, with a way out', async () => {
  const place = await interrupted(4)
  const old = place.read('configuration.nix')
  place.write('configuration.nix', `${old}# mine\n`)
  const before = place.snapshot()
  const { code, stdout, stderr } = await place.run(SET)
  expect([code, stdout]).toEqual([5, ''])
  expect(stderr.replace(INTERRUPTED, 'INTERRUPTED')).toBe(text`
    vfio-patch: INTERRUPTED, and /etc/nixos/configuration.nix was edited since. Nothing was written.
      Do:  see that your files are as you want them (old versions: vfio-patch undo --list), then: rm /etc/nixos/.vfio-patch.journal
    `)
  const files = (all: string[]) => all.filter(it => it.includes('.nix: '))
  expect(files(place.snapshot())).toEqual(files(before))
  rmSync(join(place.nixos, '.vfio-patch.journal'))
  expect((await place.run(SET)).code).toBe(0)
  expect(place.read('configuration.nix')).toBe(`${old}# mine\n`)
})

test.concurrent('a journal that is none', async () => {
  const place = makeExample()
  place.write('.vfio-patch.journal', 'hello\n')
  await expectRefusal(place, SET, {
    code: 5,
    stderr: text`
      vfio-patch: an earlier run was interrupted, and its record /etc/nixos/.vfio-patch.journal is damaged. Nothing was written.
        Do:  see that your files are as you want them, then: rm /etc/nixos/.vfio-patch.journal
      `
  })
})

test.concurrent('another vfio-patch at work, and a lock that one left', async () => {
  const place = makeExample()
  const child = spawn('sleep', ['60'])
  onTestFinished(() => {
    child.kill()
  })
  const lock = join(place.nixos, '.vfio-patch.lock')
  symlinkSync(`${child.pid}:::.`, lock)
  const before = place.files()
  const { code, stdout, stderr } = await place.run([...APPLY, 'configuration.nix'])
  expect([code, stdout]).toEqual([5, ''])
  expect(stderr).toBe(text`
    vfio-patch: another vfio-patch (pid ${child.pid}) is working on /etc/nixos/configuration.nix. Nothing was written.
      Why: it holds the lock of /etc/nixos since WHEN
      Do:  wait for it and run this again; if process ${child.pid} is something else: rm /etc/nixos/.vfio-patch.lock
    `)
  expect(place.files()).toEqual(before)
  rmSync(lock)
  symlinkSync('4194399:1::.', lock)
  expect((await place.run([...APPLY, 'configuration.nix'])).code).toBe(0)
  expect(readdirSync(place.nixos).sort()).toEqual([...FILES, 'vfio'])
})

needing('root')('a folder for the backups that others have rights to', async () => {
  const place = makeExample()
  const state = join(place.top, 'state')
  mkdirSync(state)
  chmodSync(state, 0o755)
  await expectRefusal(place, [...APPLY, 'configuration.nix'], {
    code: 4,
    stderr: text`
      vfio-patch: could not save a backup in /state: the folder /state keeps your backups, and others have rights to it (mode 755). Nothing was written.
        Do:  chmod 700 /state, or repeat with --no-backup --yes
      `
  })
})
