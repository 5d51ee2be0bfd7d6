import type { NixDocument, Range, SyntaxNode } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { attrsOf, bindingsOf, elementsOf, unparenthesised } from '../nix/syntax/nodes.ts'
import { stringValue } from '../nix/syntax/strings.ts'
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
  const config = findEntry(set.value, 'config')
  const module = config ? written(config.value) : set
  if (!module.ok) return module
  if (!config && !findEntry(set.value, GUESTS[0]) && isDomain(set.value)) return set

  let at = module.value
  for (const name of GUESTS) {
    const entry = findEntry(at, name)
    if (!entry) return err(noDomain())
    const inner = written(entry.value)
    if (!inner.ok) return inner
    at = inner.value
  }
  const found: Entry[] = []
  for (const guest of at.entries) {
    const inner = written(guest.value)
    if (!inner.ok) return inner
    const domain = findEntry(inner.value, 'domain')
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

function findEntry(set: SetValue, name: string): Entry | undefined {
  return set.entries.find(it => it.name === name)
}

// What libvirt demands of each.
function isDomain(set: SetValue): boolean {
  return findEntry(set, 'name') !== undefined && findEntry(set, 'type') !== undefined
}

// Reads what is written out in a Nix file. What would have to be computed is marked, and is a fault
// only where it is asked for.

/** The expression in a file, arguments of a module left out; undefined for a file that is no Nix. */
export function readNix({ errors, root }: NixDocument): DomainValue | undefined {
  const whole = root.field('expression')
  return errors.length > 0 || !whole ? undefined : readNode(moduleBody(whole))
}

function moduleBody(node: SyntaxNode): SyntaxNode {
  const isWrapper = node.type === 'function_expression' || node.type === 'parenthesized_expression'
  const inner = isWrapper ? (node.field('body') ?? node.field('expression')) : undefined
  return inner ? moduleBody(inner) : node
}

function readNode(written: SyntaxNode): DomainValue {
  const node = unparenthesised(written)
  const range = rangeOf(node)
  const source = node.text
  const string = stringValue(node)
  if (string !== undefined) return { kind: 'text', text: string, range }
  switch (node.type) {
    case 'integer_expression': {
      // As Nix counts, in 64 bits.
      const number = BigInt(source)
      return number < 2n ** 63n
        ? { kind: 'text', text: String(number), range }
        : { kind: 'computed', range }
    }
    case 'float_expression':
      return { kind: 'float', range }
    case 'variable_expression':
      if (source === 'null') return { kind: 'null', range }
      return { kind: source === 'true' || source === 'false' ? 'boolean' : 'computed', range }
    case 'list_expression':
      return {
        kind: 'list',
        items: elementsOf(node).map(it => ({ value: readNode(it) })),
        range
      }
    case 'attrset_expression':
    case 'rec_attrset_expression':
      return readSet(node)
    default:
      return { kind: 'computed', range }
  }
}

function rangeOf({ start, end }: SyntaxNode): Range {
  return { start, end }
}

/** A set to which more bindings may be added. */
interface Growing {
  range: Range
  entries: Map<string, AttrName & { value: DomainValue | Growing }>
}

/** A set; computed names and inherits make all of it computed. */
function readSet(node: SyntaxNode): DomainValue {
  const all: Growing = { range: rangeOf(node), entries: new Map() }
  for (const binding of bindingsOf(node)) {
    const value = binding.field('expression')
    const names = binding.type === 'binding' ? attrNames(binding) : []
    if (!names || !value || !grow(all, names, readNode(value))) {
      return { kind: 'computed', range: rangeOf(binding) }
    }
  }
  return finished(all)
}

/** A name in an attribute path, and where it is. */
interface AttrName {
  name: string
  range: Range
}

/** The names in the attribute path of a binding; undefined where one is written as `${…}`. */
function attrNames(binding: SyntaxNode): AttrName[] | undefined {
  const all = attrsOf(binding).map(node => {
    const isIdentifier = node.type === 'identifier'
    const name = isIdentifier ? node.text : stringValue(node)
    return name === undefined ? undefined : { name, range: rangeOf(node) }
  })
  return all.every(it => it !== undefined) ? all : undefined
}

/** Adds a value under a path of names; false where there is no name, or another value is there. */
function grow(set: Growing, names: readonly AttrName[], value: DomainValue): boolean {
  const [first, ...rest] = names
  if (!first) return false
  const { name, range } = first
  const known = set.entries.get(name)
  if (rest.length > 0 || value.kind === 'set') {
    const inner = known?.value ?? { range: value.range ?? range, entries: new Map() }
    if ('kind' in inner) return false
    if (!known) set.entries.set(name, { name, value: inner, range })
    if (rest.length > 0) return grow(inner, rest, value)
    const { entries } = value as SetValue
    return entries.every(it => grow(inner, [{ name: it.name, range: it.range ?? range }], it.value))
  }
  if (known) return false
  set.entries.set(name, { name, value, range })
  return true
}

function finished({ range, entries }: Growing): SetValue {
  const all = [...entries.values()].map(
    (it): Entry => ({ ...it, value: 'kind' in it.value ? it.value : finished(it.value) })
  )
  return { kind: 'set', entries: all, range }
}
