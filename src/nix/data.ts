// Plain JavaScript data of an expression, as far as the text of the file shows it.

import type { NixError } from './errors.ts'
import { type NotDataCode, notDataMessage } from './messages/data.ts'
import { unwrapped } from './module/module.ts'
import { err, ok, type Result } from './result.ts'
import { isStackOverflow } from './stackOverflow.ts'
import { findDuplicate } from './syntax/duplicates.ts'
import { bindingsOf, elementsOf, inheritedOf, isSet, nameOf, namesOf } from './syntax/nodes.ts'
import { binderOf, bindingsFor } from './syntax/scope.ts'
import { interpolatedValue } from './syntax/strings.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import { type Place, placeOf } from './text/lines.ts'
import { visibleLine } from './text/visible.ts'

/** A value as JSON has it. */
export type PlainValue =
  | null
  | boolean
  | number
  | string
  | PlainValue[]
  | { [name: string]: PlainValue }

/** Why an expression is not plain data. */
export interface NotData {
  code: NotDataCode
  /** One sentence without a period. */
  message: string
  /** The innermost expression at fault. */
  node: SyntaxNode
  /** The place of the node. */
  at: Place
}

/** What `toJS` reads: a document, a node, or a definition or leaf. */
export type DataSource =
  | SyntaxNode
  | { readonly value: SyntaxNode }
  | { readonly root: SyntaxNode; readonly errors: readonly NixError[] }

/**
 * The value of an expression as plain data: null, a boolean, a number, a string, an array or an object.
 * If a part of it is something else, the innermost expression at fault and a code.
 *
 * A variable has the value of its binding in a `let` or `rec` set around it, if that is plain data, and
 * so has an interpolation. Nothing else is evaluated: not `//`, `++`, `if`, calls or selections. The
 * value of a `let`, `with` or `assert` is that of its body. Integers and floats become numbers,
 * attributes keep the order of the file, and dotted attributes are nested.
 */
export function toJS(from: DataSource): Result<PlainValue, NotData> {
  const node = 'root' in from ? from.root : 'value' in from ? from.value : from
  try {
    const [fault] = 'errors' in from ? from.errors : []
    if (fault) return refuse(node, 'SYNTAX')
    return read(node, { known: new Map() })
  } catch (error) {
    if (!isStackOverflow(error)) throw error
    return refuse(node, 'TOO_DEEP')
  }
}

type Read = Result<PlainValue, NotData>

/** The values that variables stand for, by the place of their expression; undefined while it is read. */
interface Reading {
  known: Map<string, Read | undefined>
}

function refuse(node: SyntaxNode, code: NotDataCode): { ok: false; error: NotData } {
  const at = placeOf(node.documentText, node.start)
  const shown = visibleLine(node.text.slice(0, 1000).replace(/\s+/g, ' '))
  return err({ code, message: notDataMessage(code, shown), node, at })
}

function read(node: SyntaxNode, reading: Reading): Read {
  const inner = unwrapped(node.type === 'source_code' ? (node.field('expression') ?? node) : node)
  switch (inner.type) {
    case 'integer_expression':
    case 'float_expression':
      return readNumber(inner, inner.text, 1)
    case 'unary_expression':
      return readNegative(inner)
    case 'string_expression':
    case 'indented_string_expression':
      return readString(inner, reading)
    case 'uri_expression':
      return ok(inner.text)
    case 'list_expression':
      return readList(inner, reading)
    case 'attrset_expression':
    case 'rec_attrset_expression':
      return readSet(inner, reading)
    case 'variable_expression':
    case 'identifier':
      return readVariable(inner, reading)
    default:
      return refuse(inner, codeOf(inner))
  }
}

function codeOf({ type }: SyntaxNode): NotDataCode {
  if (type === 'select_expression') return 'VARIABLE'
  if (type === 'apply_expression') return 'CALL'
  if (type === 'function_expression') return 'FUNCTION'
  if (/path_expression$/.test(type)) return 'PATH'
  return /_expression$/.test(type) ? 'COMPUTED_VALUE' : 'SYNTAX'
}

function readNumber(node: SyntaxNode, source: string, sign: 1 | -1): Read {
  const value = Number(source)
  const isExact =
    node.type === 'integer_expression' ? Number.isSafeInteger(value) : Number.isFinite(value)
  // Not -0, which JSON does not have.
  return isExact ? ok(sign === 1 || value === 0 ? value : -value) : refuse(node, 'NUMBER')
}

function readNegative(node: SyntaxNode): Read {
  const argument = node.field('argument')
  const inner = argument && unwrapped(argument)
  const isNumber = inner && /^(?:integer|float)_expression$/.test(inner.type)
  const isNegation = node.field('operator')?.type === '-'
  return isNumber && isNegation ? readNumber(inner, inner.text, -1) : refuse(node, 'COMPUTED_VALUE')
}

const LONGEST = 10_000_000

function readString(node: SyntaxNode, reading: Reading): Read {
  const values: string[] = []
  for (const child of node.children) {
    const expression = child.type === 'interpolation' ? child.field('expression') : undefined
    if (!expression) continue
    const value = read(expression, reading)
    if (!value.ok || typeof value.value !== 'string') return refuse(child, 'INTERPOLATION')
    values.push(value.value)
  }
  const length = values.reduce((sum, it) => sum + it.length, node.end - node.start)
  return length > LONGEST ? refuse(node, 'TOO_DEEP') : ok(interpolatedValue(node, values))
}

