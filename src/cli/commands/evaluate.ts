// `--eval`: whether the system evaluates with the change, asked before it is made.

import { evalCheck } from '../../apply/ask/evalCheck.ts'
import type { Registration } from '../../git/registration.ts'
import { EXIT, type Message } from '../message.ts'
import type { Prepared } from '../prepared.ts'
import { type CheckReport, fail, type PlanBody, type Report } from '../report.ts'
import { relayError, say } from '../show/output.ts'

/** The plan with the check in it; or how it ends here. */
export async function evaluate(
  command: string,
  { plan, configuration, context }: Prepared,
  planned: PlanBody,
  registrations: readonly Registration[],
  { quiet, verbose }: { quiet: boolean; verbose: boolean }
): Promise<{ go: PlanBody } | { stop: Report }> {
  if (!quiet) say(`Evaluating a copy: ${command}`)
  const check = await evalCheck({
    command,
    path: configuration.realpath,
    files: plan.files,
    unseen: new Set(registrations.flatMap(it => it.ignored)),
    ...(verbose && !quiet ? { listen: relayError } : {})
  })
  const withCheck = (it: CheckReport): PlanBody => ({ ...planned, checks: [...planned.checks, it] })
  switch (check.status) {
    case 'ok':
      if (!quiet) say('Checked: evaluates.')
      return { go: withCheck({ name: 'eval', status: 'ok', detail: '' }) }
    case 'failed': {
      const detail = lastLines(check.output, 5)
      const body = withCheck({ name: 'eval', status: 'failed', detail })
      return { stop: fail(failedMessage(detail, check.before), body) }
    }
    case 'not-copied':
      return { stop: fail(notCopiedMessage(check.problem, context.file), planned) }
    case 'stopped':
      return { stop: await stoppedBy(check.signal, planned, quiet) }
  }
}

async function stoppedBy(signal: NodeJS.Signals, body: PlanBody, quiet: boolean): Promise<Report> {
  if (signal === 'SIGHUP') {
    // Ends by it, as it would have without a copy to clean up.
    process.kill(process.pid, signal)
    await new Promise(() => setTimeout(() => {}, 1_000))
  }
  if (!quiet) say('Cancelled. Nothing was written.')
  const exit = signal === 'SIGINT' ? EXIT.cancelled : EXIT.terminated
  return { exit, outcome: 'declined', body }
}

function failedMessage(output: string, before: boolean): Message {
  return {
    code: 'EVAL_FAILED',
    exit: EXIT.invalid,
    what: 'the system does not evaluate with this change. Nothing was written.',
    ...(output === '' ? {} : { excerpt: output }),
    ...(before ? { why: 'it does not evaluate without the change either.' } : {}),
    remedy: before
      ? 'mend that first, or leave --eval away; -v shows all that the command printed'
      : 'mend what it complains of; -v shows all that the command printed'
  }
}

function notCopiedMessage(
  problem: Extract<Awaited<ReturnType<typeof evalCheck>>, { status: 'not-copied' }>['problem'],
  file: string
): Message {
  const tooMany = problem.code === 'TOO_MANY'
  return {
    code: 'EVAL_NOT_COPIED',
    exit: EXIT.io,
    what: tooMany
      ? `${problem.path} holds more than ${problem.most} files, too many to copy for --eval. Nothing was written.`
      : `could not copy ${file} and what is around it to ${problem.path} (${problem.syscall}: ${problem.errno}). Nothing was written.`,
    remedy: tooMany
      ? 'keep the configuration in a folder or git repository of its own, or leave --eval away'
      : 'set TMPDIR to a folder with more space, or leave --eval away'
  }
}

function lastLines(text: string, count: number): string {
  const lines = text.split(/\r?\n/).filter(it => it.trim() !== '')
  return lines.slice(-count).join('\n')
}
