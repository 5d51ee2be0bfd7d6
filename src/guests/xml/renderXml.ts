// Renders the XML of a domain from its data in Nix, as `nixos/_lib/domain.nix` does at build time.

import type { Range } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import {
  attributeSetTwice,
  badAttributeName,
  badElementName,
  booleanNotAllowed,
  characterNotAllowed,
  contentMixed,
  floatNotAllowed,
  listNotAllowed,
  notAChild,
  notAList,
  notASet,
  notAString,
  notLiteral,
  unknownReservedName
} from '../messages/faults.ts'
import type { Fault } from '../problem.ts'
import { attributesInOrder, childrenInOrder, isTextChild } from '../tables.ts'
import {
  ATTRIBUTES,
  CHILDREN,
  type DomainValue,
  isReserved,
  type SetValue,
  TEXT
} from '../value.ts'
import { findForbidden, isXmlName } from './tree.ts'

/**
 * The XML of a domain, ending in a newline. Attributes and children are in the order of the tables, and `null`
 * is left out. Errors, with the path and, if known, the range: COMPUTED for a value that is not a literal, and
 * BAD_VALUE for a value that can't be written as XML.
 */
export function renderXml(domain: SetValue): Result<string, Fault> {
  const xml = renderElement('domain', domain, '', ['domain'])
  return xml.ok ? ok(`${xml.value}\n`) : xml
}

interface Parts {
  attributes: Map<string, string>
  children: Map<string, DomainValue>
  text: string | undefined
  ordered: DomainValue | undefined
}

function renderElement(
  name: string,
  value: DomainValue,
  indent: string | null,
  path: readonly string[]
): Result<string, Fault> {
  if (!isXmlName(name)) return refuse(badElementName(path, name), value.range)
  const margin = indent ?? ''
  const text = textResult(value, path)
  if (text) return text.ok ? ok(`${margin}<${name}>${escapeText(text.value)}</${name}>`) : text
  if (value.kind !== 'set') return refuse(listNotAllowed(path), value.range)
  const parts = elementParts(name, value, path)
  if (!parts.ok) return parts
  const { attributes, ordered } = parts.value
  const tag = attributesInOrder([...attributes.keys()])
    .map(key => ` ${key}='${escapeValue(attributes.get(key) ?? '')}'`)
    .join('')
  const isMixed = isMixedContent(ordered)
  const inner = indent === null || isMixed ? null : `${indent}  `
  const content = renderContent(name, parts.value, inner, path)
  if (!content.ok) return content
  const open = `${margin}<${name}${tag}`
  if (content.value.length === 0) return ok(`${open}/>`)
  if (parts.value.text !== undefined || inner === null) {
    return ok(`${open}>${content.value.join('')}</${name}>`)
  }
  return ok([`${open}>`, ...content.value, `${margin}</${name}>`].join('\n'))
}

/** The text of a string, or an error for any other single value; undefined for sets and lists. */
function textResult(
  value: DomainValue,
  path: readonly string[]
): Result<string, Fault> | undefined {
  switch (value.kind) {
    case 'text':
      return findForbidden(value.text) === -1
        ? ok(value.text)
        : refuse(characterNotAllowed(path), value.range)
    case 'boolean':
      return refuse(booleanNotAllowed(path), value.range)
    case 'float':
      return refuse(floatNotAllowed(path), value.range)
    case 'computed':
      return refuse(notLiteral(path), value.range)
    default:
      return undefined
  }
}

