import { resolve } from 'node:path'
import { guestName, remarksOn, toNix, toXml } from '../../guests/convert.ts'
import { mend } from '../../guests/modernize/modernize.ts'
import { toValue } from '../../guests/value.ts'
import { readDomain, readXml } from '../../guests/xml/readXml.ts'
import { renderXml } from '../../guests/xml/renderXml.ts'
import { canonicalOf, type XmlDocument } from '../../guests/xml/tree.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { evaluateDomain } from '../../plan/evaluate.ts'
import type { Arguments } from '../args/parse.ts'
import { isQuiet } from '../args/request.ts'
import { type Context, contextOf, nameOfFile } from '../context.ts'
import { EXIT, type Message, usage } from '../message.ts'
import { printNotice, writeExact } from '../output/output.ts'
import type { Screens } from '../output/plan.ts'
import { type DomainBody, fail, type Report } from '../report.ts'
import { decodeModule } from '../request/configuration.ts'
import { identities, readDomainFile } from '../request/guest.ts'
import { nixMessage } from '../text/apply.ts'
import { computedMessage, domainMessage, nixInsteadOfXml } from '../text/guests.ts'

type Target = 'nix' | 'xml'

interface Asked {
  file: string
  to: Target
  mends: boolean
  checks: boolean
}

/** A domain as it was read, from XML or from Nix. */
interface Source {
  kind: Target
  /** The XML that the places in the document are of, and whether a person knows it. */
  xml: string
  isOriginal: boolean
  document: XmlDocument
}

/** `domain`: the XML of a guest as Nix, or the other way round. Nothing is written to a file. */
export async function domainCommand(given: Arguments, screens: Screens): Promise<Report> {
  const asked = readAsked(given)
  if (!asked.ok) return fail(asked.error)
  const { file, to, mends, checks } = asked.value
  const path = file === '-' ? file : resolve(file)
  const context = contextOf('domain', path, '/', given, screens.err)
  const bytes = await readDomainFile(path, context)
  if (!bytes.ok) return fail(bytes.error)
  const source = readSource(bytes.value, to === 'xml' || checks, context)
  if (!source.ok) return fail(source.error)
  if (checks) return check(source.value, given, context)

  const mended = mends ? mend(source.value.document.root, identities) : undefined
  const document = mended ? { ...source.value.document, root: mended.root } : source.value.document
  const text = to === 'nix' ? toNix(document) : xmlOf(document)
  if (!text.ok) return fail(domainMessage(text.error, context))
  const remarks = [
    ...(mended?.remarks ?? []),
    ...(to === 'nix' ? remarksOn(document.root) : []),
    ...instructionRemarks(document)
  ]
  const withLine = <T extends { start?: number }>({ start, ...rest }: T) => ({
    ...rest,
    line:
      start === undefined || !source.value.isOriginal ? null : placeOf(source.value.xml, start).line
  })
  const body: DomainBody = {
    ...{ kind: 'domain', path, to, guest: guestName(document) ?? null, text: text.value },
    changes: (mended?.changes ?? []).map(withLine),
    remarks: remarks.map(withLine)
  }
  if (!isQuiet(given)) tell(body, mends)
  if (given.on('json') !== true) writeExact(text.value, screens.out)
  return { exit: EXIT.done, outcome: 'converted', body }
}

function readAsked(given: Arguments): Result<Asked, Message> {
  const remedy = 'vfio-patch domain --help'
  const { file } = given
  if (file === undefined) {
    return err(
      usage('the file of a guest is missing.', {
        remedy: 'e.g. virsh dumpxml --inactive win10 | vfio-patch domain -'
      })
    )
  }
  const to = given.text('to') ?? 'nix'
  if (to !== 'nix' && to !== 'xml') {
    return err(usage(`--to takes nix or xml, got "${to}".`, { remedy }))
  }
  const mends = given.on('mend') === true
  const checks = given.on('check') === true
  if (checks && (mends || given.text('to') !== undefined)) {
    const other = mends ? '--mend' : '--to'
    return err(
      usage(`--check does not go with ${other}.`, {
        why: 'it only says whether the file comes through unchanged, and prints nothing else.',
        remedy: 'leave one of them away'
      })
    )
  }
  return ok({ file, to, mends, checks })
}

