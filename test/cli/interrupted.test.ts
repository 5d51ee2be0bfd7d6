import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { needing } from './support/needing.ts'
import { expectRefusal, makeExample, type Outcome, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

// Most of these tests run the program many times.
vi.setConfig({ testTimeout: 120_000 })

const APPLY = ['apply', '--yes', '--quiet', '--device', '10de:1b80']
const SET = ['option', 'set', 'configuration.nix', 'networking.hostName', '"workstation"', '--yes']
const FILES = ['configuration.nix', 'hardware-configuration.nix']
const INTERRUPTED = /an earlier run was interrupted \(\d{4}-\d\d-\d\d \d\d:\d\d\)/

/** Kills an `apply` before its nth rename; the first one is the journal's. */
async function interrupted(nth: number): Promise<Place> {
  const place = makeExample()
  const injection = `inject=rename:signal=SIGKILL:when=${nth}`
  const through = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=rename', '-e', injection]
  await place.run([...APPLY, 'configuration.nix'], { through })
  expect(existsSync(join(place.nixos, '.vfio-patch.journal'))).toBe(true)
  return place
}

/** Runs a command and kills it at the nth system call of this name. */
async function killed(place: Place, words: readonly string[], call: string, nth: number) {
  const injection = `inject=${call}:signal=SIGKILL:when=${nth}`
  const through = ['strace', '-f', '-o', '/dev/null', '-e', `trace=${call}`, '-e', injection]
  const { code } = await place.run(words, { through })
  expect([call, nth, code]).toEqual([call, nth, null])
}

const UNDO = ['undo', '--yes', 'configuration.nix']
const NEXT =
  'Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot'

function messagesOf({ code, stderr }: Outcome): { code: number | null; stderr: string } {
  return { code, stderr: stderr.replace(INTERRUPTED, 'INTERRUPTED') }
}

/** The example after `option set` (run 1), with the files before and after it. The tests make run 2. */
async function afterFirstRun() {
  const place = makeExample()
  const zero = place.files()
  const set = ['option', 'set', 'configuration.nix', 'networking.domain', '"home"', '-yq']
  expect((await place.run(set)).code).toBe(0)
  const one = place.files()
  return { place, zero, one }
}

needing('strace').each([
  { what: 'before its commit point', call: 'rename', nth: 4, outcome: 'rolled back' },
  { what: 'while it held only its locks', call: 'rename', nth: 1, outcome: 'nothing' },
  { what: 'after its commit point', call: 'unlink', nth: 1, outcome: 'finished' }
])(
  'undo after an apply that was killed $what reverts only that apply',
  async ({ call, nth, outcome }) => {
    const { place, zero, one } = await afterFirstRun()
    await killed(place, [...APPLY, 'configuration.nix'], call, nth)
    const before = place.snapshot()
    const dry = await place.run([...UNDO, '-n'])
    expect(place.snapshot()).toEqual(before)

    const first = await place.run(UNDO)
    expect(first.code).toBe(0)
    expect(place.files()).toEqual(one)
    const expected = {
      'rolled back': text`
      vfio-patch: note: INTERRUPTED; it was rolled back.
      The interrupted apply was rolled back: your files are as they were before it.
      To go further back, run this again.
      `,
      nothing: text`
      An interrupted run had changed nothing: your files are as they were before it.
      To go further back, run this again.
      `,
      finished: text`
      vfio-patch: note: INTERRUPTED; it was finished.
      Run RUN-2 (apply) will be undone:
        /etc/nixos/configuration.nix as it was
        /etc/nixos/vfio/: 12 files are deleted
      Undid run RUN-2.
      ${NEXT}
      `
    }
    expect(messagesOf(first).stderr).toBe(expected[outcome as keyof typeof expected])
    if (outcome !== 'nothing') {
      const way =
        outcome === 'finished' ? 'finish it and then undo the last run' : 'roll it back and stop'
      expect(messagesOf(dry)).toEqual({
        code: 1,
        stderr: text`
        vfio-patch: note: INTERRUPTED; the next command that writes recovers it.
        An earlier run was interrupted: undo would ${way}.
        `
      })
    }
    expect((await place.run(UNDO)).code).toBe(0)
    expect(place.files()).toEqual(zero)
  }
)

needing('strace').each([
  { what: 'while it held only its locks', call: 'rename', nth: 1, outcome: 'nothing' },
  { what: 'before its commit point', call: 'rename', nth: 2, outcome: 'rolled back' },
  { what: 'after its commit point', call: 'unlink', nth: 3, outcome: 'finished' },
  { what: 'after all its work', call: 'openat', nth: -1, outcome: 'unreported' }
])(
  'undo after an undo that was killed $what only completes that undo',
  async ({ call, nth, outcome }) => {
    const { place, zero, one } = await afterFirstRun()
    await place.run([...APPLY, 'configuration.nix'])
    if (nth > 0) await killed(place, UNDO, call, nth)
    else {
      // As if the undo was killed before its last call, which marks the run as reported.
      await place.run(UNDO)
      const id = readdirSync(join(place.top, 'state/runs')).sort().at(-1) ?? ''
      rmSync(join(place.top, 'state/runs', id, 'reported'))
    }
    for (const words of [
      ['diff', 'configuration.nix'],
      [...UNDO, '-n']
    ]) {
      const before = place.snapshot()
      await place.run(words)
      expect(place.snapshot()).toEqual(before)
    }
    const next = await place.run(UNDO)
    const [undone, complete] = [
      text`
      Run RUN-2 (apply) will be undone:
        /etc/nixos/configuration.nix as it was
        /etc/nixos/vfio/: 12 files are deleted
      Undid run RUN-2.
      ${NEXT}
      `,
      text`
      The interrupted undo is complete: run RUN-2 is undone.
      To go further back, run this again.
      ${NEXT}
      `
    ]
    const expected = {
      nothing: undone,
      'rolled back': `vfio-patch: note: INTERRUPTED; it was rolled back.\n${undone}`,
      finished: `vfio-patch: note: INTERRUPTED; it was finished.\n${complete}`,
      unreported: complete
    }
    expect(messagesOf(next)).toEqual({
      code: 0,
      stderr: expected[outcome as keyof typeof expected]
    })
    expect(place.files()).toEqual(one)
    expect((await place.run(UNDO)).stderr).toContain('Undid run RUN-1.\n')
    expect(place.files()).toEqual(zero)
  }
)

needing('strace')('undo after an undo that exited with 8 only completes that undo', async () => {
  const { place, zero, one } = await afterFirstRun()
  await place.run([...APPLY, 'configuration.nix'])
  const injection = 'inject=unlink:error=EIO:when=5'
  const through = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=unlink', '-e', injection]
  const trouble = await place.run(UNDO, { through })
  expect(trouble.code).toBe(8)
  expect(Object.keys(place.files()).length).toBeGreaterThan(Object.keys(one).length)
  const next = await place.run([...UNDO, '--json'])
  expect(JSON.parse(next.stdout)).toMatchObject({
    outcome: 'unchanged',
    exit: 0,
    earlierRuns: [{ outcome: 'finished' }],
    notes: [
      'The interrupted undo is complete: run RUN-2 is undone.',
      'To go further back, run this again.'
    ]
  })
  expect([next.code, next.stderr]).toEqual([0, ''])
  expect(place.files()).toEqual(one)
  expect((await place.run(UNDO)).code).toBe(0)
  expect(place.files()).toEqual(zero)
})

test.concurrent('undo exits with 8 if its output is lost, and the next undo only reports it complete', async () => {
  const { place, zero, one } = await afterFirstRun()
  await place.run([...APPLY, 'configuration.nix'])
  expect((await place.run(UNDO, { script: '"$@" >/dev/full' })).code).toBe(8)
  expect(place.files()).toEqual(one)
  const next = await place.run(UNDO)
  expect(next).toEqual({
    code: 0,
    stdout: '',
    stderr: text`
      The interrupted undo is complete: run RUN-2 is undone.
      To go further back, run this again.
      ${NEXT}
      `
  })
  expect(place.files()).toEqual(one)
  expect((await place.run(UNDO)).code).toBe(0)
  expect(place.files()).toEqual(zero)
})

needing('strace').each([
  { nth: 2, call: 'rename', says: 'it was rolled back.' },
  { nth: 3, call: 'unlink', says: 'it was finished.' }
])(
  'apply after an interrupted undo writes the same files as without it: $says',
  async ({ nth, call, says }) => {
    const { place } = await afterFirstRun()
    const words = [...APPLY.filter(it => it !== '--quiet'), 'configuration.nix']
    await place.run(words)
    const wanted = place.files()
    await killed(place, UNDO, call, nth)
    const { code, stderr } = await place.run(words)
    expect([code, stderr.includes(says)]).toEqual([0, true])
    expect(place.files()).toEqual(wanted)
  }
)

needing('strace').each([
  { nth: 2, call: 'rename', end: 'before its commit point' },
  { nth: 3, call: 'unlink', end: 'after its commit point' }
])('undo reverts a remove that was killed $end', async ({ nth, call }) => {
  const { place, one } = await afterFirstRun()
  await place.run([...APPLY, 'configuration.nix'])
  const two = place.files()
  await killed(place, ['remove', '--yes', '--quiet', 'configuration.nix'], call, nth)
  expect((await place.run(UNDO)).code).toBe(0)
  expect(place.files()).toEqual(two)
  expect((await place.run(UNDO)).code).toBe(0)
  expect(place.files()).toEqual(one)
})

needing('strace').each([
  { nth: 3, end: 'redone' },
  { nth: 1, end: 'redone' }
])('undo --redo after a redo that was killed completes that redo', async ({ nth }) => {
  const { place, one } = await afterFirstRun()
  await place.run([...APPLY, 'configuration.nix'])
  const two = place.files()
  await place.run(UNDO)
  await place.run(UNDO)
  await place.run([...UNDO, '--redo'])
  expect(place.files()).toEqual(one)
  await killed(place, [...UNDO, '--redo'], 'rename', nth)
  expect((await place.run([...UNDO, '--redo'])).code).toBe(0)
  expect(place.files()).toEqual(two)
  // An undo after an interrupted redo goes back no further than before that redo.
  await place.run(UNDO)
  await killed(place, [...UNDO, '--redo'], 'rename', nth)
  expect((await place.run(UNDO)).code).toBe(0)
  expect(place.files()).toEqual(one)
})

needing('strace')('undo ignores an interrupted run for another file', async () => {
  const { place, zero } = await afterFirstRun()
  place.write('other/other.nix', '{ }\n')
  const set = ['option', 'set', 'other/other.nix', 'a', '1', '-yq']
  await killed(place, set, 'rename', 2)
  const { code, stderr } = await place.run(UNDO)
  expect([code, stderr.includes('Undid run RUN-1.')]).toEqual([0, true])
  expect(place.files()).toEqual({ ...zero, 'other/other.nix': '{ }\n' })
})

needing('strace')('the next command that writes rolls back an interrupted run', async () => {
  const place = await interrupted(4)
  expect(readdirSync(join(place.nixos, 'vfio'))).toContain('vfio.nix')
  const { code, stdout, stderr } = await place.run(SET)
  expect([code, stdout]).toEqual([0, ''])
  expect(stderr.replace(INTERRUPTED, 'INTERRUPTED')).toBe(text`
    vfio-patch: note: INTERRUPTED; it was rolled back.
    Nothing to do: /etc/nixos/configuration.nix is already up to date.
    `)
  expect(readdirSync(place.nixos).sort()).toEqual(FILES)
  expect(readdirSync(join(place.top, 'state/runs'))).toEqual([])
  expect((await place.run(SET)).stderr).not.toContain('interrupted')
})

needing('strace')('--json reports an interrupted run only in the document', async () => {
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

needing('strace')(
  'commands that do not write report an interrupted run and leave it unchanged',
  async () => {
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
        'vfio-patch: note: INTERRUPTED; the next command that writes recovers it.'
      )
    }
    expect(place.snapshot()).toEqual(before)
  }
)

needing('strace')('option set refuses to recover a file that was edited since', async () => {
  const place = await interrupted(4)
  const old = place.read('configuration.nix')
  place.write('configuration.nix', `${old}# mine\n`)
  const before = place.snapshot()
  const { code, stdout, stderr } = await place.run(SET)
  expect([code, stdout]).toEqual([5, ''])
  expect(stderr.replace(INTERRUPTED, 'INTERRUPTED')).toBe(text`
    vfio-patch: INTERRUPTED, and /etc/nixos/configuration.nix was edited since. Nothing was written.
      Do:  check that your files are as you want them (old versions: ${SUDO}vfio-patch undo --list), then: rm /etc/nixos/.vfio-patch.journal
    `)
  const files = (all: string[]) => all.filter(it => it.includes('.nix: '))
  expect(files(place.snapshot())).toEqual(files(before))
  rmSync(join(place.nixos, '.vfio-patch.journal'))
  expect((await place.run(SET)).code).toBe(0)
  expect(place.read('configuration.nix')).toBe(`${old}# mine\n`)
})

test.concurrent('option set refuses if the journal is not valid', async () => {
  const place = makeExample()
  place.write('.vfio-patch.journal', 'hello\n')
  await expectRefusal(place, SET, {
    code: 5,
    stderr: text`
      vfio-patch: an earlier run was interrupted, and its record /etc/nixos/.vfio-patch.journal is damaged. Nothing was written.
        Do:  check that your files are as you want them, then: rm /etc/nixos/.vfio-patch.journal
      `
  })
})

test.concurrent('apply refuses while another vfio-patch holds the lock, and ignores a stale lock', async () => {
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
      Why: it has held the lock of /etc/nixos since WHEN
      Do:  wait until it ends, then run this again; if process ${child.pid} is not vfio-patch: rm /etc/nixos/.vfio-patch.lock
    `)
  expect(place.files()).toEqual(before)
  rmSync(lock)
  symlinkSync('4194399:1::.', lock)
  expect((await place.run([...APPLY, 'configuration.nix'])).code).toBe(0)
  expect(readdirSync(place.nixos).sort()).toEqual([...FILES, 'vfio'])
})

needing('root')('apply refuses a backup folder that other users can access', async () => {
  const place = makeExample()
  const state = join(place.top, 'state')
  mkdirSync(state)
  chmodSync(state, 0o755)
  await expectRefusal(place, [...APPLY, 'configuration.nix'], {
    code: 4,
    stderr: text`
      vfio-patch: could not save a backup in /state: other users have access to /state, the folder with your backups (mode 755). Nothing was written.
        Do:  chmod 700 /state, or repeat with --no-backup --yes
      `
  })
})
