import type { NixDocument, Range, SyntaxNode } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { attrsOf, bindingsOf, elementsOf, unparenthesized } from '../nix/syntax/nodes.ts'
import { stringValue } from '../nix/syntax/strings.ts'
import { noDomain, notASet, notLiteral, severalGuests } from './messages/faults.ts'
import type { Fault } from './problem.ts'
import type { DomainValue, Entry, SetValue } from './value.ts'

/** The attribute path of the option that holds the guests by name. */
export const GUESTS_PATH = ['virtualisation', 'vfio', 'guests'] as const

/** The attribute path of the option that holds the domain of a guest. */
export function domainPath(guest: string): readonly string[] {
  return [...GUESTS_PATH, guest, 'domain']
}

/**
 * Finds the domain of the only guest in `virtualisation.vfio.guests`, which may be at the top level or in
 * `config`. A file with `name` and `type` is itself a domain. Errors: NO_DOMAIN, AMBIGUOUS_DOMAIN, and
 * COMPUTED or BAD_VALUE if a value on the attribute path is not a set.
 */
export function findDomain(file: DomainValue): Result<SetValue, Fault> {
  const set = literalSet(file)
  if (!set.ok) return set
  const config = findEntry(set.value, 'config')
  const module = config ? literalSet(config.value) : set
  if (!module.ok) return module
  if (!config && !findEntry(set.value, GUESTS_PATH[0]) && isDomain(set.value)) return set

  let at = module.value
  for (const name of GUESTS_PATH) {
    const entry = findEntry(at, name)
    if (!entry) return err(noDomain())
    const inner = literalSet(entry.value)
    if (!inner.ok) return inner
    at = inner.value
  }
  const found: Entry[] = []
  for (const guest of at.entries) {
    const inner = literalSet(guest.value)
    if (!inner.ok) return inner
    const domain = findEntry(inner.value, 'domain')
    if (domain) found.push({ ...domain, name: guest.name })
  }
  const [first, second] = found
  if (!first) return err(noDomain())
  if (second) {
    return err({ ...severalGuests(found.map(it => it.name)), range: second.range })
  }
  return literalSet(first.value)
}

function literalSet(value: DomainValue): Result<SetValue, Fault> {
  if (value.kind === 'set') return ok(value)
  const fault = value.kind === 'computed' ? notLiteral() : notASet()
  return err({ ...fault, range: value.range })
}

function findEntry(set: SetValue, name: string): Entry | undefined {
  return set.entries.find(it => it.name === name)
}

// libvirt requires both in every domain.
function isDomain(set: SetValue): boolean {
  return findEntry(set, 'name') !== undefined && findEntry(set, 'type') !== undefined
}

// ---- literal values in a Nix file; any other value becomes `computed`, which is an error only if it is used

/** The expression in a file, without the formals of a module; undefined for an empty file or a syntax error. */
export function readNix({ errors, root }: NixDocument): DomainValue | undefined {
  const expression = root.field('expression')
  return errors.length > 0 || !expression ? undefined : readNode(moduleBody(expression))
}

function moduleBody(node: SyntaxNode): SyntaxNode {
  const isWrapper = node.type === 'function_expression' || node.type === 'parenthesized_expression'
  const inner = isWrapper ? (node.field('body') ?? node.field('expression')) : undefined
  return inner ? moduleBody(inner) : node
}

function readNode(written: SyntaxNode): DomainValue {
  const node = unparenthesized(written)
  const range = rangeOf(node)
  const source = node.text
  const string = stringValue(node)
  if (string !== undefined) return { kind: 'text', text: string, range }
  switch (node.type) {
    case 'integer_expression': {
      // Integers in Nix have 64 bits.
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

/** A set to which further bindings may add. */
interface SetBuilder {
  range: Range
  entries: Map<string, AttrName & { value: DomainValue | SetBuilder }>
}

/** Reads a set. The whole set is `computed` if it has a computed name, an `inherit` or a duplicate. */
function readSet(node: SyntaxNode): DomainValue {
  const set: SetBuilder = { range: rangeOf(node), entries: new Map() }
  for (const binding of bindingsOf(node)) {
    const value = binding.field('expression')
    const names = binding.type === 'binding' ? attrNames(binding) : []
    if (!names || !value || !addBinding(set, names, readNode(value))) {
      return { kind: 'computed', range: rangeOf(binding) }
    }
  }
  return build(set)
}

/** A name in an attribute path. */
interface AttrName {
  name: string
  range: Range
}

/** The names in the attribute path of a binding; undefined if one is computed. */
function attrNames(binding: SyntaxNode): AttrName[] | undefined {
  const all = attrsOf(binding).map(node => {
    const isIdentifier = node.type === 'identifier'
    const name = isIdentifier ? node.text : stringValue(node)
    return name === undefined ? undefined : { name, range: rangeOf(node) }
  })
  return all.every(it => it !== undefined) ? all : undefined
}

/** Adds a value at an attribute path; false if the path is empty or already has a value. */
function addBinding(set: SetBuilder, names: readonly AttrName[], value: DomainValue): boolean {
  const [first, ...rest] = names
  if (!first) return false
  const { name, range } = first
  const existing = set.entries.get(name)
  if (rest.length > 0 || value.kind === 'set') {
    const inner = existing?.value ?? { range: value.range ?? range, entries: new Map() }
    if ('kind' in inner) return false
    if (!existing) set.entries.set(name, { name, value: inner, range })
    if (rest.length > 0) return addBinding(inner, rest, value)
    const { entries } = value as SetValue
    return entries.every(it =>
      addBinding(inner, [{ name: it.name, range: it.range ?? range }], it.value)
    )
  }
  if (existing) return false
  set.entries.set(name, { name, value, range })
  return true
}

function build({ range, entries }: SetBuilder): SetValue {
  const built = [...entries.values()].map(
    (it): Entry => ({ ...it, value: 'kind' in it.value ? it.value : build(it.value) })
  )
  return { kind: 'set', entries: built, range }
}
