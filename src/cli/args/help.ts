// The help, rendered by yargs when the project is built.

import { readFileSync } from 'node:fs'
import type { Command } from './flags.ts'

/** The rendered help by command; the overview has an empty name. */
export const HELP_FILE = new URL('help.json', import.meta.url)

/** The help of a command, or the overview. Renders it if the build has not. */
export async function helpFor(command: Command | undefined): Promise<string> {
  const rendered = readRendered()?.[command ?? '']
  if (rendered !== undefined) return rendered
  const { renderHelp } = await import('./renderHelp.ts')
  return renderHelp(command)
}

function readRendered(): Record<string, string> | undefined {
  try {
    return JSON.parse(readFileSync(HELP_FILE, 'utf8'))
  } catch {
    return undefined
  }
}
