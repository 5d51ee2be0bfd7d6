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

export type Style = keyof typeof STYLES

/** The text in a style, where there are colours. */
export function paint(screen: Screen, style: Style, text: string): string {
  return screen.color ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text
}
