import { canonicalOfValue, expr, type NixDocument, type SyntaxNode } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { Fault, Range } from './problem.ts'
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

function readNode(node: SyntaxNode): DomainValue {
  const range: Range = { start: node.start, end: node.end }
  const source = node.text
  switch (node.type) {
    case 'parenthesized_expression': {
      const inner = node.field('expression')
      return inner ? readNode(inner) : { kind: 'computed', range }
    }
    case 'string_expression':
    case 'indented_string_expression': {
      const string = literalString(node)
      return string === undefined
        ? { kind: 'computed', range }
        : { kind: 'text', text: string, range }
    }
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
        items: namedNodes(node.children).map(it => ({ value: readNode(it) })),
        range
      }
    case 'attrset_expression':
    case 'rec_attrset_expression':
      return readSet(node)
    default:
      return { kind: 'computed', range }
  }
}

/** The parts of a node without tokens and comments. */
function namedNodes(nodes: readonly SyntaxNode[]): SyntaxNode[] {
  return nodes.filter(it => it.isNamed && it.type !== 'comment')
}

function literalString(node: SyntaxNode): string | undefined {
  const source = node.text
  if (node.children.some(it => it.type === 'interpolation')) return undefined
  if (node.type === 'string_expression' && !/[\\\r\n]/.test(source)) return source.slice(1, -1)
  const canonical = canonicalOfValue(expr(source))
  return canonical === undefined ? undefined : (JSON.parse(canonical) as string)
}

interface Growing {
  range: Range
  entries: Map<string, { name: string; value: DomainValue | Growing; range: Range }>
}

/** A set; undefined names and inherits make all of it computed. */
function readSet(node: SyntaxNode): DomainValue {
  const range = { start: node.start, end: node.end }
  const all: Growing = { range, entries: new Map() }
  const bindings = node.children.find(it => it.type === 'binding_set')
  for (const binding of bindings ? namedNodes(bindings.children) : []) {
    const value = binding.field('expression')
    const names = binding.type === 'binding' ? attrNames(binding) : undefined
    if (!names || !value || !grow(all, names, readNode(value))) {
      return { kind: 'computed', range: { start: binding.start, end: binding.end } }
    }
  }
  return finished(all)
}

function attrNames(binding: SyntaxNode): { name: string; range: Range }[] | undefined {
  const attrpath = binding.field('attrpath')
  const names = attrpath ? namedNodes(attrpath.children) : []
  const all = names.map(node => {
    const source = node.text
    const isString = node.type === 'string_expression'
    const name = node.type === 'identifier' ? source : isString ? literalString(node) : undefined
    return { name, range: { start: node.start, end: node.end } }
  })
  return all.length > 0 &&
    all.every((it): it is { name: string; range: Range } => it.name !== undefined)
    ? all
    : undefined
}

/** Puts a value where its names lead; false where something else stands there. */
function grow(
  set: Growing,
  names: readonly { name: string; range: Range }[],
  value: DomainValue
): boolean {
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