function elementParts(name: string, set: SetValue, path: readonly string[]): Result<Parts, Fault> {
  const parts: Parts = {
    attributes: new Map(),
    children: new Map(),
    text: undefined,
    ordered: undefined
  }
  for (const { name: key, value, range = value.range } of set.entries) {
    const at = [...path, key]
    if (value.kind === 'null') continue
    if (key === TEXT) {
      const text = textResult(value, at) ?? refuse(notAString(at), range)
      if (!text.ok) return text
      parts.text = text.value
    } else if (key === CHILDREN) {
      if (value.kind !== 'list') return misplaced(value, at, notAList(at), range)
      parts.ordered = value
    } else if (key === ATTRIBUTES) {
      if (value.kind !== 'set') return misplaced(value, at, notASet(at), range)
      for (const it of value.entries) {
        const added = addAttribute(parts, it, [...at, it.name])
        if (!added.ok) return added
      }
    } else if (isReserved(key)) {
      return refuse(unknownReservedName(at, key), range)
    } else if (value.kind === 'set' || value.kind === 'list' || isTextChild(name, key)) {
      parts.children.set(key, value)
    } else {
      const added = addAttribute(parts, { name: key, value, range }, at)
      if (!added.ok) return added
    }
  }
  const { text, ordered, children } = parts
  if ([text !== undefined, ordered !== undefined, children.size > 0].filter(it => it).length > 1) {
    return refuse(contentMixed(path), set.range)
  }
  return ok(parts)
}

function addAttribute(
  { attributes }: Parts,
  { name, value, range }: { name: string; value: DomainValue; range?: Range | undefined },
  path: readonly string[]
): Result<undefined, Fault> {
  if (value.kind === 'null') return ok(undefined)
  const text = textResult(value, path) ?? refuse(notAString(path), range)
  if (!text.ok) return text
  if (!isXmlName(name)) return refuse(badAttributeName(path, name), range)
  if (attributes.has(name)) return refuse(attributeSetTwice(path, name), range)
  attributes.set(name, text.value)
  return ok(undefined)
}

/** The content of an element in pieces, each on its own line unless `indent` is null. */
function renderContent(
  name: string,
  { text, ordered, children }: Parts,
  indent: string | null,
  path: readonly string[]
): Result<string[], Fault> {
  if (text !== undefined) return ok(text === '' ? [] : [escapeText(text)])
  const pieces: string[] = []
  if (ordered?.kind === 'list') {
    for (const [i, { value }] of ordered.items.entries()) {
      const at = [...path, CHILDREN, String(i)]
      const string = textResult(value, at)
      if (string && !string.ok) return string
      if (string) {
        pieces.push(escapeText(string.value))
        continue
      }
      const [only, more] = value.kind === 'set' ? value.entries : []
      if (!only || more) return refuse(notAChild(at), value.range)
      const piece = renderElement(only.name, only.value, indent, [...at, only.name])
      if (!piece.ok) return piece
      pieces.push(piece.value)
    }
    return ok(pieces)
  }
  for (const key of childrenInOrder(name, [...children.keys()])) {
    const value = children.get(key)
    if (!value) continue
    const all = value.kind === 'list' ? value.items.map(it => it.value) : [value]
    for (const [i, it] of all.entries()) {
      if (it.kind === 'null') continue
      const at = value.kind === 'list' ? [...path, key, String(i)] : [...path, key]
      const piece = renderElement(key, it, indent, at)
      if (!piece.ok) return piece
      pieces.push(piece.value)
    }
  }
  return ok(pieces)
}

function isMixedContent(ordered: DomainValue | undefined): boolean {
  return ordered?.kind === 'list' && ordered.items.some(it => it.value.kind === 'text')
}

/** The error for a value of the wrong kind: COMPUTED if the value is not a literal, otherwise `fault`. */
function misplaced(
  value: DomainValue,
  path: readonly string[],
  fault: Fault,
  range?: Range
): Result<never, Fault> {
  return value.kind === 'computed' ? refuse(notLiteral(path), value.range) : refuse(fault, range)
}

function refuse(fault: Fault, range: Range | undefined): Result<never, Fault> {
  return err({ ...fault, range })
}

const ESCAPES: Record<string, string> = {
  ...{ '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&apos;' },
  ...{ '\r': '&#13;', '\n': '&#10;', '\t': '&#9;' }
}

function escapeText(text: string): string {
  return text.replace(/[&<>\r]/g, it => ESCAPES[it] ?? it)
}

function escapeValue(text: string): string {
  return text.replace(/[&<>'\r\n\t]/g, it => ESCAPES[it] ?? it)
}
