import { formatMessage, type Message } from './message.ts'

/** A line for the person; stdout is for what programs read. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Tells a person why it went no further; the exit code that goes with it. */
export function fail(message: Message): number {
  process.stderr.write(formatMessage(message))
  return message.exit
}
