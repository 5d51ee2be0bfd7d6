import { err, ok, type Result } from '../nix/result.ts'
import type { Fault } from './problem.ts'
import type { DomainValue, Entry, SetValue } from './value.ts'

/** The option of which our modules make a guest, with the guest's name between. */
export const GUESTS = ['virtualisation', 'vfio', 'guests'] as const

/** The path of the option that holds the domain of a guest. */
export function domainPath(guest: string): readonly string[] {
  return [...GUESTS, guest, 'domain']
}

/**
 * The domain in what a Nix file says: that of its one guest in `virtualisation.vfio.guests`, also in
 * `config`; or the file as a whole where it is nothing but a domain. Refused with NO_DOMAIN,
 * AMBIGUOUS_DOMAIN, and COMPUTED where a set on the way is not written out.
 */
export function findDomain(whole: DomainValue): Result<SetValue, Fault> {
  const set = written(whole)
  if (!set.ok) return set
  const config = entryOf(set.value, 'config')
  const module = config ? written(config.value) : set
  if (!module.ok) return module
  if (!config && !entryOf(set.value, GUESTS[0]) && isDomain(set.value)) return set

  let at = module.value
  for (const name of GUESTS) {
    const entry = entryOf(at, name)
    if (!entry) return err(noDomain())
    const inner = written(entry.value)
    if (!inner.ok) return inner
    at = inner.value
  }
  const found: Entry[] = []
  for (const guest of at.entries) {
    const inner = written(guest.value)
    if (!inner.ok) return inner
    const domain = entryOf(inner.value, 'domain')
    if (domain) found.push({ ...domain, name: guest.name })
  }
  const [first, second] = found
  if (!first) return err(noDomain())
  if (second) {
    const names = found.map(it => it.name).join(', ')
    return err({
      code: 'AMBIGUOUS_DOMAIN',
      message: `the file defines several guests (${names})`,
      hint: 'give each guest a file of its own',
      ...(second.range ? { range: second.range } : {})
    })
  }
  return written(first.value)
}

function noDomain(): Fault {
  return {
    code: 'NO_DOMAIN',
    message: 'the file has no virtualisation.vfio.guests.NAME.domain',
    hint: 'pass a file like the one that this prints: vfio-patch domain FILE.xml'
  }
}

function written(value: DomainValue): Result<SetValue, Fault> {
  if (value.kind === 'set') return ok(value)
  const { range } = value
  const place = range ? { range } : {}
  return value.kind === 'computed'
    ? err({ code: 'COMPUTED', message: 'this is not written out here', ...place })
    : err({ code: 'BAD_VALUE', message: 'a set ({ … }) belongs here', ...place })
}

function entryOf(set: SetValue, name: string): Entry | undefined {
  return set.entries.find(it => it.name === name)
}

// What libvirt demands of each.
function isDomain(set: SetValue): boolean {
  return entryOf(set, 'name') !== undefined && entryOf(set, 'type') !== undefined
}