function readSource(
  bytes: Uint8Array,
  takesNix: boolean,
  context: Context
): Result<Source, Message> {
  if (!takesNix || looksLikeXml(bytes)) {
    const domain = readDomain(bytes)
    if (domain.ok) {
      const { text: xml, document } = domain.value
      return ok({ kind: 'xml', xml, isOriginal: true, document })
    }
    return err(isNix(bytes) ? nixInsteadOfXml(context) : domainMessage(domain.error, context))
  }
  const text = decodeModule(bytes, context)
  if (!text.ok) return text
  const [syntax] = parseDocument(text.value).errors
  if (syntax) return err(nixMessage(syntax, context, ''))
  const xml = xmlOfNix(text.value, context)
  if (!xml.ok) return xml
  const document = readXml(xml.value)
  if (!document.ok) return err(domainMessage({ ...document.error, code: 'BAD_VALUE' }, context))
  return ok({ kind: 'nix', xml: xml.value, isOriginal: false, document: document.value })
}

/** Whether the first thing in a file is a "<", or a mark that says that it is no UTF-8. */
function looksLikeXml(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 1024)).toString('latin1')
  return /^(?:\xef\xbb\xbf)?\s*</.test(start) || /^(?:\xff\xfe|\xfe\xff)/.test(start)
}

function isNix(bytes: Uint8Array): boolean {
  if (looksLikeXml(bytes) || bytes.length === 0) return false
  const text = Buffer.from(bytes).toString('utf8')
  return /^\s*(?:#|\/\*|\{|\(|let\b)/.test(text) && parseDocument(text).errors.length === 0
}

/** What is written out is read as it is; Nix is asked for the rest, where it is there. */
function xmlOfNix(text: string, context: Context): Result<string, Message> {
  const xml = toXml(text)
  if (xml.ok) return xml
  if (xml.error.code !== 'COMPUTED') return err(domainMessage(xml.error, context))
  const evaluated = evaluateDomain(text, context.file === '-' ? undefined : context.file)
  switch (evaluated.status) {
    case 'ok':
      return ok(evaluated.xml)
    case 'failed':
      return err(computedMessage(xml.error, { failed: evaluated.output }, context))
    case 'missing':
      return err(computedMessage(xml.error, { missing: evaluated.detail }, context))
  }
}

function xmlOf({ root }: XmlDocument): ReturnType<typeof toXml> {
  const xml = renderXml(toValue(root))
  // What was read as XML can stand in XML.
  if (!xml.ok) throw new Error(xml.error.message)
  return xml
}

/** Says whether the domain comes through the conversion, by our own reading and by Nix. */
function check({ document, kind }: Source, given: Arguments, context: Context): Report {
  const text = toNix(document)
  if (!text.ok) return fail(domainMessage(text.error, context))
  const evaluated = evaluateDomain(text.value, undefined)
  const again = evaluated.status === 'ok' ? readXml(evaluated.xml) : undefined
  const isSame = again?.ok && canonicalOf(again.value.root) === canonicalOf(document.root)
  if (evaluated.status !== 'missing' && !isSame) {
    return fail({
      code: 'NOT_LOSSLESS',
      exit: EXIT.invalid,
      what: `${nameOfFile(context)}: Nix makes another domain of it.`,
      ...(evaluated.status === 'failed' ? { why: evaluated.output } : {}),
      remedy: `please report it, with the file and this call: ${context.line}`
    })
  }
  if (!isQuiet(given)) {
    const isAsked = evaluated.status !== 'missing'
    const how = isAsked ? 'nix-instantiate renders the same' : evaluated.detail
    const sides = kind === 'xml' ? 'the XML and its Nix' : 'the Nix and its XML'
    printNotice(`${nameOfFile(context)}: ${sides} say the same (${how}).`)
  }
  const guest = guestName(document) ?? null
  const body: DomainBody = {
    ...{ kind: 'domain', path: context.file, to: null, guest, text: null },
    ...{ changes: [], remarks: [] }
  }
  return { exit: EXIT.done, outcome: 'converted', body }
}

function instructionRemarks({ instructions }: XmlDocument) {
  const what = 'the instruction "<?…?>" is left out: it is none for libvirt'
  return instructions.map(start => ({ code: 'INSTRUCTION' as const, path: '', what, start }))
}

function tell({ changes, remarks }: DomainBody, mends: boolean): void {
  const placeOfIt = ({ path, line }: { path: string; line: number | null }) =>
    [...(path === '' ? [] : [path]), ...(line === null ? [] : [`line ${line}`])].join(', ')
  for (const it of changes) {
    printNotice(`mended ${placeOfIt(it)}:`)
    if (it.before !== null) printNotice(`  - ${it.before}`)
    if (it.after !== null) printNotice(`  + ${it.after}`)
    printNotice(`  Why: ${it.why}.`)
  }
  if (mends && changes.length === 0) printNotice('There was nothing to mend.')
  for (const it of remarks) printNotice(`note: ${placeOfIt(it)}: ${it.what}.`)
}
