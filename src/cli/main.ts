import { helpFor } from './help.ts'
import { EXIT, usage } from './message.ts'
import { parseArguments } from './parseArguments.ts'
import { fail } from './say.ts'
import { screenOf } from './terminal.ts'
import { VERSION } from './version.ts'

/** Runs the words behind the program's name; the exit code is set, not forced, so that output arrives. */
export async function main(words: readonly string[]): Promise<void> {
  watchOutput()
  try {
    process.exitCode = await run(words)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const isVerbose = words.includes('-v') || words.includes('--verbose')
    const stack = error instanceof Error && isVerbose ? error.stack : undefined
    process.exitCode = fail({
      code: 'INTERNAL',
      exit: EXIT.bug,
      what: `internal error: ${reason}`,
      ...(stack === undefined ? {} : { why: stack }),
      remedy: 'please report it, with the command and the output of -v'
    })
  }
}

/** A reader that has seen enough (`| head -1`) is no fault; output that gets lost otherwise is. */
function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    const exit = fail({
      code: 'IO_ERROR',
      exit: EXIT.io,
      what: `the output could not be written (${error.code}).`,
      remedy: 'see whether there is space left where it goes'
    })
    // Whoever reads "differences" takes the patch for a whole one.
    process.on('exit', code => {
      if (code === EXIT.differences) process.exitCode = exit
    })
  })
  // Nobody is left to tell.
  process.stderr.on('error', () => {})
}

async function run(words: readonly string[]): Promise<number> {
  const parsed = parseArguments(words)
  if (!parsed.ok) return fail(parsed.error)
  const given = parsed.value
  if (given.on('version') === true) {
    process.stdout.write(`vfio-patch ${VERSION}\n`)
    return EXIT.done
  }
  if (given.on('help') === true) {
    process.stdout.write(helpFor(given.command))
    return EXIT.done
  }
  if (given.command === undefined) {
    process.stderr.write(helpFor(undefined))
    return EXIT.usage
  }
  const color = given.text('color')
  if (color !== undefined && !['auto', 'always', 'never'].includes(color)) {
    return fail(usage(`--color takes auto, always or never, got "${color}".`))
  }
  const screens = {
    out: screenOf(process.stdout, color, process.env),
    err: screenOf(process.stderr, color, process.env)
  }
  // Late, so that an error in the words is told at once.
  if (given.command === 'undo') {
    const { undoCommand } = await import('./undoCommand.ts')
    return undoCommand(given, screens)
  }
  if (given.command === 'option') {
    const { optionCommand } = await import('./optionCommand.ts')
    return optionCommand(given, screens)
  }
  const { applyCommand } = await import('./applyCommand.ts')
  return applyCommand(given.command, given, screens)
}
