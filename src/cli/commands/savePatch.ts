import { realpathSync, statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { isLedToRoots } from '../../storage/access.ts'
import { isTrace } from '../../storage/commit.ts'
import { isLink } from '../../storage/paths.ts'
import type { TargetFile } from '../../storage/read.ts'
import { locateSaved, saveFile } from '../../storage/saveFile.ts'
import type { Message } from '../message.ts'
import { outputLedMessage, patchMessage, replacesMessage } from '../text/output.ts'

/**
 * Writes a patch of the configuration to the file that was named, in place of what is there. Nobody
 * can read it who can't read the configuration. A link is not followed, and neither a Nix file, one of
 * `files` (those of the plan, and all that is imported) nor another name of one is replaced.
 */
export function savePatch(
  path: string,
  patch: string,
  configuration: TargetFile,
  files: readonly string[]
): Message | undefined {
  const named = resolve(path)
  const leads = realpathIfAny(path)
  if (leads.endsWith('.nix') || isTrace(basename(leads)) || isOneOf(named, files)) {
    return replacesMessage(leads)
  }
  const target = locateSaved(named)
  if (!target.ok) return patchMessage(path, target.error, isLink(named))
  if (isLedToRoots(named, target.value.path)) {
    return outputLedMessage('-o', path, target.value.path)
  }
  const problem = saveFile(target.value, Buffer.from(patch), configuration)
  return problem === null ? undefined : patchMessage(path, problem, false)
}

/** Whether a path leads to one of these files, by whatever name. */
function isOneOf(path: string, files: readonly string[]): boolean {
  const number = fileNumber(path)
  return number !== undefined && files.some(it => fileNumber(it) === number)
}

function fileNumber(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    // What is not there has no other name; what can't be reached can't be replaced either.
    return undefined
  }
}

function realpathIfAny(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
