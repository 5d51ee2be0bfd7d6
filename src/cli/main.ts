import { applyCommand } from './applyCommand.ts'
import { helpFor } from './help.ts'
import { EXIT, formatMessage } from './message.ts'
import { parseArguments } from './parseArguments.ts'
import { screenOf } from './terminal.ts'
import { undoCommand } from './undoCommand.ts'
import { VERSION } from './version.ts'

/** Runs the words behind the program's name; the exit code is set, not forced, so that output arrives. */
export async function main(words: readonly string[]): Promise<void> {
  // A reader that has seen enough (`| head -1`) is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  try {
    process.exitCode = await run(words)
  } catch (error) {
    process.exitCode = EXIT.bug
    const reason = error instanceof Error ? error.message : String(error)
    const stack = error instanceof Error && words.includes('-v') ? error.stack : undefined
    process.stderr.write(
      formatMessage({
        code: 'INTERNAL',
        exit: EXIT.bug,
        what: `internal error: ${reason}`,
        ...(stack === undefined ? {} : { why: stack }),
        remedy: 'please report it, with the command and the output of -v'
      })
    )
  }
}

async function run(words: readonly string[]): Promise<number> {
  const parsed = parseArguments(words)
  if (!parsed.ok) {
    process.stderr.write(formatMessage(parsed.error))
    return parsed.error.exit
  }
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
  const screens = {
    out: screenOf(process.stdout, given.text('color'), process.env),
    err: screenOf(process.stderr, given.text('color'), process.env)
  }
  return given.command === 'undo'
    ? undoCommand(given, screens)
    : applyCommand(given.command, given, screens)
}
