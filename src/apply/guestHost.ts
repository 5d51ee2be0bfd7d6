import type { Machine } from '../host/machine.ts'
import type { NixDocument } from '../nix/index.ts'

/** Where a guest is to run, as far as it is known. */
export interface GuestHost {
  /** Undefined where the configuration is of another machine. */
  machine: Machine | undefined
  configuration: NixDocument
  /** The path of the specialisation that the options go into; empty for every boot entry. */
  prefix: readonly string[]
  /** The texts of all files of the configuration. */
  texts: readonly string[]
}

/** Where options count that a specialisation sees, its own first. */
export function placesOf(prefix: readonly string[]): (readonly string[])[] {
  return prefix.length === 0 ? [[]] : [prefix, []]
}

/** The values of an option as they are spelt, its own first. */
export function sourcesAt(
  configuration: NixDocument,
  prefix: readonly string[],
  path: readonly string[]
): string[] {
  return placesOf(prefix)
    .flatMap(it => configuration.getIn([...it, ...path]))
    .map(it => it.source)
}
