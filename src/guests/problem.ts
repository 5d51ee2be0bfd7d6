import { defined } from '../collections.ts'
import { markedLines } from '../nix/errors.ts'
import type { Range } from '../nix/index.ts'
import { placeOf } from '../nix/text/lines.ts'

/**
 * Why a domain could not be read or converted. Each code has one meaning:
 *
 * - `TOO_BIG` the file is larger than any domain that libvirt accepts
 * - `ENCODING` it is not UTF-8, or has characters that XML forbids
 * - `DOCTYPE` it has a document type declaration, which could define entities
 * - `NOT_XML` it is not well-formed, or uses an undeclared prefix
 * - `NOT_A_DOMAIN` the root element is not `<domain>`
 * - `NO_DOMAIN` the Nix file defines no domain
 * - `AMBIGUOUS_DOMAIN` the Nix file defines several domains
 * - `COMPUTED` a part of the domain in Nix is not a literal value
 * - `BAD_VALUE` a value in Nix can't be written as XML
 * - `NOT_LOSSLESS` the converted domain differs from the original, which is a bug in this program
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
  /** What is wrong; a sentence without a period. */
  message: string
  /** What to do instead. */
  hint?: string
  /** 1-based line and column, in UTF-16 units; absent if no place is known. */
  at?: { line: number; column: number }
  /** The source line with carets below it, at most `width` columns wide; empty without a place. */
  excerpt(options: { color: boolean; width: number }): string
}

/** An error whose place is a range of offsets, not yet a line and column. */
export interface Fault {
  code: DomainErrorCode
  message: string
  hint?: string | undefined
  range?: Range | undefined
}

/** The error for a fault in `text`, with its line and column. */
export function domainError(text: string, fault: Fault): DomainError {
  const { code, message, hint, range } = fault
  const error = { code, message, ...defined({ hint }) }
  if (range === undefined) return { ...error, excerpt: () => '' }
  const at = placeOf(text, range.start)
  const excerpt: DomainError['excerpt'] = ({ color, width }) => {
    if (text === '') return ''
    // Two columns for the marks where the line is cut.
    const margin = `${at.line} | `.length + 2
    return markedLines(text, range, { color, width: width - margin }).join('\n')
  }
  return { ...error, at, excerpt }
}
