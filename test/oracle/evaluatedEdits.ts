import { beforeAll, expect, it } from 'vitest'
import { type EditOf, edited } from '../nix/support.ts'
import { describeWithOracle, evalConfigs } from './evalModules.ts'

/** A module, an edit, the whole text after it, and the values that the module system gives to some options. */
export interface EvaluatedEdit {
  title: string
  given: string
  edit: EditOf
  after: string
  /** The values if the argument `c` of the module is false. */
  off: Record<string, unknown>
  /** The values if it is true; omitted if they are the same. */
  on?: Record<string, unknown>
}

// Options of the types that the edits need, and a value of any type for every other one.
const DECLARATIONS = `{ lib, ... }: {
  freeformType = lib.types.lazyAttrsOf lib.types.anything;
  options.l = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
  options.s.l = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
  options.text = lib.mkOption { type = lib.types.lines; default = ""; };
  options.u = lib.mkOption { type = lib.types.lazyAttrsOf (lib.types.lazyAttrsOf lib.types.anything); default = { }; };
}`

/** Tests each edit as text and, for both values of `c`, with the module system in one run of Nix. */
export function describeEdits(title: string, all: readonly EvaluatedEdit[]): void {
  it.each(all)('$title', ({ given, edit, after }) => expect(edited(given, edit)).toBe(after))

  describeWithOracle(`${title}, as the module system evaluates them`, oracle => {
    let values: ({ value: unknown } | undefined)[] = []
    beforeAll(() => {
      const cases = all.flatMap(({ after }) =>
        [false, true].map(c => ({
          modules: [DECLARATIONS, withArguments(after, c)]
        }))
      )
      values = evalConfigs(oracle, 'config: removeAttrs config [ "_module" ]', cases)
    })

    it.each(all.map((it, i) => [it.title, i] as const))('%s', (_, i) => {
      const { off, on = off } = all[i] as EvaluatedEdit
      const exactly = (value: unknown, expected: Record<string, unknown>) =>
        Object.fromEntries(
          Object.keys(expected).map(key => [key, (value as Record<string, unknown>)[key]])
        )
      expect(exactly(values[2 * i]?.value, off)).toEqual(off)
      expect(exactly(values[2 * i + 1]?.value, on)).toEqual(on)
    })
  })
}

/** A module with the arguments `c` and `base`, on which also the form of the module may depend. */
function withArguments(module: string, c: boolean): string {
  return `{ lib, config, options, ... }@args: (${module}) (args // { c = ${c}; base = { z = 0; }; })`
}
