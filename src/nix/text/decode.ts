import { type NixError, nixError } from '../errors.ts'
import {
  byteOrderMark,
  encrypted,
  halfCharacter,
  loneCarriageReturn,
  notUtf8,
  nulCharacter
} from '../messages/text.ts'
import { err, ok, type Result } from '../result.ts'

/**
 * Decodes the bytes of a `.nix` file exactly: encoding the text again gives the same bytes.
 * `ENCODING` if they are not UTF-8, or if Nix and the parser would read the text differently (see
 * `findEncodingFault`).
 */
export function decode(bytes: Uint8Array): Result<string, NixError> {
  const cipher = cipherOf(bytes)
  if (cipher) return err(nixError('', encrypted(cipher)))
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    const readable = new TextDecoder('utf-8').decode(bytes)
    const start = readable.indexOf('\ufffd')
    return err(nixError(readable, { ...notUtf8, range: { start, end: start + 1 } }))
  }
  const fault = findEncodingFault(text)
  return fault ? err(fault) : ok(text)
}

/**
 * The first character that makes a text unsafe to edit although it may look right: a byte order mark
 * (Nix rejects it), a NUL (Nix stops there), or a carriage return without a line feed (Nix ends a `#`
 * comment there, but most other programs do not: a definition may look like a comment), or half a
 * surrogate pair (no file can contain it). Undefined if there is none.
 */
export function findEncodingFault(text: string): NixError | undefined {
  const found = /^\ufeff|\0|\r(?!\n)/.exec(text) ?? halfPair(text)
  if (!found) return undefined
  const [character] = found
  const message =
    character === '\0'
      ? nulCharacter
      : character === '\r'
        ? loneCarriageReturn
        : character === '\ufeff'
          ? byteOrderMark
          : halfCharacter
  return nixError(text, { ...message, range: { start: found.index, end: found.index + 1 } })
}

/** The first half of a surrogate pair; `isWellFormed` is much faster than the search. */
function halfPair(text: string): RegExpExecArray | null {
  const { isWellFormed } = text as { isWellFormed?: () => boolean }
  return isWellFormed?.call(text) ? null : /\p{Surrogate}/u.exec(text)
}

const CIPHERS: [string, string][] = [
  ['\0GITCRYPT\0', 'git-crypt'],
  ['age-encryption.org/', 'age'],
  ['-----BEGIN AGE ENCRYPTED FILE-----', 'age'],
  ['-----BEGIN PGP MESSAGE-----', 'PGP'],
  ['$ANSIBLE_VAULT;', 'ansible-vault']
]

function cipherOf(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 64)).toString('latin1')
  return CIPHERS.find(([mark]) => head.startsWith(mark))?.[1]
}
