import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Result } from '../../src/nix/result.ts'
import type { CommitProblem, Committed } from '../../src/storage/commit.ts'
import { recover } from '../../src/storage/recovery.ts'
import { compiled } from './support/compile.ts'
import { change } from './support/files.ts'
import { listing, listingIfAny } from './support/listing.ts'
import { needing } from './support/needing.ts'
import {
  changesDisk,
  type InjectedRun,
  type Point,
  runWithInjections,
  type Scenario,
  sweep
} from './support/sweep.ts'

const folder = compiled()
const MINUTE = 60_000
const OLD = ['0644 configuration.nix: old']
const NEW = ['0644 configuration.nix: new', '0755 vfio/', '0644 vfio/default.nix: module']

/** Creates a module in a new folder and changes the configuration. */
const apply: Scenario = {
  state: true,
  given: ({ nixos }) => {
    const configuration = join(nixos, 'configuration.nix')
    writeFileSync(configuration, 'old\n', { mode: 0o644 })
    return [
      { ...change(join(nixos, 'vfio/default.nix'), 'module\n'), ownershipFrom: configuration },
      change(configuration, 'new\n')
    ]
  }
}

/** Changes two existing files and creates one. */
const replace: Scenario = {
  given: ({ nixos }) => {
    mkdirSync(join(nixos, 'vfio'))
    const names = ['vfio/default.nix', 'configuration.nix']
    for (const name of names) {
      writeFileSync(join(nixos, name), `old ${name}\n`, { mode: 0o640 })
      utimesSync(join(nixos, name), 1000, 2000.5)
    }
    return [
      change(join(nixos, 'vfio/gpu.nix'), 'new vfio/gpu.nix\n'),
      ...names.map(name => change(join(nixos, name), `new ${name}\n`))
    ]
  }
}

needing('strace', 'GNU cp').each([
  { errno: 'EIO', code: 'IO_ERROR', pick: changesOrReads, state: true },
  { errno: 'ENOSPC', code: 'NO_SPACE', pick: takesSpace, state: true },
  { errno: 'EROFS', code: 'READ_ONLY_FS', pick: takesSpace, state: false },
  { errno: 'EDQUOT', code: 'NO_SPACE', pick: writes, state: true }
])(
  'after $errno at any call, either no file is changed, or all are and there is a warning',
  { timeout: MINUTE },
  async ({ errno, code, pick, state }) => {
    const ends = { failed: 0, warned: 0 }
    await sweep(folder(), { ...apply, state }, `error=${errno}`, pick, injected => {
      const { place, point } = injected
      const result = resultOf(injected)
      const left = listing(place.nixos).filter(line => !(result.ok ? NEW : OLD).includes(line))
      const paths = [join(place.nixos, 'configuration.nix')]
      const recovered = recover({ paths, stateFolder: place.state })
      expect([point, recovered.ok]).toEqual([point, true])
      if (result.ok) {
        expect([point, listing(place.nixos)]).toEqual([point, NEW])
        // Errors of these calls may be harmless, or leave a lock, which is stale when its process has
        // ended.
        const safe = ['statx', 'close', 'read', 'readlink', 'unlink']
        const isSafe = point.reads || safe.includes(point.call)
        if (!isSafe || left.some(line => line.includes('journal')))
          expect([point, result.value.warnings.map(reasonOf)]).toEqual([point, [code]])
        ends.warned += result.value.warnings.length
        return
      }
      expect([point, left]).toEqual([point, []])
      expect(listing(place.nixos)).toEqual(OLD)
      expect(listingIfAny(place.state).filter(line => line !== '0700 runs/')).toEqual([])
      expect(result.error.onDisk.map(({ state }) => state)).toEqual(['before', 'before'])
      expect(result.error.leftovers).toEqual([])
      if (['mkdir', 'write', 'fsync', 'rename'].includes(point.call))
        expect([point, reasonOf(result.error)]).toEqual([point, code])
      ends.failed += 1
    })
    expect(ends.failed).toBeGreaterThan(15)
    expect(ends.warned).toBeGreaterThan(1)
  }
)

