import type { Arguments } from '../args/parse.ts'
import { type ApplyRequest, readApplyRequest } from '../args/request.ts'
import { CommandError } from '../message.ts'
import { printNotice, type Screens } from '../output/output.ts'
import type { Prepared } from '../prepared.ts'
import { whyNoQuestion } from '../prompt/prompt.ts'
import { emptyBody, type Report, unchanged } from '../report.ts'
import { MachineReader } from '../request/machine.ts'
import { applyMessage, bootHint, darkReminder } from '../text/apply.ts'
import { nextStep } from '../text/nextStep.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'
import { type Draft, planDraft, prepareDraft } from './plan.ts'

/** `apply` and `diff`: shows what would change; `apply` then asks and writes. */
export async function applyCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readApplyRequest(args, screens)
  return runApply(request, new MachineReader(request.sysfs))
}

async function runApply(request: ApplyRequest, reader: MachineReader): Promise<Report> {
  const draft = prepareDraft(request, reader)
  const planned = planDraft(draft)
  if (!planned.ok) {
    const message = applyMessage(planned.error, draft.inputs.context)
    const isUnsaid = planned.error.code === 'NOTHING_CHOSEN' && request.command === 'apply'
    if (!isUnsaid || !canAnswer(request)) throw new CommandError(message)
    const { askForCard } = await import('../prompt/askForCard.ts')
    const answers = await askForCard(draft.inputs, message)
    return 'stop' in answers ? answers.stop : runApply(answers.go, reader)
  }
  const choice = await withDriver(planned.value, draft)
  return 'stop' in choice ? choice.stop : confirmPlan(choice.go, request)
}

function confirmPlan(prepared: Prepared, request: ApplyRequest): Report | Promise<Report> {
  const { plan, context, notes = [], guest, dark, target, sources } = prepared
  if (plan.files.length === 0) {
    if (!request.quiet) {
      printNotice(`Nothing to do: ${context.file} says all this already.`)
      for (const line of notes) printNotice(line)
    }
    const { specialisation = null } = plan
    const aboutGuest = guest === undefined ? {} : { guest }
    return unchanged({ ...emptyBody(context.root), specialisation, ...aboutGuest, notes })
  }
  const next = [
    ...(dark ? [darkReminder(dark.call)] : []),
    ...nextStep(sources, target.realpath),
    ...(context.root === '/' ? [`        ${bootHint(plan.specialisation)}`] : [])
  ]
  return confirmAndWrite(prepared, request, next)
}

/** Whether there is somebody who can be asked what was not said. */
function canAnswer({ write, json }: ApplyRequest): boolean {
  return !write.isConfirmed && whyNoQuestion(write, json) === undefined
}

/**
 * The plan, with the driver that makes a passphrase prompt visible if the person wants it. Nobody is
 * asked where nothing is to be written, or the file can't take the edit.
 */
async function withDriver(
  prepared: Prepared,
  draft: Draft
): Promise<{ go: Prepared } | { stop: Report }> {
  const { dark, plan } = prepared
  const { request } = draft.inputs
  const mayOffer = request.write.writes && canAnswer(request)
  if (!mayOffer || !dark || dark.drivers.length === 0 || plan.files.length === 0) {
    return { go: prepared }
  }
  // The boot entry of the run need not be the one whose prompt is invisible.
  const more = planDraft(draft, dark.drivers)
  if (!more.ok || more.value.dark) return { go: prepared }
  const { askForDriver } = await import('../prompt/askForCard.ts')
  const asked = await askForDriver(dark, request.screens.err)
  if ('stop' in asked) return asked
  return { go: asked.go.length > 0 ? more.value : prepared }
}
