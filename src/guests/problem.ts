import { defined } from '../collections.ts'
import { nixError } from '../nix/errors.ts'
import type { NixError, Range } from '../nix/index.ts'

/**
 * Why a domain could not be read or converted. Each code has one meaning:
 *
 * - `TOO_BIG` the file is bigger than any domain that libvirt takes
 * - `ENCODING` it is not UTF-8, or holds characters that XML forbids
 * - `DOCTYPE` it has a document type, which could define entities
 * - `NOT_XML` it is not well-formed, or uses a prefix that it does not declare
 * - `NOT_A_DOMAIN` it is XML, and no domain
 * - `NO_DOMAIN` the Nix file holds none
 * - `AMBIGUOUS_DOMAIN` the Nix file holds several
 * - `COMPUTED` a part of the domain in Nix has to be computed
 * - `BAD_VALUE` a value in Nix can't stand in XML
 * - `NOT_LOSSLESS` what was converted does not say the same; a bug
 */
type DomainErrorCode =
  | 'TOO_BIG'
  | 'ENCODING'
  | 'DOCTYPE'
  | 'NOT_XML'
  | 'NOT_A_DOMAIN'
  | 'NO_DOMAIN'
  | 'AMBIGUOUS_DOMAIN'
  | 'COMPUTED'
  | 'BAD_VALUE'
  | 'NOT_LOSSLESS'

export interface DomainError {
  code: DomainErrorCode
  /** What is wrong, in one sentence without a final period. */
  message: string
  /** What to do instead. */
  hint?: string
  /** The place, where there is one: line and column from 1, columns in UTF-16 units. */
  at?: { line: number; column: number }
  /** The line of the place and carets below it, at most so many columns wide; empty without a place. */
  excerpt(options: { color: boolean; width: number }): string
}

/** What is wrong with a text, before it is known which text that is. */
export interface Fault {
  code: DomainErrorCode
  message: string
  hint?: string | undefined
  range?: Range | undefined
}

/** The error that a fault is in this text. */
export function domainError(text: string, fault: Fault): DomainError {
  const { code, message, hint, range } = fault
  const words = { code, message, ...defined({ hint }) }
  if (range === undefined) return { ...words, excerpt: () => '' }
  // The toolkit draws the lines; its own code and message are not shown.
  const drawn = nixError(text, { code: 'SYNTAX', message, range })
  return { ...words, at: drawn.at, excerpt: options => excerptOf(drawn, options) }
}

function excerptOf(error: NixError, { color, width }: { color: boolean; width: number }): string {
  const taken = `${error.at.line} | `.length + 2
  const lines = error.render({ color, width: width - taken }).split('\n')
  return lines.slice(1).join('\n')
}
