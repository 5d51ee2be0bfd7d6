import { resolve } from 'node:path'
import { guestName, toNix, toXml, warningsAbout } from '../../guests/convert.ts'
import { modernize } from '../../guests/modernize/modernize.ts'
import { toValue } from '../../guests/value.ts'
import { readDomain, readXml } from '../../guests/xml/readXml.ts'
import { renderXml } from '../../guests/xml/renderXml.ts'
import { canonicalOf, type XmlDocument } from '../../guests/xml/tree.ts'
import { type NixDocument, parseDocument } from '../../nix/index.ts'
import { evaluateDomain } from '../../plan/evaluate.ts'
import type { Arguments } from '../args/parse.ts'
import { type DomainRequest, readDomainRequest } from '../args/request.ts'
import { type Context, contextOf } from '../context.ts'
import { EXIT } from '../exitCodes.ts'
import { CommandError, orThrow } from '../message.ts'
import { nixMessage } from '../messages/apply.ts'
import {
  computedMessage,
  domainMessage,
  INSTRUCTION_OMITTED,
  NOTHING_TO_FIX,
  nixInsteadOfXml,
  notLossless,
  SAME_BY_NIX,
  sameDomain,
  withLines
} from '../messages/guests.ts'
import { printNotice, type Screens, writeExact } from '../output/output.ts'
import type { DomainBody, Report } from '../report.ts'
import { identities, readDomainFile } from '../request/guest.ts'
import { decodeModule } from '../request/inputs.ts'

/** A domain from XML or from Nix. */
interface Source {
  kind: 'nix' | 'xml'
  /** The XML that the places in the document refer to; undefined if the user's file is Nix. */
  xml: string | undefined
  document: XmlDocument
}

/** `domain`: prints the XML of a guest as Nix, or the reverse. Writes no file. */
export async function domainCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readDomainRequest(args, screens)
  const { file, to, fixes, compares } = request
  const path = file === '-' ? file : resolve(file)
  const context = contextOf({ ...request, root: '/' }, path)
  const bytes = await readDomainFile(path, context)
  const source = readSource(bytes, to === 'xml' || compares, context)
  if (compares) return compare(source, request, context)

  const modernized = fixes ? modernize(source.document.root, identities) : undefined
  const document = modernized ? { ...source.document, root: modernized.root } : source.document
  const converted = to === 'nix' ? toNix(document) : xmlOf(document)
  const text = orThrow(converted, it => domainMessage(it, context))
  const remarks = [
    ...(modernized?.warnings ?? []),
    ...(to === 'nix' ? warningsAbout(document.root) : []),
    ...instructionRemarks(document)
  ]
  const body: DomainBody = {
    ...{ kind: 'domain', path, to, guest: guestName(document) ?? null, text },
    changes: withLines(modernized?.changes ?? [], source.xml),
    remarks: withLines(remarks, source.xml)
  }
  if (!request.quiet) printChanges(body, fixes)
  if (!request.json) writeExact(text, screens.out)
  return { exit: EXIT.done, outcome: 'converted', body }
}

function readSource(bytes: Uint8Array, takesNix: boolean, context: Context): Source {
  if (!takesNix || looksLikeXml(bytes)) {
    const { text: xml, document } = orThrow(readDomain(bytes), it =>
      isNix(bytes) ? nixInsteadOfXml(context) : domainMessage(it, context)
    )
    return { kind: 'xml', xml, document }
  }
  const text = decodeModule(bytes, context)
  const doc = parseDocument(text)
  const [syntax] = doc.errors
  if (syntax) throw new CommandError(nixMessage(syntax, context, { isReadOnly: true }))
  const xml = xmlOfNix(doc, context)
  const document = orThrow(readXml(xml), it => domainMessage({ ...it, code: 'BAD_VALUE' }, context))
  return { kind: 'nix', xml: undefined, document }
}

/** Whether a file begins with "<" or with the byte order mark of UTF-16. */
function looksLikeXml(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 1024)).toString('latin1')
  return /^(?:\xef\xbb\xbf)?\s*</.test(start) || /^(?:\xff\xfe|\xfe\xff)/.test(start)
}

function isNix(bytes: Uint8Array): boolean {
  if (looksLikeXml(bytes) || bytes.length === 0) return false
  const text = Buffer.from(bytes).toString('utf8')
  return /^\s*(?:#|\/\*|\{|\(|let\b)/.test(text) && parseDocument(text).errors.length === 0
}

/** Converts literal Nix directly. Nix evaluates everything else, if it is installed. */
function xmlOfNix(doc: NixDocument, context: Context): string {
  const xml = toXml(doc)
  if (xml.ok) return xml.value
  const { error } = xml
  if (error.code !== 'COMPUTED') throw new CommandError(domainMessage(error, context))
  const evaluated = evaluateDomain(doc.text, context.file === '-' ? undefined : context.file)
  if (evaluated.status === 'ok') return evaluated.xml
  throw new CommandError(computedMessage(error, evaluated, context))
}

function xmlOf({ root }: XmlDocument): ReturnType<typeof toXml> {
  const xml = renderXml(toValue(root))
  // A document from XML can always be written as XML.
  if (!xml.ok) throw new Error(xml.error.message)
  return xml
}

/** Checks with this program and with Nix that converting the domain loses nothing. */
function compare({ document, kind }: Source, request: DomainRequest, context: Context): Report {
  const text = orThrow(toNix(document), it => domainMessage(it, context))
  const evaluated = evaluateDomain(text, undefined)
  const again = evaluated.status === 'ok' ? readXml(evaluated.xml) : undefined
  const isSame = again?.ok && canonicalOf(again.value.root) === canonicalOf(document.root)
  if (evaluated.status !== 'missing' && !isSame) {
    const output = evaluated.status === 'failed' ? evaluated.output : undefined
    throw new CommandError(notLossless(output, context))
  }
  if (!request.quiet) {
    const detail = evaluated.status === 'missing' ? evaluated.detail : SAME_BY_NIX
    printNotice(sameDomain(kind, detail, context))
  }
  const guest = guestName(document) ?? null
  const body: DomainBody = {
    ...{ kind: 'domain', path: context.file, to: null, guest, text: null },
    ...{ changes: [], remarks: [] }
  }
  return { exit: EXIT.done, outcome: 'converted', body }
}

function instructionRemarks({ instructions }: XmlDocument) {
  const remark = { code: 'INSTRUCTION' as const, path: '', what: INSTRUCTION_OMITTED }
  return instructions.map(start => ({ ...remark, start }))
}

function printChanges({ changes, remarks }: DomainBody, fixes: boolean): void {
  const placeOfIt = ({ path, line }: { path: string; line: number | null }) =>
    [...(path === '' ? [] : [path]), ...(line === null ? [] : [`line ${line}`])].join(', ')
  for (const it of changes) {
    printNotice(`fixed ${placeOfIt(it)}:`)
    if (it.before !== null) printNotice(`  - ${it.before}`)
    if (it.after !== null) printNotice(`  + ${it.after}`)
    printNotice(`  Why: ${it.why}.`)
  }
  if (fixes && changes.length === 0) printNotice(NOTHING_TO_FIX)
  for (const it of remarks) printNotice(`note: ${placeOfIt(it)}: ${it.what}.`)
}
