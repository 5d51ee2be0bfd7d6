import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { FileChange } from '../../src/files/change.ts'
import { commit } from '../../src/files/commit.ts'
import { lastRun } from '../../src/files/runs.ts'
import { planUndo } from '../../src/files/undo.ts'
import { compiled } from './support/compile.ts'
import { change, read } from './support/files.ts'
import { listing } from './support/listing.ts'
import { needing } from './support/needing.ts'
import type { Place } from './support/place.ts'
import { changesDisk, type Struck, sweep } from './support/sweep.ts'

const folder = compiled()
const MODULES = ['vfio/default.nix', 'vfio/guests/win.nix']
const LITTER = /^0[67][0-9]{2} (vfio\/(guests\/)?)?\.[a-z]+\.nix\.vfio-patch\.[0-9a-f]{12}\.tmp: /

needing('strace', 'GNU cp')(
  'killed at any call of apply: the old configuration, or the new one with every module',
  { timeout: 2 * 60_000 },
  async () => {
    const points = await sweep(
      folder(),
      { state: true, given: apply },
      'signal=SIGKILL',
      changesDisk,
      struck => {
        expectKilled(struck)
        const { place } = struck
        const isNew = configurationOf(place) === 'new\n'
        expect(isNew || configurationOf(place) === 'old\n').toBe(true)
        for (const name of MODULES) {
          const path = join(place.nixos, name)
          if (isNew || existsSync(path)) expect(read(path)).toBe(`${name}\n`)
        }
        expectNothingElse(place)
        expectGoesOn(place)
      }
    )
    expect(points).toBeGreaterThan(25)
  }
)

needing('strace', 'GNU cp')(
  'killed at any call of remove: the old configuration with every module, or the new one',
  { timeout: 2 * 60_000 },
  async () => {
    const points = await sweep(
      folder(),
      { given: place => applied(place) && remove(place) },
      'signal=SIGKILL',
      changesDisk,
      struck => {
        expectKilled(struck)
        const { place } = struck
        const isNew = configurationOf(place) === 'old\n'
        expect(isNew || configurationOf(place) === 'new\n').toBe(true)
        for (const name of MODULES) {
          const path = join(place.nixos, name)
          if (!isNew || existsSync(path)) expect(read(path)).toBe(`${name}\n`)
        }
        expectNothingElse(place)
        // Nothing that the killed run left is in the way of the next one.
        expect(commit(remove(place), place.options)).toMatchObject({ ok: true })
        expect(listing(place.nixos).filter(line => line.includes('.nix: '))).toEqual([
          '0644 configuration.nix: old'
        ])
      }
    )
    expect(points).toBeGreaterThan(25)
  }
)

function apply(place: Place): FileChange[] {
  const configuration = join(place.nixos, 'configuration.nix')
  if (!existsSync(configuration)) writeFileSync(configuration, 'old\n')
  return [
    ...MODULES.map(name => ({
      ...change(join(place.nixos, name), `${name}\n`),
      like: configuration
    })),
    change(configuration, 'new\n')
  ]
}

/** The state that `apply` leaves. */
function applied(place: Place): true {
  mkdirSync(join(place.nixos, 'vfio/guests'), { recursive: true })
  for (const name of MODULES) writeFileSync(join(place.nixos, name), `${name}\n`)
  writeFileSync(join(place.nixos, 'configuration.nix'), 'new\n')
  return true
}

function remove(place: Place): FileChange[] {
  const emptied = ['vfio', 'vfio/guests'].map(name => join(place.nixos, name))
  return [
    change(join(place.nixos, 'configuration.nix'), 'old\n'),
    ...MODULES.map(name => ({ ...change(join(place.nixos, name), null), emptied }))
  ]
}

function configurationOf(place: Place): string {
  return read(join(place.nixos, 'configuration.nix'))
}

function expectKilled({ ended, point }: Struck): void {
  expect([point, ended.signal, ended.stdout]).toEqual([point, 'SIGKILL', ''])
}

function expectNothingElse({ nixos }: Place): void {
  const known = ['configuration.nix', 'vfio/', 'vfio/guests/', ...MODULES]
  const others = listing(nixos).filter(line => {
    const name = line.split(' ')[1]?.replace(/:$/, '') ?? ''
    return !known.includes(name) && !LITTER.test(line)
  })
  expect(others).toEqual([])
}

/** The killed run doesn't hinder the next one, and undo leads to the old configuration. */
function expectGoesOn(place: Place): void {
  expect(commit(apply(place), place.options)).toMatchObject({ ok: true })
  expect(configurationOf(place)).toBe('new\n')
  const last = lastRun(place.state, join(place.nixos, 'configuration.nix'))
  if (!last.ok) throw new Error(last.error.code)
  const back = planUndo(last.value)
  if (!back.ok) throw new Error(back.error.code)
  expect(commit(back.value, place.options)).toMatchObject({ ok: true })
  expect(configurationOf(place)).toBe('old\n')
}
