import { defined } from '../collections.ts'
import { type NixDocument, parseDocument } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { passwordFound, runningGuest } from './messages/changes.ts'
import { domainChanged, nixUnreadable, notNix, renderedXmlUnreadable } from './messages/faults.ts'
import type { Warning } from './modernize/change.ts'
import { printModule } from './printNix.ts'
import { type DomainError, domainError, type Fault } from './problem.ts'
import { domainPath, findDomain, readNix } from './readNix.ts'
import { type DomainValue, toValue } from './value.ts'
import { readXml } from './xml/readXml.ts'
import { renderXml } from './xml/renderXml.ts'
import {
  attributeOf,
  canonicalOf,
  elementsBelow,
  findElement,
  findElements,
  textContent,
  type XmlDocument,
  type XmlElement
} from './xml/tree.ts'

/** The `<name>` of the domain; undefined if it is missing or empty. */
export function guestName({ root }: Pick<XmlDocument, 'root'>): string | undefined {
  const name = findElement(root, 'name')
  const text = name && textContent(name)
  return text === undefined || text === '' ? undefined : text
}

/**
 * A NixOS module that defines the domain as `virtualisation.vfio.guests.NAME.domain`; NAME is `guest` for a
 * domain without a name. The module is converted back to XML and compared with the domain: NOT_LOSSLESS if
 * they differ.
 */
export function toNix(document: XmlDocument): Result<string, DomainError> {
  const comments = [...document.before, ...document.after].filter(it => !isLibvirtNotice(it))
  const path = domainPath(guestName(document) ?? 'guest')
  const text = printModule(path, toValue(document.root), comments)
  const back = toXml(parseDocument(text))
  if (!back.ok) return err(domainError('', nixUnreadable(back.error.message)))
  const reread = readXml(back.value)
  if (!reread.ok) return err(domainError('', renderedXmlUnreadable(reread.error.message)))
  return canonicalOf(reread.value.root) === canonicalOf(document.root)
    ? ok(text)
    : err(domainError('', domainChanged()))
}

/**
 * The XML of the domain that a Nix file defines with literal values. Errors: NO_DOMAIN (also for a document
 * with syntax errors), AMBIGUOUS_DOMAIN, COMPUTED and BAD_VALUE.
 */
export function toXml(doc: NixDocument): Result<string, DomainError> {
  const file = readNix(doc)
  const refuse = (fault: Fault) => err(domainError(doc.text, fault))
  if (!file) return refuse(notNix())
  const domain = findDomain(file)
  if (!domain.ok) return refuse(domain.error)
  const xml = renderXml(domain.value)
  return xml.ok ? xml : refuse(xml.error)
}

/** Whether a comment is libvirt's warning not to edit its file, which does not apply to the module. */
function isLibvirtNotice(comment: string): boolean {
  return comment.includes('THIS IS AN AUTO-GENERATED FILE')
}

/** The UUID and MAC addresses of a guest that a Nix file defines with literal values. */
interface Identity {
  uuid: string | undefined
  /** One for each network card, in order. */
  macs: readonly (string | undefined)[]
}

/** The identity of the guest in a Nix file; empty if the file defines no guest, or several. */
export function readIdentity(doc: NixDocument): Identity {
  const file = readNix(doc)
  const domain = file && findDomain(file)
  if (!domain?.ok) return { uuid: undefined, macs: [] }
  const cards = memberOf(memberOf(domain.value, 'devices'), 'interface')
  const items = cards?.kind === 'list' ? cards.items.map(it => it.value) : cards ? [cards] : []
  return {
    uuid: textMember(memberOf(domain.value, 'uuid')),
    macs: items.map(it => textMember(memberOf(memberOf(it, 'mac'), 'address')))
  }
}

function memberOf(value: DomainValue | undefined, name: string): DomainValue | undefined {
  return value?.kind === 'set' ? value.entries.find(it => it.name === name)?.value : undefined
}

function textMember(value: DomainValue | undefined): string | undefined {
  const inner = value?.kind === 'set' ? memberOf(value, '_text') : value
  return inner?.kind === 'text' ? inner.text : undefined
}

/** Warnings about passwords, and about XML that was dumped from a running guest. */
export function warningsAbout(root: XmlElement): Warning[] {
  const warnings: Warning[] = []
  const warn = (finding: Pick<Warning, 'code' | 'what'>, path: string, { start }: XmlElement) =>
    warnings.push({ ...finding, path, ...defined({ start }) })
  if (attributeOf(root, 'id') !== undefined) warn(runningGuest(), '', root)
  for (const { element, path } of elementsBelow(root)) {
    const passwd = attributeOf(element, 'passwd') ?? ''
    if (passwd === '' && element.name !== 'cookie') continue
    warn(passwordFound(), path, element)
  }
  for (const argument of findElements(root, 'qemu:commandline', 'qemu:arg')) {
    const value = attributeOf(argument, 'value') ?? ''
    const isSecret = /(^|[,"])(password|passwd)("?\s*[:=])(?!off\b|on\b)/.test(value)
    const isObject = /^secret,.*\bdata=|"qom-type"\s*:\s*"secret".*"data"/.test(value)
    if (!isSecret && !isObject) continue
    warn(passwordFound(), 'qemu:commandline/qemu:arg', argument)
  }
  return warnings
}
