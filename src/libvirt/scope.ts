// Namespaces: which prefixes are declared where.

import { err, ok, type Result } from '../nix/result.ts'
import type { XmlAttribute } from './tree.ts'

/** The declared prefixes and what they stand for; `''` is what names without a prefix belong to. */
export type Scope = ReadonlyMap<string, string>

const XML = 'http://www.w3.org/XML/1998/namespace'
const XMLNS = 'http://www.w3.org/2000/xmlns/'

export const TOP_SCOPE: Scope = new Map([['xml', XML]])

/** What is wrong with the prefixes of a tag; `of` is the index of an attribute, -1 for the element. */
export interface PrefixFault {
  of: number
  message: string
  hint?: string
}

/** The prefixes that are declared in an element with these attributes, inside this scope. */
export function declare(
  scope: Scope,
  attributes: readonly XmlAttribute[]
): Result<Scope, PrefixFault> {
  let inner: Map<string, string> | undefined
  for (const [of, { name, value }] of attributes.entries()) {
    const prefix = name === 'xmlns' ? '' : name.startsWith('xmlns:') ? name.slice(6) : undefined
    if (prefix === undefined) continue
    if (prefix === 'xmlns' || value === XMLNS || (prefix === 'xml') !== (value === XML)) {
      return err({ of, message: 'this prefix and this namespace belong to XML itself' })
    }
    if (prefix !== '' && value === '') {
      return err({ of, message: `the prefix "${prefix}" must stand for something` })
    }
    inner ??= new Map(scope)
    inner.set(prefix, value)
  }
  return ok(inner ?? scope)
}

/** A prefix in a tag that nothing declares, or an attribute that two prefixes give twice. */
export function findUndeclared(
  scope: Scope,
  name: string,
  attributes: readonly XmlAttribute[]
): PrefixFault | undefined {
  const fault = undeclared(scope, name, -1)
  if (fault) return fault
  const known = new Map<string, string>()
  for (const [of, attribute] of attributes.entries()) {
    const { prefix, local } = parted(attribute.name)
    if (prefix === undefined || prefix === 'xmlns') continue
    const missing = undeclared(scope, attribute.name, of)
    if (missing) return missing
    const full = `${scope.get(prefix)} ${local}`
    const other = known.get(full)
    if (other !== undefined) {
      return { of, message: `"${attribute.name}" is the same attribute as "${other}"` }
    }
    known.set(full, attribute.name)
  }
  return undefined
}

function undeclared(scope: Scope, name: string, of: number): PrefixFault | undefined {
  const { prefix } = parted(name)
  if (prefix === undefined || (scope.has(prefix) && prefix !== 'xmlns')) return undefined
  const known = KNOWN.get(prefix)
  return {
    of,
    message: `nothing says what the prefix "${prefix}" stands for`,
    ...(known === undefined ? {} : { hint: `write <domain xmlns:${prefix}='${known}' …>` })
  }
}

// libvirt drops what it takes for no namespace of its own.
const KNOWN = new Map(
  ['qemu', 'lxc', 'xen', 'bhyve'].map(it => [it, `http://libvirt.org/schemas/domain/${it}/1.0`])
)

function parted(name: string): { prefix: string | undefined; local: string } {
  const colon = name.indexOf(':')
  return colon === -1
    ? { prefix: undefined, local: name }
    : { prefix: name.slice(0, colon), local: name.slice(colon + 1) }
}