function readList(list: SyntaxNode, reading: Reading): Read {
  const items: PlainValue[] = []
  for (const element of elementsOf(list)) {
    const item = read(element, reading)
    if (!item.ok) return item
    items.push(item.value)
  }
  return ok(items)
}

/** A set as a tree, to which several bindings may add attributes. */
class Attributes extends Map<string, Attributes | PlainValue> {
  /** Whether a `rec` set is a part of it: Nix reads what other bindings add to that inside it. */
  isRecursive = false
}

function readSet(set: SyntaxNode, reading: Reading): Read {
  const duplicate = findDuplicate(set, [])
  if (duplicate) return refuse(duplicate, 'DUPLICATE_ATTRIBUTE')
  const attributes = new Attributes()
  const fault = addAttributes(attributes, set, reading)
  return fault ?? ok(objectOf(attributes))
}

/** Adds the attributes of a set literal, or returns why one is not plain data. */
function addAttributes(
  to: Attributes,
  set: SyntaxNode,
  reading: Reading
): ReturnType<typeof refuse> | undefined {
  for (const binding of bindingsOf(set)) {
    const value = binding.field('expression')
    if (binding.type !== 'binding' || !value) {
      for (const attr of inheritedOf(binding)) {
        const name = nameOf(attr)
        const inherited = readInherited(binding, attr, reading)
        if (!inherited.ok) return inherited
        if (name === undefined) return refuse(attr, 'DYNAMIC_ATTRIBUTE')
        to.set(name, inherited.value)
      }
      continue
    }
    const names = namesOf(binding)
    const computed = names.indexOf(undefined)
    const attrpath = binding.field('attrpath')
    if (computed !== -1 || !attrpath) return refuse(attrpath ?? binding, 'DYNAMIC_ATTRIBUTE')
    const fault = addAttribute(to, names as string[], value, reading)
    if (fault) return fault
  }
  return undefined
}

function addAttribute(
  to: Attributes,
  names: readonly string[],
  value: SyntaxNode,
  reading: Reading
): ReturnType<typeof refuse> | undefined {
  let at = to
  for (const name of names.slice(0, -1)) {
    at = setIn(at, name)
    if (at.isRecursive) return refuse(value, 'COMPUTED_VALUE')
  }
  const last = names.at(-1) ?? ''
  const inner = unwrapped(value)
  // Nix merges sets that are written out.
  if (isSet(inner)) {
    const attributes = setIn(at, last)
    const isRecursive = inner.type === 'rec_attrset_expression'
    const isMerged = attributes.size > 0 && (isRecursive || attributes.isRecursive)
    if (isMerged) return refuse(value, 'COMPUTED_VALUE')
    attributes.isRecursive = isRecursive
    return addAttributes(attributes, inner, reading)
  }
  const plain = read(value, reading)
  if (!plain.ok) return plain
  at.set(last, plain.value)
  return undefined
}

function setIn(attributes: Attributes, name: string): Attributes {
  const existing = attributes.get(name)
  if (existing instanceof Attributes) return existing
  const inner = new Attributes()
  attributes.set(name, inner)
  return inner
}

function objectOf(attributes: Attributes): { [name: string]: PlainValue } {
  return Object.fromEntries(
    [...attributes].map(([name, it]) => [name, it instanceof Attributes ? objectOf(it) : it])
  )
}

/** The value of a name in an `inherit`, which is a variable of the code around the set. */
function readInherited(inherit: SyntaxNode, name: SyntaxNode, reading: Reading): Read {
  if (inherit.type === 'inherit_from') return refuse(name, 'INHERITED')
  return name.type === 'identifier' ? readVariable(name, reading) : refuse(name, 'INHERITED')
}

const CONSTANTS = new Map<string, PlainValue>([
  ['true', true],
  ['false', false],
  ['null', null]
])

function readVariable(variable: SyntaxNode, reading: Reading): Read {
  if (variable.parent?.parent?.type === 'inherit_from') return refuse(variable, 'INHERITED')
  const binder = binderOf(variable)
  const constant = CONSTANTS.get(variable.text)
  if (!binder) return constant === undefined ? refuse(variable, 'VARIABLE') : ok(constant)
  if (binder.type === 'function_expression') return refuse(variable, 'VARIABLE')
  const [binding, ...others] = bindingsFor(binder, variable.text)
  if (!binding || others.length > 0) return refuse(variable, 'VARIABLE')
  const key = `${binding.start} ${variable.text}`
  if (reading.known.has(key)) return reading.known.get(key) ?? refuse(variable, 'RECURSION')
  reading.known.set(key, undefined)
  const value = readBinding(binding, variable, reading)
  reading.known.set(key, value)
  return value
}

/** The value of a binding or inherit of a `let` or `rec` set that defines the name of a variable. */
function readBinding(binding: SyntaxNode, variable: SyntaxNode, reading: Reading): Read {
  if (binding.type === 'binding') {
    const value = binding.field('expression')
    const isWhole = namesOf(binding).length === 1
    return value && isWhole ? read(value, reading) : refuse(variable, 'VARIABLE')
  }
  const name = inheritedOf(binding).find(it => nameOf(it) === variable.text)
  return name ? readInherited(binding, name, reading) : refuse(variable, 'VARIABLE')
}
