import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { err, ok, type Result } from '../../src/nix/result.ts'
import { isQuickRun } from '../support/needing.ts'

/** Real Nix with the `lib` of nixpkgs, which contains the module system of NixOS. */
export type Oracle = { nixpkgsLib: string }

/** One configuration: the modules for `lib.evalModules`, each as a Nix expression. */
export type Case = { modules: string[] }

/** The value of one configuration, or `undefined` if Nix threw an error while computing it. */
export type Outcome = { value: unknown } | undefined

/** A sentence about what is missing, and whether it must be present in CI. */
export type Missing = { sentence: string; inCI: boolean }

/**
 * Finds nix-instantiate and nixpkgs' lib: the folder named by the environment variable NIXPKGS_LIB, else a clone
 * of nix-community/nixpkgs.lib (see `findClone`), else `<nixpkgs/lib>`. CI can't install it, because
 * no package registry has it. A quick run finds nothing.
 */
export function findOracle(): Result<Oracle, Missing> {
  const missing = (sentence: string, inCI: boolean) => err({ sentence, inCI })
  if (isQuickRun) return missing('left out of a quick run', false)
  if (nixInstantiate(['--version']).status !== 0) {
    return missing('nix-instantiate is not in PATH', true)
  }
  const named = process.env.NIXPKGS_LIB
  if (named !== undefined && named !== '') {
    if (isNixpkgsLib(named)) return ok({ nixpkgsLib: named })
    return missing(`NIXPKGS_LIB is ${named}, which is not the lib folder of nixpkgs`, true)
  }
  const clone = findClone(homedir(), CHECKOUT)
  if (clone !== undefined) return ok({ nixpkgsLib: clone })
  const found = nixInstantiate(['--find-file', 'nixpkgs/lib'])
  if (found.status === 0) return ok({ nixpkgsLib: found.stdout.trim() })
  return missing("nixpkgs' lib was not found; CONTRIBUTING.md says where it may be", false)
}

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The `lib` folder of a clone of nix-community/nixpkgs.lib: in the user's cache, else in the same folder as the
 * checkout of this project. Undefined if neither exists.
 */
export function findClone(home: string, checkout: string): string | undefined {
  const clones = [
    join(home, '.cache/vfio-patch/nixpkgs.lib/lib'),
    join(checkout, '../nixpkgs.lib/lib')
  ]
  return clones.find(isNixpkgsLib)
}

function isNixpkgsLib(folder: string): boolean {
  return existsSync(join(folder, 'modules.nix'))
}

/**
 * A vitest `describe` whose tests need the oracle. Without one, the body is not run and a
 * single test takes its place: it fails in CI if the missing part must be present there, and otherwise is
 * skipped with the reason.
 */
export function describeWithOracle(title: string, body: (oracle: Oracle) => void): void {
  const oracle = findOracle()
  describe(title, () => {
    if (oracle.ok) return body(oracle.value)
    const { sentence, inCI } = oracle.error
    it(`needs real Nix: ${sentence}`, context => {
      if (process.env.CI && inCI) expect.fail(sentence)
      if (!isQuickRun) console.warn(`${title}: skipped, ${sentence}`)
      context.skip(sentence)
    })
  })
}

/** The value of a Nix expression, fully computed; the error is what Nix printed. */
export function evalNix(expression: string): Result<unknown, string> {
  const run = nixInstantiate(['--eval', '--strict', '--json', '-'], expression)
  return run.status === 0 ? ok(JSON.parse(run.stdout)) : err(run.stderr)
}

/** Whether Nix can parse the file; the error is what Nix printed. */
export function parseNixFile(file: string): Result<true, string> {
  const run = nixInstantiate(['--parse', file])
  return run.status === 0 ? ok(true) : err(run.stderr)
}

/** A Nix expression for the file at an absolute path. */
export function nixPath(file: string): string {
  return `(/. + ${JSON.stringify(file).replaceAll('${', '\\${')})`
}

/** The Nix expression for `view config` of one configuration. `view` is a Nix function. */
export function configExpression(oracle: Oracle, view: string, { modules }: Case): string {
  const list = modules.map(module => `(${module})`).join(' ')
  return `(${view}) ((import ${nixPath(oracle.nixpkgsLib)}).evalModules { modules = [ ${list} ]; }).config`
}

/**
 * Computes `view config` of many configurations in one run of Nix, in the order of the cases.
 * Throws if an error ends the whole run of Nix, such as infinite recursion in one case.
 */
export function evalConfigs(oracle: Oracle, view: string, cases: Case[]): Outcome[] {
  const attempts = cases.map(given => `(attempt (${configExpression(oracle, view, given)}))`)
  const result = evalNix(`
    let attempt = value:
      let tried = builtins.tryEval (builtins.deepSeq value value);
      in if tried.success then { inherit (tried) value; } else null;
    in [ ${attempts.join('\n')} ]
  `)
  if (!result.ok) throw new Error(result.error)
  return (result.value as (Outcome | null)[]).map(outcome => outcome ?? undefined)
}

function nixInstantiate(args: string[], input = '') {
  const run = spawnSync('nix-instantiate', args, { encoding: 'utf8', input })
  return { status: run.status, stdout: run.stdout ?? '', stderr: run.stderr ?? '' }
}
