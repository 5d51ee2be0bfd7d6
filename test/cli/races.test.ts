// Other programs that change the same files during a run, and signals that end a run early.

import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { makePlace, type Outcome, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const CONFIGURATION = '{ ... }:\n{\n  a = 1;\n  b = 1;\n}\n'
const FILE = '/etc/nixos/pc.nix'
const OFF = '--parse-check=off'
const SET_A = ['option', 'set', '-qy', 'pc.nix', 'a', '2', OFF]
const SET_B = ['option', 'set', '-qy', 'pc.nix', 'b', '2', OFF]
const ASKING = ['option', 'set', 'pc.nix', 'a', '2', OFF, '--color=never']
const QUESTION = '[y/N] '

const STALE = text`
  vfio-patch: ${FILE} changed while you were deciding. Nothing was written.
    Do:  run vfio-patch option set again to see the new diff
  `

function given(): Place {
  return makePlace({ 'pc.nix': CONFIGURATION })
}

/** Stops a call for two seconds before its first rename. */
const SLOWLY = [
  ...['strace', '-f', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=rename'],
  ...['-e', 'inject=rename:delay_enter=2000000:when=1']
]

/** Sends a call this signal at its second rename, while it writes; strace logs it. */
function atSecondRename(place: Place, signal: string): string[] {
  // With --seccomp-bpf, strace would not send the signal.
  const traced = ['-o', join(place.top, 'log'), '-e', 'trace=rename']
  return ['strace', '-f', ...traced, '-e', `inject=rename:signal=${signal}:when=2`]
}

/** The other files in the folder of the module. */
function others(place: Place): string[] {
  return readdirSync(place.nixos).filter(it => it !== 'pc.nix')
}

needing('strace')('the second of two simultaneous runs refuses, and names the first', async () => {
  const place = given()
  const first = place.run(SET_A, { through: SLOWLY })
  for (let i = 0; i < 100 && others(place).length === 0; i++) {
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const second = await place.run(SET_B)
  expect(second).toEqual({
    code: 5,
    stdout: '',
    stderr: expect.stringMatching(
      /^vfio-patch: another vfio-patch \(pid \d+\) is working on \/etc\/nixos\/pc\.nix\. Nothing was written\.\n {2}Why: it has held the lock of \/etc\/nixos since WHEN, and runs: vfio-patch option set -qy pc\.nix a 2 --parse-check=off\n {2}Do: {2}wait until it ends, then run this again\n$/
    )
  })
  expect((await first).code).toBe(0)
  expect(place.read('pc.nix')).toBe(CONFIGURATION.replace('a = 1', 'a = 2'))
  expect(others(place)).toEqual([])
  expect((await place.run(SET_B)).code).toBe(0)
  expect(place.read('pc.nix')).toBe(CONFIGURATION.replaceAll('1', '2'))
})

/** Starts a slow run on one configuration; returns the outcome of a second run on another configuration. */
async function whileOther(
  seconds: number,
  ...flags: string[]
): Promise<Outcome & { first: Outcome }> {
  const place = makePlace({ 'pc.nix': CONFIGURATION, 'other/pc.nix': CONFIGURATION })
  const slowly = SLOWLY.map(it => it.replace('delay_enter=2000000', `delay_enter=${seconds}000000`))
  const first = place.run(SET_A, { through: slowly })
  for (let i = 0; i < 500 && others(place).length < 2; i++) {
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const second = await place.run(['option', 'set', 'other/pc.nix', 'b', '2', OFF, ...flags])
  const ended = { ...second, first: await first }
  expect(place.read('pc.nix')).toBe(CONFIGURATION.replace('a = 1', 'a = 2'))
  const written = CONFIGURATION.replace('b = 1', 'b = 2')
  expect(place.read('other/pc.nix')).toBe(second.code === 0 ? written : CONFIGURATION)
  return ended
}

needing('strace')('option set waits for a run on another configuration', async () => {
  const { first, code, stderr } = await whileOther(4, '--yes')
  expect([first.code, code]).toEqual([0, 0])
  expect(stderr).toMatch(
    /\nvfio-patch: note: waiting for another vfio-patch \(pid \d+\), which is writing another configuration\.\nWrote \/etc\/nixos\/other\/pc\.nix\.\n/
  )
})

needing('strace')('option set -q waits quietly, and refuses after 5 seconds', async () => {
  const { first, code, stdout, stderr } = await whileOther(8, '-qy')
  expect([first.code, code, stdout]).toEqual([0, 5, ''])
  expect(stderr.replace(/pid \d+/, 'pid N')).toBe(text`
    vfio-patch: another vfio-patch (pid N) is writing another configuration, and did not finish within 5 seconds. Nothing was written.
      Why: all configurations share the backup folder /state; it has held the lock since WHEN, and runs: vfio-patch option set -qy pc.nix a 2 --parse-check=off
      Do:  wait until it ends, then run this again
    `)
})

needing('strace')('the next run takes over the lock of a killed run', async () => {
  const place = given()
  await place.run(SET_A, { through: atSecondRename(place, 'SIGKILL') })
  expect(others(place)).toContain('.vfio-patch.lock')
  const { code } = await place.run(SET_B)
  expect(code).toBe(0)
  expect(place.read('pc.nix')).toContain('b = 2')
  expect(others(place)).toEqual([])
})

needing('python3')('option set refuses to write a file edited during the question', async () => {
  const place = given()
  const steps = [{ until: QUESTION, run: 'echo "{ mine = 1; }" >pc.nix', send: 'y\r' }]
  const { terminal, code } = await onTerminal(place, ASKING, { steps })
  expect(code).toBe(5)
  expect(terminal.endsWith(`${QUESTION}y\n${STALE}`)).toBe(true)
  expect(place.files()).toEqual({ 'pc.nix': '{ mine = 1; }\n' })
})

needing('python3')(
  'option set does not follow a symlink that replaced the file during the question',
  async () => {
    const place = given()
    writeFileSync(join(place.top, 'shadow'), 'secret\n')
    const steps = [
      { until: QUESTION, run: 'mv pc.nix old && ln -s ../../shadow pc.nix', send: 'y\r' }
    ]
    const { terminal, code } = await onTerminal(place, ASKING, { steps })
    expect(code).toBe(3)
    expect(terminal).toContain(`vfio-patch: ${FILE} is not a regular file. Now on the disk: `)
    expect(readFileSync(join(place.top, 'shadow'), 'utf8')).toBe('secret\n')
    expect(readlinkSync(join(place.nixos, 'pc.nix'))).toBe('../../shadow')
    expect(place.read('old')).toBe(CONFIGURATION)
  }
)

needing('python3')('apply writes nothing through a symlink made during the question', async () => {
  const place = makePlace({ 'configuration.nix': '{ ... }: { }\n' })
  mkdirSync(join(place.top, 'elsewhere'), { mode: 0o755 })
  const words = ['apply', 'configuration.nix', '--iommu', 'amd', OFF, '--color=never']
  const steps = [{ until: QUESTION, run: 'ln -s ../../elsewhere vfio', send: 'y\r' }]
  const { code } = await onTerminal(place, words, { steps })
  expect(code).not.toBe(0)
  expect(readdirSync(join(place.top, 'elsewhere'))).toEqual([])
  expect(place.read('configuration.nix')).toBe('{ ... }: { }\n')
})

needing('python3')('-o saves the patch before the question', async () => {
  const place = given()
  const steps = [{ until: QUESTION, send: '\x03' }]
  const { code } = await onTerminal(place, [...ASKING, '-o', 'a.patch'], { steps })
  expect(code).toBe(130)
  expect(place.read('pc.nix')).toBe(CONFIGURATION)
  expect(place.read('a.patch')).toContain('+  a = 2;')
})

needing('python3')('closing the terminal during the question writes nothing', async () => {
  const place = given()
  const before = place.snapshot()
  const steps = [{ until: QUESTION, close: true as const }]
  const { code } = await onTerminal(place, ASKING, { steps })
  expect([-1, 1]).toContain(code)
  expect(place.snapshot()).toEqual(before)
})

needing('strace')(
  'a signal during the write takes effect only after everything is written',
  async () => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      const place = given()
      const { code } = await place.run(SET_A, { through: atSecondRename(place, signal) })
      expect(readFileSync(join(place.top, 'log'), 'utf8')).toContain(`--- ${signal} `)
      expect({ signal, code, now: place.read('pc.nix'), others: others(place) }).toEqual({
        signal,
        code: 0,
        now: CONFIGURATION.replace('a = 1', 'a = 2'),
        others: []
      })
    }
  }
)

needing('strace')('a signal before the write ends the run and writes nothing', async () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    const place = given()
    const through = [
      ...['strace', '-f', '-P', join(place.nixos, 'pc.nix'), '-o', '/dev/null'],
      ...['-e', 'trace=openat,open', '-e', `inject=openat,open:signal=${signal}:when=1`]
    ]
    const before = place.snapshot()
    const { code } = await place.run(SET_A, { through })
    expect(code).not.toBe(0)
    expect(place.snapshot()).toEqual(before)
  }
})

needing('strace')('temporary files are opened only as new files', async () => {
  const place = given()
  const through = [
    ...['strace', '-f', '--seccomp-bpf', '-o', join(place.top, 'log'), '-e', 'trace=openat']
  ]
  await place.run(SET_A, { through })
  const created = readFileSync(join(place.top, 'log'), 'utf8')
    .split('\n')
    .filter(it => it.includes('O_CREAT') && !it.includes('/dev/null'))
  expect(created.length).toBeGreaterThan(0)
  expect(created.filter(it => !it.includes('O_EXCL') || !it.includes('O_NOFOLLOW'))).toEqual([])
  expect(lstatSync(join(place.nixos, 'pc.nix')).isFile()).toBe(true)
})
