/** A flag of the command line, as it is parsed and as the help describes it. */
export type Flag = {
  name: string
  short?: string
  /** One paragraph; the help breaks its lines. */
  help: string
  /** The first release of NixOS that has what the flag is about; absent where all have it. */
  since?: string
} & (
  | { kind: 'switch' | 'toggle' | 'off' }
  /** `argument` is how the help calls the value; `choices` are all values that there are. */
  | ({ kind: 'text' | 'texts' } & ({ argument: string } | { choices: readonly string[] }))
)

/**
 * A `switch` is on or absent, a `toggle` has a `--no-` form, `off` has only that; `text` takes a value once,
 * `texts` takes one each time it is given.
 */
export type FlagKind = Flag['kind']

/** The flag as a person types it. */
export function formatFlag({ kind, name }: Pick<Flag, 'kind' | 'name'>): string {
  return kind === 'off' ? `--no-${name}` : `--${name}`
}
