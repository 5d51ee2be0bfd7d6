// The only place where text leaves this program. Much of it comes from outside: file names,
// configurations, names of devices, what other programs print. None of it may control a terminal.

import { visible, visibleLine } from '../../nix/text/visible.ts'
import { formatMessage, type Message } from '../message.ts'
import { type Screen, withStyles } from './terminal.ts'

/** One line for the person, on stderr; stdout is for what programs read. */
export function say(line: string): void {
  writeError(`${visibleLine(line)}\n`)
}

/** A message, on stderr. */
export function sayMessage(message: Message): void {
  writeError(formatMessage(message))
}

/**
 * Text for people on stderr: a terminal, or a log that somebody looks at in one later. Only the styles
 * of `paint` reach it as escape sequences.
 */
export function writeError(text: string): void {
  process.stderr.write(withStyles(visible(text)))
}

/** Text for people on stdout, such as a table. */
export function writeOutput(text: string): void {
  process.stdout.write(withStyles(visible(text)))
}

/**
 * Text that another program may take from stdout: a patch, a module, a domain. It is exact in a pipe
 * or file, and like any other text on a terminal and where colors were asked for.
 */
export function writeExact(text: string, { isTerminal, color }: Screen): void {
  if (isTerminal || color) writeOutput(text)
  else process.stdout.write(text)
}

/** A part of what another program prints, on stderr; a line that it would draw again begins a new one. */
export function relayError(part: string): void {
  writeError(part.replace(/\r\n?/g, '\n'))
}
