import type { InterruptedRun } from '../storage/history.ts'
import type { Command } from './args/flags.ts'
import { helpFor } from './args/help.ts'
import { type Arguments, parseArguments } from './args/parse.ts'
import { readRecoveryRequest } from './args/request.ts'
import { VERSION, watchedFiles } from './context.ts'
import { EXIT } from './exitCodes.ts'
import { CommandError, exitOf, type Message, usage } from './message.ts'
import { bugMessage, NO_COMMAND, outputLost } from './messages/internal.ts'
import { type DocumentKind, jsonDocument } from './output/json.ts'
import { printMessage, type Screens, screenOf, writeError, writeOutput } from './output/output.ts'
import { CommandDeclined, type EarlierRunReport, fail, type Report } from './report.ts'

/** What is known of a command when it ends or fails. */
interface Progress {
  args?: Arguments
  earlierRuns?: readonly EarlierRunReport[]
}

/** Runs the CLI. Sets `process.exitCode` instead of calling `exit()` so that buffered output is flushed. */
export async function main(words: readonly string[]): Promise<void> {
  const output = watchOutput()
  const progress: Progress = {}
  const report = await runWords(words, progress).catch((error: unknown) =>
    reportOf(error, progress)
  )
  if (report === undefined) return
  output.isWritten = report.outcome === 'written'
  process.on('exit', code => {
    if (code === EXIT.done && !output.isLost) report.onReported?.()
  })
  end(report, asksForJson(words) ? jsonOf(report, progress.args) : undefined)
}

/** The report of a command that an exception ended; an unexpected one is a bug. */
function reportOf(error: unknown, { args, earlierRuns = [] }: Progress): Report {
  if (error instanceof CommandDeclined) return { ...error.report, earlierRuns }
  return error instanceof CommandError
    ? { ...fail(error.details), earlierRuns }
    : fail(bug(error, args))
}

/** Prints the JSON document, or the error without `--json`; everything else is already printed. */
function end({ exit, error }: Report, document: string | undefined): void {
  process.exitCode = exit
  if (document !== undefined) process.stdout.write(document)
  else if (error) printMessage(error)
}

/** Whether `--json` is among the flags, even if these can't be parsed. */
function asksForJson(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return (end === -1 ? words : words.slice(0, end)).includes('--json')
}

function jsonOf(report: Report, args: Arguments | undefined): string {
  if (args?.command === undefined) return jsonDocument(report, null, 'error')
  const { command, action } = args
  return jsonDocument(
    report,
    action === undefined ? command : `${command} ${action}`,
    documentKind(command, args)
  )
}

function documentKind(command: Command, args: Arguments): DocumentKind {
  if (command === 'scan' || command === 'domain') return command
  if (command === 'check' && args.on('fix') !== true) return 'check'
  if (command === 'undo' && args.on('list')) return 'runs'
  return command === 'option' && args.action === 'get' ? 'option' : 'plan'
}

/**
 * Watches for output that can't be written. Such output makes the exit code an error, so that nobody takes truncated
 * output for complete. Output that the reader closes early (`| head -1`) is no error. The error is printed at the
 * end, when it is known whether the change was made; the caller sets `isWritten` of the result.
 */
function watchOutput(): { isWritten: boolean; isLost: boolean } {
  const state = { isWritten: false, isLost: false }
  process.stdout.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    state.isLost = true
    process.on('exit', code => {
      const message = outputLost(error.code, state.isWritten)
      printMessage(message)
      if (code === EXIT.done || code === EXIT.differences) process.exitCode = exitOf(message)
    })
  })
  process.stdout.on('error', () => {})
  // An error about stderr can't be reported.
  process.stderr.on('error', () => {})
  return state
}

/** Runs the command; undefined if only the help or the version was printed. */
async function runWords(words: readonly string[], progress: Progress): Promise<Report | undefined> {
  const args = await parseArguments(words)
  progress.args = args
  const { command } = args
  if (args.on('version') || args.on('help')) {
    writeOutput(args.on('version') ? `vfio-patch ${VERSION}\n` : await helpFor(command))
    return undefined
  }
  if (command === undefined) {
    if (args.on('json') !== true) {
      writeError(await helpFor(undefined))
      return { exit: EXIT.usage, outcome: 'failed' }
    }
    throw new CommandError(usage(NO_COMMAND.what, { remedy: NO_COMMAND.remedy }))
  }
  const screens = screensOf(args)
  const interrupted = readRecoveryRequest(args, screens)
  let stopped: readonly InterruptedRun[] = []
  if (interrupted) {
    // Imported lazily: usage errors must not wait for this code to load.
    const { recoverInterruptedRuns } = await import('./commands/write.ts')
    const earlier = await recoverInterruptedRuns(interrupted)
    progress.earlierRuns = earlier.runs
    stopped = earlier.stopped
  }
  const report = await runCommand(command, args, screens, stopped)
  return { ...report, earlierRuns: progress.earlierRuns ?? [] }
}

function screensOf(args: Arguments): Screens {
  const color = args.text('color')
  const choice = args.on('json') === true ? 'never' : color
  return { out: screenOf(process.stdout, choice), err: screenOf(process.stderr, choice) }
}

/** Loads the command with its imports, and runs it. */
async function runCommand(
  command: Command,
  args: Arguments,
  screens: Screens,
  stopped: readonly InterruptedRun[]
): Promise<Report> {
  switch (command) {
    case 'scan':
      return (await import('./commands/scan.ts')).scanCommand(args, screens)
    case 'domain':
      return (await import('./commands/domain.ts')).domainCommand(args, screens)
    case 'check':
      return (await import('./commands/check.ts')).checkCommand(args, screens)
    case 'undo':
      return (await import('./commands/undo.ts')).undoCommand(args, screens, stopped)
    case 'remove':
      return (await import('./commands/remove.ts')).removeCommand(args, screens)
    case 'option':
      return (await import('./commands/option.ts')).optionCommand(args, screens)
    case 'apply':
    case 'diff':
      return (await import('./commands/apply.ts')).applyCommand(args, screens)
  }
}

function bug(error: unknown, args: Arguments | undefined): Message {
  const reason = error instanceof Error ? error.message : String(error)
  const isVerbose = args?.on('verbose') === true
  const stack = error instanceof Error && isVerbose ? error.stack : undefined
  return bugMessage(reason, watchedFiles(), { line: args?.line ?? '', stack, isVerbose })
}
