// Part of the build: renders the help, so that printing it does not load yargs.

import { writeFileSync } from 'node:fs'
import { COMMANDS } from './flags.ts'
import { HELP_FILE } from './help.ts'
import { renderHelp } from './renderHelp.ts'

const rendered: Record<string, string> = { '': await renderHelp(undefined) }
for (const command of COMMANDS) rendered[command] = await renderHelp(command)
writeFileSync(HELP_FILE, JSON.stringify(rendered))
