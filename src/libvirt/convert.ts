import { err, ok, type Result } from '../nix/result.ts'
import { canonicalOf } from './canonical.ts'
import { domainPath, findDomain } from './findDomain.ts'
import { printModule } from './printNix.ts'
import { type DomainError, domainError, type Fault } from './problem.ts'
import { readNix } from './readNix.ts'
import { readXml } from './readXml.ts'
import { renderXml } from './renderXml.ts'
import { toValue } from './toValue.ts'
import { find, textOf, type XmlDocument } from './tree.ts'

/** The name of the guest, as it stands in the domain; undefined where there is none. */
export function guestName({ root }: Pick<XmlDocument, 'root'>): string | undefined {
  const name = find(root, 'name')
  const text = name && textOf(name)
  return text === undefined || text === '' ? undefined : text
}

/**
 * A NixOS module that defines the domain as `virtualisation.vfio.guests.NAME.domain`. It is read
 * back, rendered and compared with the domain first: NOT_LOSSLESS where it would not say the same.
 * A domain without a name is called `guest`.
 */
export function toNix(document: XmlDocument): Result<string, DomainError> {
  const remarks = [...document.before, ...document.after].filter(it => !isOfLibvirt(it))
  const path = domainPath(guestName(document) ?? 'guest')
  const text = printModule(path, toValue(document.root), remarks)
  const back = toXml(text)
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
 * AMBIGUOUS_DOMAIN, COMPUTED and BAD_VALUE. The text must be Nix; what is not has no domain.
 */
export function toXml(text: string): Result<string, DomainError> {
  const whole = readNix(text)
  const refuse = (fault: Fault) => err(domainError(text, fault))
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