needing('strace', 'GNU cp')(
  'restores content, mode and time of two existing files after EIO at any call',
  { timeout: MINUTE },
  async () => {
    const outcomes = new Set<boolean>()
    await sweep(folder(), replace, 'error=EIO', changesDisk, injected => {
      const { nixos } = injected.place
      const result = resultOf(injected)
      const { ok } = result
      const word = ok ? 'new' : 'old'
      const paths = injected.changes.map(({ realpath }) => realpath)
      const recovered = recover({ paths, stateFolder: injected.place.state })
      expect([injected.point, recovered.ok]).toEqual([injected.point, true])
      expect(listing(nixos)).toEqual([
        `0640 configuration.nix: ${word} configuration.nix`,
        '0755 vfio/',
        `0640 vfio/default.nix: ${word} vfio/default.nix`,
        ...(ok ? ['0644 vfio/gpu.nix: new vfio/gpu.nix'] : [])
      ])
      if (!ok)
        for (const name of ['vfio/default.nix', 'configuration.nix'])
          expect(statSync(join(nixos, name)).mtimeMs).toBe(2_000_500)
      outcomes.add(ok)
    })
    expect([...outcomes].sort()).toEqual([false, true])
  }
)

needing('strace', 'GNU cp').each([
  { retval: 3, bytes: 'three' },
  { retval: 0, bytes: 'no' }
])('detects a disk that silently writes $bytes bytes', async ({ retval }) => {
  const injected = await runWithInjections(folder(), { ...apply, state: false }, [
    `write:retval=${retval}:when=3`
  ])
  const path = join(injected.place.nixos, 'configuration.nix')
  expect(resultOf(injected)).toMatchObject({
    error: { code: 'NOT_AS_WRITTEN', path, leftovers: [] }
  })
  expect(injected.listing).toEqual(OLD)
})

needing('strace', 'GNU cp')('lists the files that it cannot delete as leftovers', async () => {
  const injected = await runWithInjections(folder(), { ...apply, state: false }, [
    'rename:error=EIO:when=3',
    'unlink:error=EIO:when=1+'
  ])
  const { nixos } = injected.place
  const module = join(nixos, 'vfio/default.nix')
  const temp = expect.stringMatching(/nixos\/\.configuration\.nix\.vfio-patch\.[0-9a-f]{12}\.tmp$/)
  expect(resultOf(injected)).toMatchObject({
    error: {
      code: 'IO_ERROR',
      syscall: 'rename',
      path: join(nixos, 'configuration.nix'),
      onDisk: [
        { path: module, state: 'after' },
        { path: join(nixos, 'configuration.nix'), state: 'before' }
      ],
      leftovers: [module, temp, join(nixos, '.vfio-patch.journal'), join(nixos, '.vfio-patch.lock')]
    }
  })
  // The lock of a process that has ended is stale.
  expect(injected.listing).toEqual([
    expect.stringMatching(/^0644 \.configuration\.nix\.vfio-patch\.[0-9a-f]{12}\.tmp: new$/),
    expect.stringMatching(/^0600 \.vfio-patch\.journal: /),
    expect.stringMatching(/^\.vfio-patch\.lock -> /),
    ...OLD,
    '0755 vfio/',
    '0644 vfio/default.nix: module'
  ])
})

needing('strace', 'GNU cp').each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])(
  'defers %s that arrives between the renames until the change is made',
  async signal => {
    const injected = await runWithInjections(folder(), { ...apply, state: false }, [
      `rename:signal=${signal}:when=3`
    ])
    expect(resultOf(injected)).toMatchObject({ ok: true, value: { warnings: [] } })
    expect(injected.listing).toEqual(NEW)
  }
)

function changesOrReads(point: Point): boolean {
  return changesDisk(point) || ['openat', 'read', 'close'].includes(point.call)
}

function takesSpace(point: Point): boolean {
  return changesDisk(point) && !['chown', 'fchown', 'chmod', 'fchmod'].includes(point.call)
}

function writes({ call }: Point): boolean {
  return ['write', 'fsync', 'mkdir', 'symlink'].includes(call)
}

function resultOf({ point, ended }: InjectedRun): Result<Committed, CommitProblem> {
  if (ended.stdout === '') throw new Error(`${JSON.stringify(point)}: ${ended.stderr}`)
  return JSON.parse(ended.stdout)
}

function reasonOf(problem: Committed['warnings'][number]): string {
  if (problem.code === 'BACKUP_FAILED') return reasonOf(problem.cause)
  // In practice no read fails with these errors, so `commit` reports them as IO_ERROR.
  if (problem.code === 'IO_ERROR' && ['ENOSPC', 'EDQUOT'].includes(problem.errno)) return 'NO_SPACE'
  if (problem.code === 'IO_ERROR' && problem.errno === 'EROFS') return 'READ_ONLY_FS'
  return problem.code
}
