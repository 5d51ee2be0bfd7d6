import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { areAvailable } from '../../support/needing.ts'

const library = fileURLToPath(new URL('../../../nixos/_lib/', import.meta.url))

/** A test that needs Nix. Without Nix it is skipped, with a warning. */
export const withNix = areAvailable('the rendering of guests', 'nix-instantiate') ? test : test.skip

/** The value of an expression in Nix, or its error. The expression can use `toXML` and `tables` of `nixos/_lib`. */
export function evaluated(expression: string): unknown {
  const input = `let
    toXML = import ${library}domain.nix;
    tables = import ${library}domainTables.nix;
  in
  ${expression}`
  const args = ['--store', 'dummy://', '--eval', '--strict', '--json', '-']
  const options = { input, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const
  const { status, stdout, stderr } = spawnSync('nix-instantiate', args, options)
  return status === 0 ? JSON.parse(stdout) : (stderr.split('\n')[0] ?? '').replace(/^error: /, '')
}

const collected: { test: string; expression: string; value: unknown }[] = []

/**
 * Expects that an expression for `evaluated` has this value. All expressions of a test file are evaluated together
 * after its last test, so that Nix is started once.
 */
export function expectValue(expression: string, value: unknown): void {
  collected.push({ test: expect.getState().currentTestName ?? '', expression, value })
}

afterAll(() => {
  const all = collected.splice(0)
  if (all.length === 0) return
  const values = evaluated(`[ ${all.map(it => `(${it.expression})`).join('\n')} ]`)
  // An error in one expression hides the values of all, so each is evaluated alone.
  const found = Array.isArray(values) ? values : all.map(it => evaluated(it.expression))
  const failures = all
    .map((it, i) => ({ ...it, found: found[i] }))
    .filter(it => !isDeepStrictEqual(it.found, it.value))
  expect(failures.map(it => ({ test: it.test, value: it.found }))).toEqual(
    failures.map(it => ({ test: it.test, value: it.value }))
  )
}, 120_000)
