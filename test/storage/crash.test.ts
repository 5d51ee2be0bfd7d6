import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { commit } from '../../src/storage/commit.ts'
import { findInterrupted, type RecoverOptions, recover } from '../../src/storage/recovery.ts'
import { lastRun } from '../../src/storage/runs.ts'
import { planUndo } from '../../src/storage/undo.ts'
import type { FileChange } from '../../src/storage/work.ts'
import { compiled } from './support/compile.ts'
import { change } from './support/files.ts'
import { listing } from './support/listing.ts'
import { needing } from './support/needing.ts'
import type { Place } from './support/place.ts'
import { changesDisk, type InjectedRun, type Scenario, sweep } from './support/sweep.ts'

const folder = compiled()

const WITHOUT = ['0640 configuration.nix: old', '0755 vfio/', '0640 vfio/default.nix: old']
const WITH = [
  '0640 configuration.nix: new',
  '0755 vfio/',
  '0640 vfio/default.nix: new',
  '0755 vfio/guests/',
  '0640 vfio/guests/win.nix: new'
]

/** Changes two existing files and creates one in a new folder. */
const apply: Scenario = {
  state: true,
  given: place => {
    makeFiles(place, 'old', ['vfio/default.nix', 'configuration.nix'])
    return changesTo(place)
  }
}

/** Changes two files and deletes one with its folder. */
const remove: Scenario = {
  state: true,
  given: place => {
    makeFiles(place, 'new', ['vfio/guests/win.nix', 'vfio/default.nix', 'configuration.nix'])
    const { nixos } = place
    const emptied = [join(nixos, 'vfio/guests')]
    return [
      change(join(nixos, 'vfio/default.nix'), 'old\n'),
      change(join(nixos, 'configuration.nix'), 'old\n'),
      { ...change(join(nixos, 'vfio/guests/win.nix'), null), emptied }
    ]
  }
}

/** Undoes `apply`. */
const undo: Scenario = {
  state: true,
  given: place => {
    expect(commit(apply.given(place), place.options)).toMatchObject({ ok: true })
    const run = lastRun(place.state, join(place.nixos, 'configuration.nix'))
    if (!run.ok) throw new Error(run.error.code)
    const changes = planUndo(run.value)
    if (!changes.ok) throw new Error(changes.error.code)
    return changes.value
  }
}

needing('strace', 'GNU cp').each([
  { name: 'apply', scenario: apply, before: WITHOUT, after: WITH, runs: 0 },
  { name: 'remove', scenario: remove, before: WITH, after: WITHOUT, runs: 0 },
  { name: 'undo', scenario: undo, before: WITH, after: WITHOUT, runs: 1 }
])(
  'after a kill at any call of $name, recovery leaves all files as before or all as after it',
  { timeout: 4 * 60_000 },
  async ({ scenario, before, after, runs }) => {
    const outcomes = new Map<string, number>()
    const points = await sweep(folder(), scenario, 'signal=SIGKILL', changesDisk, injected => {
      expectKilled(injected)
      const { place } = injected
      const interrupted = findInterrupted(where(place)).length
      const recovered = recover(where(place))
      if (!recovered.ok) throw new Error(JSON.stringify([injected.point, recovered.error]))
      expect(recovered.value.length).toBe(interrupted)
      const outcome = recovered.value[0]?.outcome ?? 'nothing'
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      const isNew = existsSync(join(place.nixos, 'vfio/guests')) === (after === WITH)
      expect([injected.point, listing(place.nixos)]).toEqual([
        injected.point,
        isNew ? after : before
      ])
      expect([injected.point, runsIn(place)]).toEqual([injected.point, runs + (isNew ? 1 : 0)])
      expect(recover(where(place))).toEqual({ ok: true, value: [] })
    })
    expect(points).toBeGreaterThan(50)
    expect([...outcomes.keys()].sort()).toEqual(['finished', 'nothing', 'rolled back'])
  }
)

needing('strace', 'GNU cp').each([
  { at: 'before the last rename', injection: 'rename:signal=SIGKILL:when=4', end: WITHOUT },
  { at: 'after the last rename', injection: 'unlink:signal=SIGKILL:when=1', end: WITH }
])(
  'after a kill at any call of a recovery, recovers the run that was killed $at',
  { timeout: 4 * 60_000 },
  async ({ injection, end }) => {
    const points = await sweep(
      folder(),
      { ...apply, killedAt: injection },
      'signal=SIGKILL',
      changesDisk,
      injected => {
        expectKilled(injected)
        const { place } = injected
        expect(recover(where(place))).toMatchObject({ ok: true })
        expect([injected.point, listing(place.nixos)]).toEqual([injected.point, end])
        expect(runsIn(place)).toBe(end === WITH ? 1 : 0)
      }
    )
    expect(points).toBeGreaterThan(15)
  }
)

function changesTo({ nixos }: Place): FileChange[] {
  const configuration = join(nixos, 'configuration.nix')
  return [
    { ...change(join(nixos, 'vfio/guests/win.nix'), 'new\n'), ownershipFrom: configuration },
    change(join(nixos, 'vfio/default.nix'), 'new\n'),
    change(configuration, 'new\n')
  ]
}

function makeFiles({ nixos }: Place, text: string, names: string[]): void {
  mkdirSync(join(nixos, 'vfio'))
  if (names.length > 2) mkdirSync(join(nixos, 'vfio/guests'))
  for (const name of names) writeFileSync(join(nixos, name), `${text}\n`, { mode: 0o640 })
}

/** The options of `recover` for the next command on the configuration. */
function where(place: Place): RecoverOptions {
  return { paths: [join(place.nixos, 'configuration.nix')], stateFolder: place.state }
}

function expectKilled({ ended, point }: InjectedRun): void {
  // If a child process makes the call first, the child is killed and the change is rolled back.
  if (ended.stdout.includes('"syscall":"cp"')) return
  expect([point, ended.signal, ended.stdout]).toEqual([point, 'SIGKILL', ''])
}

/** The number of runs, all of which must be done. */
function runsIn({ state }: Place): number {
  const runs = join(state, 'runs')
  if (!existsSync(runs)) return 0
  expect(readdirSync(state)).toEqual(['runs'])
  const ids = readdirSync(runs)
  for (const id of ids) {
    expect(existsSync(join(runs, id, 'manifest.json'))).toBe(true)
    expect(existsSync(join(runs, id, 'done'))).toBe(true)
  }
  return ids.length
}
