import { findDomain } from './findDomain.ts'
import { readNix } from './readNix.ts'
import type { DomainValue } from './value.ts'

/** What libvirt and the guest know a guest by, as far as a Nix file writes it out. */
export interface Identity {
  uuid: string | undefined
  /** The addresses of the network cards, in their order. */
  macs: readonly (string | undefined)[]
}

/** The identity of the guest in a Nix file; nothing is known where the file has none, or several. */
export function readIdentity(text: string): Identity {
  const whole = readNix(text)
  const domain = whole && findDomain(whole)
  if (!domain?.ok) return { uuid: undefined, macs: [] }
  const cards = at(at(domain.value, 'devices'), 'interface')
  const items = cards?.kind === 'list' ? cards.items.map(it => it.value) : cards ? [cards] : []
  return {
    uuid: textIn(at(domain.value, 'uuid')),
    macs: items.map(it => textIn(at(at(it, 'mac'), 'address')))
  }
}

function at(value: DomainValue | undefined, name: string): DomainValue | undefined {
  return value?.kind === 'set' ? value.entries.find(it => it.name === name)?.value : undefined
}

function textIn(value: DomainValue | undefined): string | undefined {
  const inner = value?.kind === 'set' ? at(value, '_text') : value
  return inner?.kind === 'text' ? inner.text : undefined
}
