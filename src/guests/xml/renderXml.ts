// The XML of a domain from its data in Nix. `nixos/_lib/domain.nix` does the same at build time.

import type { Range } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
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
 * The XML of a domain, ending in a line end. Attributes and children stand in the order of the
 * tables, what is null is left out. Refused with COMPUTED for what has to be computed and BAD_VALUE
 * for what can't stand in XML, both with the path and, where it was read from a file, the place.
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
  if (!isXmlName(name))
    return refuseValue(path, value.range, `"${name}" can not be the name of an element`)
  const margin = indent ?? ''
  const text = textResult(value, path)
  if (text) return text.ok ? ok(`${margin}<${name}>${escapeText(text.value)}</${name}>`) : text
  if (value.kind !== 'set') return refuseValue(path, value.range, 'a list can not stand here')
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

/** What is a text, or can't be anything: undefined for sets and lists. */
function textResult(
  value: DomainValue,
  path: readonly string[]
): Result<string, Fault> | undefined {
  switch (value.kind) {
    case 'text':
      return findForbidden(value.text) === -1
        ? ok(value.text)
        : refuseValue(path, value.range, 'a control character can not stand in XML')
    case 'boolean':
      return refuseValue(
        path,
        value.range,
        'true and false have several spellings in a domain',
        'write the one that libvirt wants here: "yes" or "no", "on" or "off"'
      )
    case 'float':
      return refuseValue(
        path,
        value.range,
        'a number with a point can not stand here',
        'put it in quotes'
      )
    case 'computed':
      return notWrittenOut(value, path)
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
      const text = textResult(value, at) ?? refuseValue(at, range, 'a text belongs here')
      if (!text.ok) return text
      parts.text = text.value
    } else if (key === CHILDREN) {
      if (value.kind !== 'list') return misplaced(value, at, 'a list belongs here', range)
      parts.ordered = value
    } else if (key === ATTRIBUTES) {
      if (value.kind !== 'set') return misplaced(value, at, 'a set ({ … }) belongs here', range)
      for (const it of value.entries) {
        const added = addAttribute(parts, it, [...at, it.name])
        if (!added.ok) return added
      }
    } else if (isReserved(key)) {
      const hint = `names that begin with "_" are ${ATTRIBUTES}, ${TEXT} and ${CHILDREN}`
      return refuseValue(at, range, `there is no "${key}"`, hint)
    } else if (value.kind === 'set' || value.kind === 'list' || isTextChild(name, key)) {
      parts.children.set(key, value)
    } else {
      const added = addAttribute(parts, { name: key, value, range }, at)
      if (!added.ok) return added
    }
  }
  const { text, ordered, children } = parts
  if ([text !== undefined, ordered !== undefined, children.size > 0].filter(it => it).length > 1) {
    const hint = `an element has either a text, or children, or both in one ${CHILDREN}`
    return refuseValue(
      path,
      set.range,
      `${TEXT}, ${CHILDREN} and children do not go together`,
      hint
    )
  }
  return ok(parts)
}

function addAttribute(
  { attributes }: Parts,
  { name, value, range }: { name: string; value: DomainValue; range?: Range | undefined },
  path: readonly string[]
): Result<undefined, Fault> {
  if (value.kind === 'null') return ok(undefined)
  const text = textResult(value, path) ?? refuseValue(path, range, 'a text belongs here')
  if (!text.ok) return text
  if (!isXmlName(name))
    return refuseValue(path, range, `"${name}" can not be the name of an attribute`)
  if (attributes.has(name)) return refuseValue(path, range, `"${name}" stands here twice`)
  attributes.set(name, text.value)
  return ok(undefined)
}

/** The pieces of what an element holds, each a line of its own if `indent` is not null. */
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
      if (!only || more) {
        return refuseValue(
          at,
          value.range,
          'a text belongs here, or a set with the name of one child'
        )
      }
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

/** What is wrong with a value that is no list or set, where one belongs. */
function misplaced(
  value: DomainValue,
  path: readonly string[],
  what: string,
  range?: Range
): Result<never, Fault> {
  return value.kind === 'computed' ? notWrittenOut(value, path) : refuseValue(path, range, what)
}

function notWrittenOut({ range }: DomainValue, path: readonly string[]): Result<never, Fault> {
  const message = `${formatValuePath(path)} is not written out here`
  return err({ code: 'COMPUTED', message, range })
}

function refuseValue(
  path: readonly string[],
  range: Range | undefined,
  what: string,
  hint?: string
): Result<never, Fault> {
  return err({ code: 'BAD_VALUE', message: `${formatValuePath(path)}: ${what}`, hint, range })
}

/** A path as people point at it: `domain.devices.disk[0].target`, counted from 0 as Nix does. */
function formatValuePath(path: readonly string[]): string {
  return path
    .map((it, i) => (i > 0 && /^\d+$/.test(it) ? `[${it}]` : `${i > 0 ? '.' : ''}${it}`))
    .join('')
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
