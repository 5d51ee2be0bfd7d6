import { readManner } from './manner.ts'
import { offerChange } from './offerChange.ts'
import type { Arguments } from './parseArguments.ts'
import { prepare } from './planCommand.ts'
import { emptyBody, fail, type Report, unchanged } from './report.ts'
import { nextStep } from './root.ts'
import { say } from './say.ts'
import type { Screens } from './showPlan.ts'

/** `apply` and `diff`: shows what would change; `apply` then asks and writes. */
export async function applyCommand(
  command: 'apply' | 'diff',
  given: Arguments,
  screens: Screens
): Promise<Report> {
  const manner = readManner(given, command === 'apply')
  if (!manner.ok) return fail(manner.error)
  const prepared = prepare(command, given, screens.err)
  if (!prepared.ok) return fail(prepared.error)
  const { plan, context } = prepared.value
  if (plan.files.length === 0) {
    if (!manner.value.quiet) say(`Nothing to do: ${context.file} says all this already.`)
    return unchanged(emptyBody(context.root))
  }
  const next = [nextStep(context.root)]
  if (context.root === '/') {
    next.push('        If there is no picture, pick the previous generation in the boot menu.')
  }
  return offerChange(prepared.value, manner.value, given, screens, next)
}
