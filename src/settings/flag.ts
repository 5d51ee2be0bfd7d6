/**
 * A flag of the command line, for the parser and the help. A `switch` is on or absent, a `toggle` also has a
 * `--no-` form, and `off` has only that form. A `text` takes a value and may be given once, `texts` may be
 * repeated.
 */
export type Flag = {
  name: string
  short?: string
  /** One paragraph; the help wraps it. */
  help: string
  /** The first release of NixOS that supports the flag; absent if all do. */
  since?: string
} & (
  | { kind: 'switch' | 'toggle' | 'off' }
  /** `argument` is the name of the value in the help; `choices` are all allowed values. */
  | ({ kind: 'text' | 'texts' } & ({ argument: string } | { choices: readonly string[] }))
)

/** The flag as it is typed. */
export function formatFlag({ kind, name }: Pick<Flag, 'kind' | 'name'>): string {
  return kind === 'off' ? `--no-${name}` : `--${name}`
}
