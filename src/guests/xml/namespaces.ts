// Checks the namespace prefixes of a start tag.

import { err, ok, type Result } from '../../nix/result.ts'
import {
  emptyNamespace,
  type FaultText,
  RESERVED_NAMESPACE,
  sameAttribute,
  undeclaredPrefix
} from './messages.ts'
import type { XmlAttribute } from './tree.ts'

/** The namespaces of the declared prefixes; `''` is the default namespace. */
export type Scope = ReadonlyMap<string, string>

const XML = 'http://www.w3.org/XML/1998/namespace'
const XMLNS = 'http://www.w3.org/2000/xmlns/'

/** The scope around the root. */
export const TOP_SCOPE: Scope = new Map([['xml', XML]])

/** A fault of a prefix. `index` is that of the attribute, or -1 for the element itself. */
interface PrefixFault {
  index: number
  fault: FaultText
}

/** The scope inside an element, or the fault of the first wrong prefix in its start tag. */
export function scopeInside(
  scope: Scope,
  name: string,
  attributes: readonly XmlAttribute[]
): Result<Scope, PrefixFault> {
  const inner = declare(scope, attributes)
  if (!inner.ok) return inner
  const fault = findPrefixFault(inner.value, name, attributes)
  return fault ? err(fault) : inner
}

function declare(scope: Scope, attributes: readonly XmlAttribute[]): Result<Scope, PrefixFault> {
  let inner: Map<string, string> | undefined
  for (const [index, { name, value }] of attributes.entries()) {
    const prefix = name === 'xmlns' ? '' : name.startsWith('xmlns:') ? name.slice(6) : undefined
    if (prefix === undefined) continue
    if (prefix === 'xmlns' || value === XMLNS || (prefix === 'xml') !== (value === XML)) {
      return err({ index, fault: RESERVED_NAMESPACE })
    }
    if (prefix !== '' && value === '') return err({ index, fault: emptyNamespace(prefix) })
    inner ??= new Map(scope)
    inner.set(prefix, value)
  }
  return ok(inner ?? scope)
}

/** Finds an undeclared prefix, or an attribute that is repeated under another prefix of the same namespace. */
function findPrefixFault(
  scope: Scope,
  name: string,
  attributes: readonly XmlAttribute[]
): PrefixFault | undefined {
  const element = splitName(name).prefix
  if (element !== undefined && !isDeclared(scope, element)) {
    return { index: -1, fault: undeclaredPrefix(element) }
  }
  const known = new Map<string, string>()
  for (const [index, attribute] of attributes.entries()) {
    const { prefix, local } = splitName(attribute.name)
    if (prefix === undefined || prefix === 'xmlns') continue
    if (!isDeclared(scope, prefix)) return { index, fault: undeclaredPrefix(prefix) }
    const full = `${scope.get(prefix)} ${local}`
    const other = known.get(full)
    if (other !== undefined) return { index, fault: sameAttribute(attribute.name, other) }
    known.set(full, attribute.name)
  }
  return undefined
}

function isDeclared(scope: Scope, prefix: string): boolean {
  return scope.has(prefix) && prefix !== 'xmlns'
}

function splitName(name: string): { prefix: string | undefined; local: string } {
  const [, prefix, local = name] = /^([^:]*):(.*)$/s.exec(name) ?? []
  return { prefix, local }
}
