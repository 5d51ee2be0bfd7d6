import { readManner } from '../arguments/manner.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { whyNoQuestion } from '../ask/askLine.ts'
import { bootHint } from '../messages/bootEntry.ts'
import { nextStep } from '../messages/nextStep.ts'
import { emptyBody, fail, type Report, unchanged } from '../report.ts'
import { say } from '../show/say.ts'
import type { Screens } from '../show/showPlan.ts'
import { offerChange } from './offerChange.ts'
import { prepare } from './planCommand.ts'

/** `apply` and `diff`: shows what would change; `apply` then asks and writes. */
export async function applyCommand(
  command: 'apply' | 'diff',
  given: Arguments,
  screens: Screens
): Promise<Report> {
  const manner = readManner(given, command === 'apply')
  if (!manner.ok) return fail(manner.error)
  const prepared = prepare(command, given, screens.err)
  if (!prepared.ok) {
    if (!mayAsk(command, prepared.error.code, given)) return fail(prepared.error)
    const { askForCard } = await import('../ask/askForCard.ts')
    const asked = await askForCard(given, prepared.error, screens.err)
    return 'stop' in asked ? asked.stop : applyCommand(command, asked.go, screens)
  }
  const { plan, context, notes = [], guest } = prepared.value
  if (plan.files.length === 0) {
    if (!manner.value.quiet) {
      say(`Nothing to do: ${context.file} says all this already.`)
      for (const line of notes) say(line)
    }
    const { specialisation = null } = plan
    const aboutGuest = guest === undefined ? {} : { guest }
    return unchanged({ ...emptyBody(context.root), specialisation, ...aboutGuest, notes })
  }
  const next = nextStep(context.root, prepared.value.configuration.realpath)
  if (context.root === '/') {
    next.push(`        ${bootHint(plan.specialisation)}`)
  }
  return offerChange(prepared.value, manner.value, given, screens, next)
}

/** Whether there is somebody who can be asked what was not said. */
function mayAsk(command: string, code: string, given: Arguments): boolean {
  return (
    command === 'apply' &&
    code === 'NOTHING_CHOSEN' &&
    given.on('yes') !== true &&
    whyNoQuestion(given) === undefined
  )
}
