import { canonicalOfNode, canonicalOfValue } from './canonical.ts'
import { compareTrees, type Difference } from './compareTrees.ts'
import { inModule, lookUp } from './definitions.ts'
import type { NixDocument } from './document.ts'
import { findDuplicate } from './duplicates.ts'
import type { Edit } from './edits.ts'
import { type NixError, nixError } from './errors.ts'
import { findImport, importsOf } from './importOperation.ts'
import { allListsOf } from './lists.ts'
import type { Module } from './module.ts'
import { type Operation, settable } from './operations.ts'
import type { SyntaxNode } from './parser.ts'
import { type AttrPath, formatPath, samePath, spellPath, startsWith } from './path.ts'
import { elementsOf, isComment, isSet, namesOf } from './shape.ts'

/**
 * Why the document after an edit is not the one before with exactly what was asked; undefined if it
 * is. It shares with the planning only how a tree is read, not where or what was written:
 *
 * - the result parses, with no new stand-in and no duplicate that Nix would reject;
 * - every difference between the two trees lies in the definitions of the path that was asked for;
 * - the definitions of that path say what was asked, and as much else as before.
 */
export function verify(
  before: NixDocument,
  after: NixDocument,
  edits: readonly Edit[],
  operation: Operation
): NixError | undefined {
  const fail = (why: string, node?: SyntaxNode) =>
    nixError(after.text, {
      code: 'VERIFICATION_FAILED',
      message: `the edit would not do what was asked: ${why}`,
      ...(node ? { range: { start: node.start, end: node.end } } : {}),
      hint: 'nothing was changed; please report this as a bug, with the file if you can'
    })
  const [fault] = after.errors
  if (fault) return fail(`the result has an error at line ${fault.at.line}: ${fault.message}`)
  if (after.standIns.length !== before.standIns.length) return fail('the result parses differently')
  const old = before.module()
  const fresh = after.module()
  if (!old.ok || !fresh.ok) return fail('the result is no module any more')

  const path = operation.kind === 'import' ? ['imports'] : operation.path
  for (const difference of compareTrees(before.root, after.root, edits)) {
    const why = objectionTo(difference, operation, path, old.value, fresh.value)
    const node = difference.kind === 'replaced' ? difference.after : difference.node
    if (why) return fail(why, difference.kind === 'removed' ? undefined : node)
  }
  const name = inModule(fresh.value, path)[0]
  const duplicate = findDuplicate(after.text, fresh.value.set, name)
  if (duplicate && !findDuplicate(before.text, old.value.set, name)) {
    return fail('an attribute would be defined twice', duplicate)
  }
  const why = meaningFault(before, after, old.value, fresh.value, operation)
  return why === undefined ? undefined : fail(why)
}

/** What speaks against one difference, or undefined if it is of the kind that the edit asks for. */
function objectionTo(
  difference: Difference,
  operation: Operation,
  path: AttrPath,
  old: Module,
  fresh: Module
): string | undefined {
  const { kind } = difference
  const node = kind === 'replaced' ? difference.before : difference.node
  const module = kind === 'added' ? fresh : old
  if (isComment(node)) {
    if (kind === 'replaced' || (kind === 'removed') !== (operation.kind === 'remove')) {
      return 'a comment would change'
    }
    return undefined
  }
  if (kind === 'removed' && operation.kind === 'add') return 'something would be taken away'
  if (kind === 'added' && operation.kind === 'remove') return 'something would be added'
  const at = optionPathOf(module, node)
  if (!at) return 'something outside the options would change'
  const inside = startsWith(at, inModule(module, path))
  return inside ? undefined : `${spellPath(at)} would change`
}

/**
 * The path that the bindings around a node spell, from the module's set on, with the node's own if
 * it is a binding. Undefined for what is not inside the module's set, or in a `let`.
 */
function optionPathOf(
  module: Module,
  node: SyntaxNode
): readonly (string | undefined)[] | undefined {
  const names: (string | undefined)[] = []
  for (let at: SyntaxNode | undefined = node; at; at = at.parent) {
    if (at.start === module.set.start && at.end === module.set.end && isSet(at)) return names
    if (at.type === 'binding') {
      const set = at.parent?.parent
      if (!set || !isSet(set)) return undefined
      names.unshift(...namesOf(module.text, at))
    }
  }
  return undefined
}

function meaningFault(
  before: NixDocument,
  after: NixDocument,
  old: Module,
  fresh: Module,
  operation: Operation
): string | undefined {
  if (operation.kind === 'import') {
    const more = importsOf(after).length - importsOf(before).length
    return findImport(after, operation.path) && more === 1
      ? undefined
      : 'the import would not count'
  }
  const { path } = operation
  const was = lookUp(old, path)
  const is = lookUp(fresh, path)
  if (operation.kind === 'set') {
    const [definition] = is.exact
    const wanted = canonicalOfValue(operation.value)
    const value = definition && settable(after.text, definition.value)
    const holds =
      is.exact.length === 1 &&
      is.below.length === 0 &&
      is.opaque.length === was.opaque.length &&
      definition?.conditions.length === 0 &&
      samePath(definition.path, path) &&
      value !== undefined &&
      canonicalOfNode(after.text, value) === wanted
    return holds ? undefined : `${formatPath(path)} would not have the value`
  }
  const had = was.exact.flatMap(it => itemsOf(before.text, it.value))
  const has = is.exact.flatMap(it => itemsOf(after.text, it.value))
  if (operation.kind === 'add') {
    const asked = new Set(operation.items.map(canonicalOfValue))
    const more = without(has, had)
    const holds =
      more.length === has.length - had.length &&
      more.every(it => asked.has(it)) &&
      [...asked].every(it => it !== undefined && has.includes(it)) &&
      is.exact.length === Math.max(was.exact.length, 1)
    return holds ? undefined : `${formatPath(path)} would not hold the items`
  }
  if (operation.items === undefined) {
    return is.exact.length + is.below.length === 0
      ? undefined
      : `${formatPath(path)} would still be defined`
  }
  const unwanted = new Set(operation.items.map(canonicalOfValue))
  const kept = had.filter(it => !unwanted.has(it))
  const holds = kept.length === has.length && kept.every((it, i) => has[i] === it)
  return holds ? undefined : `${formatPath(path)} would not keep its other items`
}

function itemsOf(text: string, value: SyntaxNode): string[] {
  return allListsOf(text, value)
    .flatMap(elementsOf)
    .map(it => canonicalOfNode(text, it))
}

/** What is left of `all` when each of `some` is taken out once. */
function without(all: string[], some: string[]): string[] {
  const rest = [...all]
  for (const it of some) {
    const at = rest.indexOf(it)
    if (at !== -1) rest.splice(at, 1)
  }
  return rest
}
