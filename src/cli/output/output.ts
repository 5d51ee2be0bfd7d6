// The only place where this program writes text. Much of the text comes from outside: file names,
// configurations, names of devices, the output of other programs. None of it may control a terminal.

import { randomBytes } from 'node:crypto'
import { visible, visibleLine } from '../../nix/text/visible.ts'
import { formatMessage, type Message } from '../message.ts'

/** Prints one line for people on stderr; stdout is for programs. */
export function printNotice(line: string): void {
  writeError(`${visibleLine(line)}\n`)
}

/** Prints a message on stderr. */
export function printMessage(message: Message): void {
  writeError(formatMessage(message))
}

/**
 * Writes text for people to stderr, which is a terminal, or a log that somebody may read on a terminal. The only
 * escape sequences are the styles of `paint`.
 */
export function writeError(text: string): void {
  process.stderr.write(withStyles(visible(text)))
}

/** Writes text for people to stdout, such as a table. */
export function writeOutput(text: string): void {
  process.stdout.write(withStyles(visible(text)))
}

/**
 * Writes text for other programs to stdout: a patch, a module, a domain. It is exact in a pipe or file. On a
 * terminal or with colors, control characters are escaped as in other text.
 */
export function writeExact(text: string, { isTerminal, color }: Screen): void {
  if (isTerminal || color) writeOutput(text)
  else process.stdout.write(text)
}

/** Relays output of another program to stderr; a carriage return begins a new line. */
export function relayError(part: string): void {
  writeError(part.replace(/\r\n?/g, '\n'))
}

/** What a stream can show. */
export interface Screen {
  color: boolean
  isTerminal: boolean
  /** Columns; 80 if it is not a terminal. */
  width: number
}

/** What the two streams of a command can show. */
export interface Screens {
  out: Screen
  err: Screen
}

/**
 * What a stream can show. `--color` takes precedence, because sudo drops the variables; then FORCE_COLOR,
 * NO_COLOR and TERM=dumb. Otherwise a terminal has colors.
 */
export function screenOf(stream: NodeJS.WriteStream, choice: string | undefined): Screen {
  // Undefined, despite its type, if the stream is not a terminal.
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
 * A placeholder that `withStyles` replaces with the escape character. No text from outside can contain it,
 * because it is random in each process.
 */
const ESCAPE = randomBytes(16).toString('hex')
const STYLE = new RegExp(`${ESCAPE}\\[[\\d;]*m`, 'g')

type Style = keyof typeof STYLES

/** The text in a style, if there are colors; only to be written with the functions of output.ts. */
export function paint(screen: Screen, style: Style, text: string): string {
  return screen.color ? `${ESCAPE}[${STYLES[style]}m${text}${ESCAPE}[0m` : text
}

/** A part of a painted text in reverse video, with the style of that text. */
export function reverse(text: string): string {
  return `${ESCAPE}[7m${text}${ESCAPE}[27m`
}

/**
 * Prepares an excerpt that the toolkit drew with colors for use in other text. The toolkit escapes the source
 * text, so every escape character is the toolkit's.
 */
export function drawnByToolkit(excerpt: string): string {
  return excerpt.replaceAll('\x1b', ESCAPE)
}

/** The text for the terminal, with its styles as escape sequences. */
function withStyles(text: string): string {
  return text.replaceAll(ESCAPE, '\x1b')
}

/** The width in columns of a text that may contain styles. */
function shownLength(text: string): number {
  return text.replaceAll(STYLE, '').length
}

/**
 * The words of a text in lines of at most `width` columns, unless one word is longer; spaces
 * at its beginning are kept. Lines after the first begin with `indent`. Characters that a terminal does
 * not show are escaped, so that the width is right; styles of `paint` take no columns.
 */
export function wrap(text: string, width: number, indent = ''): string[] {
  const shown = visibleLine(text)
  const [start = ''] = /^ */.exec(shown) ?? []
  const [first = '', ...words] = shown.slice(start.length).split(' ')
  const lines: string[] = []
  let line = `${start}${first}`
  for (const word of words) {
    if (shownLength(line) + 1 + shownLength(word) > width) {
      lines.push(line)
      line = `${indent}${word}`
    } else line = `${line} ${word}`
  }
  return [...lines, line]
}
