import { type NixError, nixError } from '../errors.ts'
import { err, ok, type Result } from '../result.ts'

/**
 * The text of a `.nix` file's bytes, exactly: encoding the text again gives the same bytes.
 * Refuses with `ENCODING` what is no UTF-8 text, or text that Nix and the parser would read
 * differently (see `findEncodingFault`).
 */
export function decode(bytes: Uint8Array): Result<string, NixError> {
  const cipher = cipherOf(bytes)
  if (cipher) {
    return err(
      nixError('', {
        code: 'ENCODING',
        message: `this file is encrypted (${cipher})`,
        hint: 'decrypt it first, or edit the file that it was made from'
      })
    )
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    const readable = new TextDecoder('utf-8').decode(bytes)
    const start = readable.indexOf('\ufffd')
    return err(
      nixError(readable, {
        code: 'ENCODING',
        message: 'this is not UTF-8 text',
        range: { start, end: start + 1 },
        hint: 'convert it to UTF-8, for example with iconv'
      })
    )
  }
  const fault = findEncodingFault(text)
  return fault ? err(fault) : ok(text)
}

/**
 * The first thing in a text that makes it unsafe to edit although it may look right: a byte order
 * mark (Nix rejects it), a NUL (Nix stops there), or a carriage return that is not part of a line
 * end (Nix ends a `#` comment there, most other programs do not, so a definition could hide behind
 * it). Undefined if there is none.
 */
export function findEncodingFault(text: string): NixError | undefined {
  const found = /^\ufeff|\0|\r(?!\n)/.exec(text)
  if (!found) return undefined
  const range = { start: found.index, end: found.index + 1 }
  if (found[0] === '\0') {
    return nixError(text, {
      code: 'ENCODING',
      message: 'there is a NUL character here, so this is not a text file',
      range,
      hint: 'restore the file from a copy'
    })
  }
  if (found[0] === '\r') {
    return nixError(text, {
      code: 'ENCODING',
      message: 'there is a carriage return without a line feed here, which Nix takes as a line end',
      range,
      hint: 'replace it by a line feed in an editor'
    })
  }
  return nixError(text, {
    code: 'ENCODING',
    message: 'the file begins with a byte order mark, which Nix does not accept',
    range,
    hint: 'save it as UTF-8 without a byte order mark'
  })
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
