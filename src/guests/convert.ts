import { type NixDocument, parseDocument } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
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
  find,
  findAll,
  textContent,
  type XmlDocument,
  type XmlElement
} from './xml/tree.ts'

/** The name of the guest, as it stands in the domain; undefined where there is none. */
export function guestName({ root }: Pick<XmlDocument, 'root'>): string | undefined {
  const name = find(root, 'name')
  const text = name && textContent(name)
  return text === undefined || text === '' ? undefined : text
}

/**
 * A NixOS module that defines the domain as `virtualisation.vfio.guests.NAME.domain`. It is read
 * back, rendered and compared with the domain first: NOT_LOSSLESS where it would not say the same.
 * A domain without a name is called `guest`.
 */
export function toNix(document: XmlDocument): Result<string, DomainError> {
  const comments = [...document.before, ...document.after].filter(it => !isOfLibvirt(it))
  const path = domainPath(guestName(document) ?? 'guest')
  const text = printModule(path, toValue(document.root), comments)
  const back = toXml(parseDocument(text))
  if (!back.ok)
    return err(notLossless(`what was made of it can not be read: ${back.error.message}`))
  const again = readXml(back.value)
  if (!again.ok) return err(notLossless(`its XML can not be read: ${again.error.message}`))
  return canonicalOf(again.value.root) === canonicalOf(document.root)
    ? ok(text)
    : err(notLossless('what was made of it says something else'))
}

/**
 * The XML of the domain that a Nix file holds, as far as it is written out. Refused with NO_DOMAIN,
 * AMBIGUOUS_DOMAIN, COMPUTED and BAD_VALUE. A document with errors has no domain.
 */
export function toXml(doc: NixDocument): Result<string, DomainError> {
  const whole = readNix(doc)
  const refuse = (fault: Fault) => err(domainError(doc.text, fault))
  if (!whole) return refuse({ code: 'NO_DOMAIN', message: 'this is not Nix' })
  const domain = findDomain(whole)
  if (!domain.ok) return refuse(domain.error)
  const xml = renderXml(domain.value)
  return xml.ok ? xml : refuse(xml.error)
}

function notLossless(message: string): DomainError {
  return domainError('', { code: 'NOT_LOSSLESS', message })
}

// It says that the file is not to be edited, which is not so for what is made from it.
function isOfLibvirt(comment: string): boolean {
  return comment.includes('THIS IS AN AUTO-GENERATED FILE')
}

/** What libvirt and the guest know a guest by, as far as a Nix file writes it out. */
interface Identity {
  uuid: string | undefined
  /** The addresses of the network cards, in their order. */
  macs: readonly (string | undefined)[]
}

/** The identity of the guest in a Nix file; nothing is known where the file has none, or several. */
export function readIdentity(doc: NixDocument): Identity {
  const whole = readNix(doc)
  const domain = whole && findDomain(whole)
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

/** What a person should know of a domain that goes into a configuration: passwords, a running guest. */
export function warningsOn(root: XmlElement): Warning[] {
  const warnings: Warning[] = []
  const tell = (code: Warning['code'], path: string, what: string, { start }: XmlElement) =>
    warnings.push({ code, path, what, ...(start === undefined ? {} : { start }) })
  if (attributeOf(root, 'id') !== undefined) {
    const what =
      'the guest was running when this was written, so it holds what only that run needs; better: virsh dumpxml --inactive NAME'
    tell('RUNNING', '', what, root)
  }
  const open = 'everybody can read the Nix store, so a password must not get there'
  for (const { element, path } of elementsBelow(root)) {
    const passwd = attributeOf(element, 'passwd') ?? ''
    if (passwd === '' && element.name !== 'cookie') continue
    tell('PASSWORD', path, `there is a password here: ${open}`, element)
  }
  for (const argument of findAll(root, 'qemu:commandline', 'qemu:arg')) {
    const value = attributeOf(argument, 'value') ?? ''
    const isSecret = /(^|[,"])(password|passwd)("?\s*[:=])(?!off\b|on\b)/.test(value)
    const isObject = /^secret,.*\bdata=|"qom-type"\s*:\s*"secret".*"data"/.test(value)
    if (!isSecret && !isObject) continue
    tell('PASSWORD', 'qemu:commandline/qemu:arg', `there is a password here: ${open}`, argument)
  }
  return warnings
}
