import type { Arguments } from '../args/parse.ts'
import { readWriteOptions } from '../args/request.ts'
import { printNotice } from '../output/output.ts'
import type { Screens } from '../output/plan.ts'
import type { Prepared } from '../prepared.ts'
import { whyNoQuestion } from '../prompt/prompt.ts'
import { emptyBody, fail, type Report, unchanged } from '../report.ts'
import { bootHint, darkReminder } from '../text/apply.ts'
import { nextStep } from '../text/nextStep.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'
import { prepare } from './plan.ts'

/** `apply` and `diff`: shows what would change; `apply` then asks and writes. */
export async function applyCommand(
  command: 'apply' | 'diff',
  given: Arguments,
  screens: Screens
): Promise<Report> {
  const manner = readWriteOptions(given, command === 'apply')
  if (!manner.ok) return fail(manner.error)
  const first = prepare(command, given, screens.err)
  if (!first.ok) {
    if (!mayAsk(command, first.error.code, given)) return fail(first.error)
    const { askForCard } = await import('../prompt/askForCard.ts')
    const asked = await askForCard(given, first.error, screens.err)
    return 'stop' in asked ? asked.stop : applyCommand(command, asked.go, screens)
  }
  const mayOffer = manner.value.writes && canAnswer(given)
  const prepared = mayOffer ? await withDriver(first.value, given, screens) : { go: first.value }
  if ('stop' in prepared) return prepared.stop
  const { plan, context, notes = [], guest } = prepared.go
  if (plan.files.length === 0) {
    if (!manner.value.quiet) {
      printNotice(`Nothing to do: ${context.file} says all this already.`)
      for (const line of notes) printNotice(line)
    }
    const { specialisation = null } = plan
    const aboutGuest = guest === undefined ? {} : { guest }
    return unchanged({ ...emptyBody(context.root), specialisation, ...aboutGuest, notes })
  }
  const { dark, configuration } = prepared.go
  const next = [
    ...(dark ? [darkReminder(dark.call)] : []),
    ...nextStep(context.root, configuration.realpath)
  ]
  if (context.root === '/') {
    next.push(`        ${bootHint(plan.specialisation)}`)
  }
  return confirmAndWrite(prepared.go, manner.value, given, screens, next)
}

/** Whether there is somebody who can be asked what was not said. */
function mayAsk(command: string, code: string, given: Arguments): boolean {
  return command === 'apply' && code === 'NOTHING_CHOSEN' && canAnswer(given)
}

function canAnswer(given: Arguments): boolean {
  return given.on('yes') !== true && whyNoQuestion(given) === undefined
}

/**
 * The plan, with the driver that makes a passphrase prompt visible if the person wants it. Nobody is
 * asked where nothing is to be written, or the file can't take the edit.
 */
async function withDriver(
  prepared: Prepared,
  given: Arguments,
  screens: Screens
): Promise<{ go: Prepared } | { stop: Report }> {
  const { dark, plan } = prepared
  if (!dark || dark.drivers.length === 0 || plan.files.length === 0) return { go: prepared }
  // The boot entry of the run need not be the one whose prompt is invisible.
  const more = prepare('apply', given, screens.err, dark.drivers)
  if (!more.ok || more.value.dark) return { go: prepared }
  const { askForDriver } = await import('../prompt/askForCard.ts')
  const asked = await askForDriver(dark, screens.err)
  if ('stop' in asked) return asked
  return { go: asked.go.length > 0 ? more.value : prepared }
}
