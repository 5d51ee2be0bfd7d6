// What a person has to know of imported files that were not read.

import { MOST_BYTES } from '../../apply/read/readInputs.ts'
import { inMiB } from './fileMessages.ts'

/** A line for each file that is too big to be read, so that nothing is known of what it says. */
export function tooBigNotes(files: readonly { path: string; size: number }[]): string[] {
  return files.map(
    ({ path, size }) =>
      `Note: ${path} was not read, as it has ${inMiB(size)} and a Nix file may have ${inMiB(MOST_BYTES)}; what it says is not known here.`
  )
}
