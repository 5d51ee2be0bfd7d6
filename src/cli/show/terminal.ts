import { randomBytes } from 'node:crypto'

/** What a stream can show. */
export interface Screen {
  color: boolean
  isTerminal: boolean
  /** Columns; 80 where it is no terminal. */
  width: number
}

interface Stream {
  isTTY?: boolean
  columns?: number
}

/**
 * What a stream can show. `--color` comes first, since sudo drops the variables; then FORCE_COLOR,
 * NO_COLOR, TERM=dumb; else a terminal has colours.
 */
export function screenOf(
  stream: Stream,
  choice: string | undefined,
  env: Record<string, string | undefined>
): Screen {
  const isTerminal = stream.isTTY === true
  return {
    color: hasColor(isTerminal, choice, env),
    isTerminal,
    width: Math.max(40, stream.columns ?? (Number(env.COLUMNS) || 80))
  }
}

function hasColor(
  isTerminal: boolean,
  choice: string | undefined,
  env: Record<string, string | undefined>
): boolean {
  if (choice === 'always') return true
  if (choice === 'never') return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  if (env.NO_COLOR) return false
  return env.TERM !== 'dumb' && isTerminal
}

/** Whether a text may have more than ASCII in this locale. */
export function isUnicode(env: Record<string, string | undefined>): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || ''
  return /utf-?8/i.test(locale)
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

export type Style = keyof typeof STYLES

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
export function withStyles(text: string): string {
  return text.replaceAll(ESCAPE, '\x1b')
}
