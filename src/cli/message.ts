import type { Result } from '../nix/result.ts'
import { visible, visibleLine } from '../nix/text/visible.ts'
import { type ErrorCode, EXIT, EXIT_OF_ERROR } from './exitCodes.ts'

/** Why something could not be done: what is wrong, why, and what to do. */
export interface Message {
  code: ErrorCode
  /** What is wrong, in sentences. */
  what: string
  /** Whether the sentence "Nothing was written." follows. */
  nothingWritten?: boolean
  /** The files of the run, each with its state on the disk; a sentence with this list follows. */
  onDisk?: readonly string[]
  /** Whether it went wrong after the change was made; the exit code is then 8. */
  isWarning?: boolean
  /** The place of the problem in a file. */
  at?: { path: string; line: number; column: number }
  /** The definitions of an option that can be chosen, and the places for a new one. */
  definitions?: readonly DefinitionReport[]
  places?: readonly PlaceReport[]
  /** A source line with a caret below it, ready to be shown. */
  excerpt?: string
  why?: string
  remedy?: string
}

/** A definition of an option. */
export interface DefinitionReport {
  /** The option as written; `${…}` for a computed name. */
  option: string
  names: readonly (string | null)[]
  line: number
  column: number
  source: string
  /** Its conditions, its priorities (such as `mkForce`), and whether it is inherited. All are absent with `--flat`. */
  conditions?: readonly string[]
  priorities?: readonly string[]
  inherited?: boolean
}

/** A place for a new definition, under conditions. */
export interface PlaceReport {
  line: number
  column: number
  conditions: readonly string[]
}

/** A message about wrong arguments. */
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

/** A message without its code; the problem has the code. */
export type Words = Omit<Message, 'code'>

/** The words for a problem that keeps a run from writing anything. */
export function refusal(what: string, why: string, remedy: string): Words {
  return { what, nothingWritten: true, why, remedy }
}

/** For each problem code, the function that words the problem; `about` has all values that are not in the problem. */
export type Wording<P extends { code: string }, About, Words> = {
  [C in P['code']]: (problem: Extract<P, { code: C }>, about: About) => Words
}

/** The words for a problem. */
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
 * A word quoted for a shell: unchanged if that is safe, else in single quotes. If a terminal would not show all its
 * characters, it is written as `$'…'`, which bash and zsh understand.
 */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  if (!isShown(word)) return `$'${[...word].map(escapeCharacter).join('')}'`
  return `'${word.replaceAll("'", "'\\''")}'`
}

function isShown(text: string): boolean {
  return visible(text) === text && !/[\n\r\t]/.test(text)
}

/** A character for `$'…'`. An invisible one becomes octal bytes, because these escapes have a fixed length. */
function escapeCharacter(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`
  if (isShown(character)) return character
  return [...Buffer.from(character)].map(it => `\\${it.toString(8).padStart(3, '0')}`).join('')
}
