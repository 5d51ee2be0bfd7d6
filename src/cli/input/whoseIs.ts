import { hostname } from 'node:os'
import { parseDocument } from '../../nix/index.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'

/** Whose machine the file configures, by the name that it gives its host. */
export function whoseIs(
  text: string,
  given: Arguments,
  { root }: Context
): 'this' | 'other' | 'unknown' {
  if (given.text('sysfs') !== undefined) return 'this'
  const names = parseDocument(text)
    .getIn('networking.hostName')
    .map(it => /^"([\w-]+)"$/.exec(it.source)?.[1])
  const [name] = names
  // What is installed from another system has that one's name for now.
  if (root !== '/' || name === undefined || names.length !== 1) return 'unknown'
  return name === hostname() ? 'this' : 'other'
}
