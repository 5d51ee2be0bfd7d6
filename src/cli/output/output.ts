// The only place where text leaves this program. Much of it comes from outside: file names,
// configurations, names of devices, what other programs print. None of it may control a terminal.

import { randomBytes } from 'node:crypto'
import { visible, visibleLine } from '../../nix/text/visible.ts'
import { formatMessage, type Message } from '../message.ts'

/** One line for the person, on stderr; stdout is for what programs read. */
export function printNotice(line: string): void {
  writeError(`${visibleLine(line)}\n`)
}

/** A message, on stderr. */
export function printMessage(message: Message): void {
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

/** What a stream can show. */
export interface Screen {
  color: boolean
  isTerminal: boolean
  /** Columns; 80 where it is no terminal. */
  width: number
}

/** What the two streams of a command can show. */
export interface Screens {
  out: Screen
  err: Screen
}

/**
 * What a stream can show. `--color` comes first, since sudo drops the variables; then FORCE_COLOR,
 * NO_COLOR, TERM=dumb; else a terminal has colours.
 */
export function screenOf(stream: NodeJS.WriteStream, choice: string | undefined): Screen {
  // Undefined, whatever its type says, where the stream is no terminal.
  const columns: number | undefined = stream.columns
  const isTerminal = stream.isTTY === true
  return {
    color: hasColor(isTerminal, choice),
    isTerminal,
    width: Math.max(40, columns ?? (Number(process.env.COLUMNS) || 80))
  }
}

function hasColor(isTerminal: boolean, choice: string | undefined): boolean {
  if (choice === 'always') return true
  if (choice === 'never') return false
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  if (NO_COLOR) return false
  return TERM !== 'dumb' && isTerminal
}

/** Whether a text may have more than ASCII in this locale. */
export function isUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '')
}

const STYLES = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  cyan: '36'
} as const

/**
 * What represents the escape character until `withStyles`. No text from outside can contain it, as it
 * is another one in each process.
 */
const ESCAPE = randomBytes(16).toString('hex')

type Style = keyof typeof STYLES

/** The text in a style, where there are colors; only to be written with the functions of output.ts. */
export function paint(screen: Screen, style: Style, text: string): string {
  return screen.color ? `${ESCAPE}[${STYLES[style]}m${text}${ESCAPE}[0m` : text
}

/** A part of a painted text in reverse, in whatever style the text has. */
export function reverse(text: string): string {
  return `${ESCAPE}[7m${text}${ESCAPE}[27m`
}

/**
 * An excerpt that the toolkit drew with colors, to be put into other text. The toolkit shows no escape
 * character of its source, so all of them are its own.
 */
export function drawnByToolkit(excerpt: string): string {
  return excerpt.replaceAll('\x1b', ESCAPE)
}

/** The text as the terminal gets it, with its styles as escape sequences. */
function withStyles(text: string): string {
  return text.replaceAll(ESCAPE, '\x1b')
}

/**
 * The words of a text in lines of at most `width` columns, unless one word is longer; spaces
 * at its beginning stay. Lines after the first begin with `indent`. What a terminal does not
 * show is visible in them, so that they have the width that they seem to have.
 */
export function wrap(text: string, width: number, indent = ''): string[] {
  const shown = visibleLine(text)
  const [start = ''] = /^ */.exec(shown) ?? []
  const [first = '', ...words] = shown.slice(start.length).split(' ')
  const lines: string[] = []
  let line = `${start}${first}`
  for (const word of words) {
    if (line.length + 1 + word.length > width) {
      lines.push(line)
      line = `${indent}${word}`
    } else line = `${line} ${word}`
  }
  return [...lines, line]
}
