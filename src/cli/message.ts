import type { Result } from '../nix/result.ts'
import { visible, visibleLine } from '../nix/text/visible.ts'
import { type ErrorCode, EXIT, EXIT_OF_ERROR } from './exitCodes.ts'

/** Why something could not be done: what is wrong, why, and what to do. */
export interface Message {
  code: ErrorCode
  /** What is wrong, in sentences. */
  what: string
  /** The sentence "Nothing was written." follows. */
  nothingWritten?: boolean
  /** The files that are not as they were, each with its state; a sentence with them follows. */
  onDisk?: readonly string[]
  /** It went wrong after the change was made, so the exit code is 8. */
  isWarning?: boolean
  /** The place in a file that it is about. */
  at?: { path: string; line: number; column: number }
  /** A source line with a caret below it, ready to be shown. */
  excerpt?: string
  why?: string
  remedy?: string
}

/** The message about wrong arguments. */
export function usage(what: string, more: Omit<Partial<Message>, 'code' | 'what'> = {}): Message {
  return { code: 'USAGE', what, ...more }
}

/** The exit code of a command that ends with this message. */
export function exitOf({ code, isWarning }: Message): number {
  return isWarning ? EXIT.followUp : EXIT[EXIT_OF_ERROR[code]]
}

/** What is wrong, and what that means for the files. */
export function sentenceOf({ what, nothingWritten, onDisk, isWarning }: Message): string {
  if (isWarning) return `warning: the change was written, but there is a problem: ${what}`
  if (onDisk) return `${what} Now on the disk: ${onDisk.join(', ')}.`
  return nothingWritten ? `${what} Nothing was written.` : what
}

/** A message without its code, which is that of the problem. */
export type Words = Omit<Message, 'code'>

/** The words for a problem because of which nothing was written. */
export function refusal(what: string, why: string, remedy: string): Words {
  return { what, nothingWritten: true, why, remedy }
}

/** For each code of a problem the function that words it; `about` has the other values it needs. */
export type Wording<P extends { code: string }, About, Words> = {
  [C in P['code']]: (problem: Extract<P, { code: C }>, about: About) => Words
}

/** Words a problem. */
export function wordsOf<P extends { code: string }, About, Words>(
  wording: Wording<P, About, Words>,
  problem: P,
  about: About
): Words {
  const entry = wording[problem.code as P['code']] as (problem: P, about: About) => Words
  return entry(problem, about)
}

/** Ends the command with a message; only `main` catches it. */
export class CommandError extends Error {
  readonly details: Message

  constructor(details: Message) {
    super(details.what)
    this.details = details
  }
}

/** The value of a result; ends the command with the message for its error. */
export function orThrow<T, E>(result: Result<T, E>, message: (error: E) => Message): T {
  if (result.ok) return result.value
  throw new CommandError(message(result.error))
}

/** The lines of a message as they are printed on stderr. */
export function formatMessage(message: Message): string {
  return `${[`vfio-patch: ${visibleLine(sentenceOf(message))}`, ...detailsOf(message)].join('\n')}\n`
}

/** The lines of a message after the first one: the excerpt, why, and what to do. */
export function detailsOf({
  excerpt,
  why,
  remedy
}: Pick<Message, 'excerpt' | 'why' | 'remedy'>): string[] {
  return [
    ...(excerpt === undefined ? [] : [indent(excerpt, '    ')]),
    ...(why === undefined ? [] : [`  Why: ${continued(why)}`]),
    ...(remedy === undefined ? [] : [`  Do:  ${continued(remedy)}`])
  ]
}

function continued(text: string): string {
  return text.replaceAll('\n', '\n       ')
}

function indent(text: string, by: string): string {
  return text.replace(/^/gm, by)
}

/** `1 file`, `2 files`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/**
 * A word quoted for a shell: as it is if that is safe, else in single quotes. With characters that a terminal
 * does not show, in the quotes `$'…'` of bash and zsh.
 */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  if (!isShown(word)) return `$'${[...word].map(escapeCharacter).join('')}'`
  return `'${word.replaceAll("'", "'\\''")}'`
}

function isShown(text: string): boolean {
  return visible(text) === text && !/[\n\r\t]/.test(text)
}

/** A character for `$'…'`; one that is not shown as octal bytes, which have a fixed length. */
function escapeCharacter(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`
  if (isShown(character)) return character
  return [...Buffer.from(character)].map(it => `\\${it.toString(8).padStart(3, '0')}`).join('')
}
