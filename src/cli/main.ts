import type { Stopped } from '../storage/history.ts'
import type { Command } from './args/flags.ts'
import { helpFor } from './args/help.ts'
import { type Arguments, parseArguments } from './args/parse.ts'
import { stateOfWatched, VERSION } from './context.ts'
import { EXIT, type Message, usage } from './message.ts'
import { type DocumentKind, jsonDocument } from './output/json.ts'
import { printMessage, screenOf, writeError, writeOutput } from './output/output.ts'
import type { Screens } from './output/plan.ts'
import { fail, type Report } from './report.ts'

/** Runs the words behind the program's name; the exit code is set, not forced, so that output arrives. */
export async function main(words: readonly string[]): Promise<void> {
  const isJson = asksForJson(words)
  const output = watchOutput()
  const parsed = parseArguments(words)
  if (!parsed.ok) {
    end(fail(parsed.error), isJson ? jsonDocument(fail(parsed.error), null, 'error') : undefined)
    return
  }
  const given = parsed.value
  const text = given.on('version') ? `vfio-patch ${VERSION}\n` : helpOf(given)
  if (text !== undefined) {
    writeOutput(text)
    return
  }
  const report = await run(given).catch((error: unknown) => fail(bug(error, given)))
  output.isWritten = report.outcome === 'written'
  process.on('exit', code => {
    if (code === EXIT.done && !output.isLost) report.whenTold?.()
  })
  end(report, isJson ? jsonDocument(report, nameOf(given), kindOf(given)) : undefined)
}

/** Tells how it ended: by the document, or by the message alone where the rest was told already. */
function end({ exit, error }: Report, document: string | undefined): void {
  process.exitCode = exit
  if (document !== undefined) process.stdout.write(document)
  else if (error) printMessage(error)
}

/** Whether `--json` is among the flags, also where these can't be read. */
function asksForJson(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return (end === -1 ? words : words.slice(0, end)).includes('--json')
}

function helpOf(given: Arguments): string | undefined {
  return given.on('help') ? helpFor(given.command) : undefined
}

function nameOf({ command, action }: Arguments): string | null {
  if (command === undefined) return null
  return action === undefined ? command : `${command} ${action}`
}

function kindOf(given: Arguments): DocumentKind {
  if (given.command === undefined) return 'error'
  if (given.command === 'scan') return 'scan'
  if (given.command === 'domain') return 'domain'
  if (given.command === 'check' && given.on('fix') !== true) return 'check'
  if (given.command === 'undo' && given.on('list')) return 'runs'
  return given.command === 'option' && given.action === 'get' ? 'option' : 'plan'
}

/**
 * A reader that has seen enough (`| head -1`) is no fault; output that gets lost otherwise is, and then
 * the exit code never says that all is well: what is cut off must not be taken for the whole. It is
 * told at the end, when it is known whether the change was made; `isWritten` of what is returned is
 * for the caller to set.
 */
function watchOutput(): { isWritten: boolean; isLost: boolean } {
  const state = { isWritten: false, isLost: false }
  process.stdout.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    state.isLost = true
    process.on('exit', code => {
      const { isWritten } = state
      const message: Message = {
        code: 'IO_ERROR',
        exit: isWritten ? EXIT.followUp : EXIT.io,
        what: `${isWritten ? 'warning: the change is written, but ' : ''}the output could not be written (${error.code}).`,
        remedy: 'see whether there is space left where it goes'
      }
      printMessage(message)
      if (code === EXIT.done || code === EXIT.differences) process.exitCode = message.exit
    })
  })
  process.stdout.on('error', () => {})
  // Nobody is left to tell.
  process.stderr.on('error', () => {})
  return state
}

async function run(given: Arguments): Promise<Report> {
  const { command } = given
  if (command === undefined) {
    if (given.on('json') !== true) {
      writeError(helpFor(undefined))
      return { exit: EXIT.usage, outcome: 'failed' }
    }
    return fail(usage('a command is missing.', { remedy: 'vfio-patch --help' }))
  }
  const color = given.text('color')
  if (color !== undefined && !['auto', 'always', 'never'].includes(color)) {
    return fail(usage(`--color takes auto, always or never, got "${color}".`))
  }
  const choice = given.on('json') === true ? 'never' : color
  const screens = {
    out: screenOf(process.stdout, choice, process.env),
    err: screenOf(process.stderr, choice, process.env)
  }
  // Late, so that an error in the words is told at once.
  const { recoverInterruptedRuns } = await import('./commands/earlierRuns.ts')
  const { runs, hindrance, stopped } = await recoverInterruptedRuns(given, screens.err)
  const report =
    hindrance === undefined ? await runCommand(command, given, screens, stopped) : fail(hindrance)
  return { ...report, earlierRuns: runs }
}

async function runCommand(
  command: Command,
  given: Arguments,
  screens: Screens,
  stopped: readonly Stopped[]
): Promise<Report> {
  switch (command) {
    case 'scan': {
      const { scanCommand } = await import('./commands/scan.ts')
      return scanCommand(given, screens)
    }
    case 'domain': {
      const { domainCommand } = await import('./commands/domain.ts')
      return domainCommand(given, screens)
    }
    case 'check': {
      const { checkCommand } = await import('./commands/check.ts')
      return checkCommand(given, screens)
    }
    case 'undo': {
      const { undoCommand } = await import('./commands/undo.ts')
      return undoCommand(given, screens, stopped)
    }
    case 'remove': {
      const { removeCommand } = await import('./commands/remove.ts')
      return removeCommand(given, screens)
    }
    case 'option': {
      const { optionCommand } = await import('./commands/option.ts')
      return optionCommand(given, screens)
    }
    case 'apply':
    case 'diff': {
      const { applyCommand } = await import('./commands/apply.ts')
      return applyCommand(command, given, screens)
    }
  }
}

function bug(error: unknown, given: Arguments): Message {
  const reason = error instanceof Error ? error.message : String(error)
  const stack = error instanceof Error && given.on('verbose') === true ? error.stack : undefined
  return {
    code: 'INTERNAL',
    exit: EXIT.bug,
    what: `internal error: ${reason}.${stateOfWatched()}`,
    ...(stack === undefined ? {} : { why: stack }),
    remedy: `please report it, with the output of: vfio-patch ${given.line}${given.on('verbose') ? '' : ' -v'}`
  }
}
