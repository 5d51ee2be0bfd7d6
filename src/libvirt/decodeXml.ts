import { err, ok, type Result } from '../nix/result.ts'
import { type DomainError, domainError } from './problem.ts'
import { MOST_BYTES, readXml } from './readXml.ts'
import type { XmlDocument } from './tree.ts'

const OTHER_FILE = 'see whether it is the right file'

/** The text of a file that holds XML; a byte order mark is left out. Refused: TOO_BIG, ENCODING. */
export function decodeXml(bytes: Uint8Array): Result<string, DomainError> {
  if (bytes.length > MOST_BYTES) return err(tooBig(bytes.length))
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    const message = 'this is UTF-16, not UTF-8'
    const hint = 'convert it: iconv -f UTF-16 -t UTF-8; and take the encoding out of its first line'
    return err(domainError('', { code: 'ENCODING', message, hint }))
  }
  try {
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    if (bytes.includes(0)) {
      const message = 'this is no text, but the data of a program, an image or the like'
      return err(domainError('', { code: 'ENCODING', message, hint: OTHER_FILE }))
    }
    const readable = new TextDecoder('utf-8').decode(bytes)
    const start = readable.indexOf('\ufffd')
    const message = 'this is not UTF-8 text'
    const hint = 'convert it to UTF-8, for example with iconv'
    const range = { start, end: start + 1 }
    return err(domainError(readable, { code: 'ENCODING', message, hint, range }))
  }
}

/** Reads a domain from the bytes of a file. Refused as `decodeXml` and `readXml` do. */
export function readDomain(
  bytes: Uint8Array
): Result<{ text: string; document: XmlDocument }, DomainError> {
  const text = decodeXml(bytes)
  if (!text.ok) return text
  const document = readXml(text.value)
  return document.ok ? ok({ text: text.value, document: document.value }) : document
}

/** What is said of a file of so many bytes, or of more than can be taken, which is not looked into. */
export function tooBig(size?: number): DomainError {
  const most = MOST_BYTES / 1024 / 1024
  const megabytes = size === undefined ? `more than ${most}` : (size / 1024 / 1024).toFixed(1)
  return domainError('', {
    code: 'TOO_BIG',
    message: `it has ${megabytes} MB, and libvirt takes at most ${most} MB for a domain`,
    hint: OTHER_FILE
  })
}
