import { realpathSync, writeFileSync } from 'node:fs'
import { EXIT, type Message, usage } from '../message.ts'

/**
 * Writes a patch to a file, over what is there. A Nix file is no place for it, least of all the one
 * at `configuration` (links resolved).
 */
export function savePatch(path: string, patch: string, configuration: string): Message | undefined {
  const target = realpathIfAny(path)
  if (target.endsWith('.nix') || target === configuration) {
    return usage(`-o would replace ${target} by a patch. Nothing was written.`, {
      remedy: 'give the patch a name of its own, e.g. -o vfio.patch'
    })
  }
  try {
    writeFileSync(path, patch)
    return undefined
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException
    return {
      code: 'NOT_WRITABLE',
      exit: EXIT.io,
      what: `cannot write the patch to ${path} (${code}). Nothing was written.`,
      remedy: 'choose another place for it, e.g. -o ~/vfio.patch'
    }
  }
}

function realpathIfAny(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    // What is not there yet has no other name; what can't be read can't be written either.
    return path
  }
}
