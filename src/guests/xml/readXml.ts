// Reads the XML of a domain, from the bytes of a file or from a text.

import { err, ok, type Result } from '../../nix/result.ts'
import { type DomainError, domainError } from '../problem.ts'
import { checkXml } from './checkXml.ts'
import { BINARY, NOT_UTF8, notADomain, tooBigFile, UTF16 } from './messages.ts'
import { parseXml } from './parseXml.ts'
import { faultAt } from './progress.ts'
import type { XmlDocument } from './tree.ts'

/** The most bytes that libvirt accepts for a domain. */
export const MAX_BYTES = 4 * 1024 * 1024

/** Reads a domain from the bytes of a file. Errors: TOO_BIG, and those of `readXml`. */
export function readDomain(
  bytes: Uint8Array
): Result<{ text: string; document: XmlDocument }, DomainError> {
  const text = decodeXml(bytes)
  if (!text.ok) return text
  const document = readXml(text.value)
  return document.ok ? ok({ text: text.value, document: document.value }) : document
}

/** The text in the bytes of a file, without a byte order mark. Errors: TOO_BIG and ENCODING. */
function decodeXml(bytes: Uint8Array): Result<string, DomainError> {
  if (bytes.length > MAX_BYTES) return err(tooBigError(bytes.length))
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return err(domainError('', UTF16))
  }
  try {
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    if (bytes.includes(0)) return err(domainError('', BINARY))
    const readable = new TextDecoder('utf-8').decode(bytes)
    return err(domainError(readable, faultAt(NOT_UTF8, readable.indexOf('\ufffd'))))
  }
}

/** The error for a file with more than `MAX_BYTES`. `size` is in bytes, if it is known. */
export function tooBigError(size?: number): DomainError {
  return domainError('', tooBigFile(size, MAX_BYTES))
}

/**
 * Reads a document from its text. Comments are kept, including those outside the root. References and CDATA
 * sections become text, and line endings become `\n`. The error is the first fault: DOCTYPE, ENCODING,
 * NOT_XML, or NOT_A_DOMAIN if the root is not the `expected` element.
 */
export function readXml(text: string, expected = 'domain'): Result<XmlDocument, DomainError> {
  const checked = checkXml(text)
  if (!checked.ok) return err(domainError(text, checked.error))
  const { root, instructions } = checked.value
  if (root.name !== expected) {
    const end = root.start + 1 + root.name.length
    return err(domainError(text, faultAt(notADomain(root.name), root.start, end)))
  }
  return ok(parseXml(text, instructions))
}
