import { toXml } from '../../../src/guests/convert.ts'
import type { DomainError } from '../../../src/guests/problem.ts'
import { readDomain } from '../../../src/guests/xml/readXml.ts'
import type { XmlDocument } from '../../../src/guests/xml/tree.ts'
import { parseDocument } from '../../../src/nix/index.ts'

/** An error as text: place, code, message, excerpt and hint. */
export function shown(error: DomainError): string {
  const { code, message, hint, at } = error
  const place = at === undefined ? '' : `${at.line}:${at.column}: `
  const lines = [`${place}${code}: ${message}`]
  const excerpt = error.excerpt({ color: false, width: 80 })
  if (excerpt !== '') lines.push(excerpt)
  if (hint !== undefined) lines.push(`hint: ${hint}`)
  return lines.join('\n')
}

/** The error for a file with this content. */
export function refusal(given: string | Uint8Array): string {
  const domain = readDomain(Buffer.from(given))
  if (domain.ok) throw new Error('no error')
  return shown(domain.error)
}

/** The parsed document. */
export function documentOf(text: string): XmlDocument {
  const domain = readDomain(Buffer.from(text))
  if (!domain.ok) throw new Error(shown(domain.error))
  return domain.value.document
}

/** The XML of a Nix file, or its error. */
export function xmlOf(nix: string): string {
  const xml = toXml(parseDocument(nix))
  return xml.ok ? xml.value : shown(xml.error)
}

/** A text without its common indentation, and without its first line if that is empty. */
export function text(strings: TemplateStringsArray, ...values: string[]): string {
  const raw = String.raw({ raw: strings.raw }, ...values)
    .replace(/^\n/, '')
    .replace(/[ \t]*$/, '')
  const indents = raw.split('\n').filter(it => it.trim() !== '')
  const common = Math.min(...indents.map(it => it.length - it.trimStart().length))
  return raw
    .split('\n')
    .map(it => it.slice(common))
    .join('\n')
}
