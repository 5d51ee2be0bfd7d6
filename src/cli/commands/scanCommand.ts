import { candidatesOf, virtualCandidatesOf } from '../../host/candidates.ts'
import { makeDump } from '../../host/dump.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { readHost } from '../input/readHost.ts'
import { EXIT, usage } from '../message.ts'
import { adviceFor } from '../messages/advice.ts'
import { dumpNotes } from '../messages/dumpNotes.ts'
import { fail, type Report } from '../report.ts'
import { say, writeOutput } from '../show/output.ts'
import { scanBody } from '../show/scanBody.ts'
import { scanTable, widthOf } from '../show/scanTable.ts'
import type { Screens } from '../show/showPlan.ts'
import { isUnicode } from '../show/terminal.ts'
import { wrap } from '../show/wrap.ts'
import { saveDump } from './saveDump.ts'

/** `scan`: shows the machine, and what of it a guest can have. Changes nothing. */
export function scanCommand(given: Arguments, screens: Screens): Report {
  if (given.file !== undefined) {
    return fail(
      usage(`"scan" looks at the machine, not at a file: "${given.file}" is one too many.`, {
        remedy: 'vfio-patch scan'
      })
    )
  }
  const host = readHost(given)
  if (!host.ok) return fail(host.error)
  const { machine, names } = host.value
  const candidates = candidatesOf(machine)
  const virtual = virtualCandidatesOf(machine)
  const advice = adviceFor(machine, candidates, virtual, names)
  // Some commands say already where they are to be run.
  const isElsewhere = given.text('sysfs') !== undefined && !advice.command.includes('(')
  const folder = given.text('dump')
  const dump = folder === undefined ? undefined : makeDump(host.value.recording)
  const problem = folder !== undefined && dump ? saveDump(folder, dump.texts, names) : undefined
  if (problem) return fail(problem)
  if (given.on('json') !== true && given.on('quiet') !== true) {
    const look = {
      screen: screens.out,
      isUnicode: isUnicode(process.env),
      isWhole: given.on('verbose') === true
    }
    const width = widthOf(screens.out)
    const lines = [
      ...scanTable({ machine, candidates, virtual, names }, look),
      '',
      ...wrap(advice.text, width),
      `Next:  ${advice.command}${isElsewhere ? '   (on that machine)' : ''}`
    ]
    const text = `${lines.join('\n')}\n`
    writeOutput(look.isUnicode ? text : text.replace(/\P{ASCII}/gu, '?'))
    if (folder !== undefined && dump) {
      const told = dumpNotes(folder, dump.replaced, machine).flatMap(it =>
        wrap(it, widthOf(screens.err))
      )
      for (const line of told) say(line)
    }
  }
  const body = scanBody(machine, candidates, virtual, names, advice)
  return { exit: EXIT.done, outcome: 'found', body }
}
