import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'vitest'
import { areAvailable } from '../../support/needing.ts'

const library = fileURLToPath(new URL('../../../nixos/_lib/', import.meta.url))

/** A test where Nix is there; else it is left out, which is announced. */
export const withNix = areAvailable('the rendering of guests', 'nix-instantiate') ? test : test.skip

/** The value of an expression that may use `toXML` and `tables` of `nixos/_lib`, or the error of Nix. */
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
