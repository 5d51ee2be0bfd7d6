import type { NixDocument } from '../document.ts'
import type { Operation } from '../edit/operation.ts'
import { type NixError, nixError } from '../errors.ts'
import { inModule } from '../module/definitions.ts'
import { type Module, optionPathOf, setFor } from '../module/module.ts'
import { spellPath, startsWith } from '../path.ts'
import { canonicalOfNode } from '../syntax/canonical.ts'
import { findDuplicate } from '../syntax/duplicates.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { isComment } from '../syntax/shape.ts'
import type { Edit } from '../text/edits.ts'
import { compareTrees, type Difference } from './compareTrees.ts'
import { meaningFault } from './meaning.ts'

/**
 * Why the document after some edits is not the one before with exactly what was asked; undefined if
 * it is. It shares with the planning only how a tree is read, not where or what was written:
 *
 * - the result parses, with no new stand-in and no duplicate that Nix would reject;
 * - every difference between the two trees lies in the definitions of the path that was asked for,
 *   and is of the kind that was asked for;
 * - the definitions of that path say what was asked, and as much else as before (`meaning.ts`).
 */
export function verify(
  before: NixDocument,
  after: NixDocument,
  edits: readonly Edit[],
  operations: readonly Operation[]
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

  const sides = { before, after, old: old.value, fresh: fresh.value }
  for (const difference of compareTrees(before.root, after.root, edits)) {
    const why = objectionOfAll(difference, operations, sides)
    const node = difference.kind === 'replaced' ? difference.after : difference.node
    if (why) return fail(why, difference.kind === 'removed' ? undefined : node)
  }
  const names = new Set<string | undefined>()
  for (const operation of operations) {
    for (const path of pathsOf(operation)) {
      const spelt = inModule(fresh.value, path)
      const [name] = spelt
      if (names.has(name)) continue
      names.add(name)
      const duplicate = findDuplicate(after.text, setFor(fresh.value, spelt), name)
      if (duplicate && !findDuplicate(before.text, setFor(old.value, spelt), name)) {
        return fail('an attribute would be defined twice', duplicate)
      }
    }
    const why = meaningFault(sides, edits, operation)
    if (why !== undefined) return fail(why)
  }
  return undefined
}

interface Sides {
  before: NixDocument
  after: NixDocument
  old: Module
  fresh: Module
}

/** The paths in whose definitions something may change. */
function pathsOf(operation: Operation): (readonly (string | undefined)[])[] {
  if (operation.kind === 'import') return [['imports']]
  const { path } = operation.target
  return operation.kind === 'rename' ? [path, operation.to] : [path]
}

/** What speaks against one difference; undefined if it is of the kind that one of the edits asks for. */
function objectionOfAll(
  difference: Difference,
  operations: readonly Operation[],
  sides: Sides
): string | undefined {
  let objection: string | undefined
  for (const operation of operations) {
    objection = objectionTo(difference, operation, pathsOf(operation), sides)
    if (objection === undefined) return undefined
  }
  return objection ?? 'something would change that was not asked for'
}

/** What speaks against one difference, or undefined if it is of the kind that the edit asks for. */
function objectionTo(
  difference: Difference,
  operation: Operation,
  paths: readonly (readonly (string | undefined)[])[],
  { before, after, old, fresh }: Sides
): string | undefined {
  const { kind } = difference
  const node = kind === 'replaced' ? difference.before : difference.node
  if (isComment(node)) {
    const expected = kind === 'added' ? operation.kind !== 'remove' : operation.kind === 'remove'
    return kind === 'replaced' || !expected ? 'a comment would change' : undefined
  }
  const grows = operation.kind === 'add' || operation.kind === 'import'
  if (kind === 'removed' && grows) return 'something would be taken away'
  if (kind === 'added' && operation.kind === 'remove') return 'something would be added'
  if (kind === 'replaced') {
    const { before: was, after: is } = difference
    const kept = grows
      ? isPartOf(before.text, was, after.text, is)
      : operation.kind !== 'remove' || isPartOf(after.text, is, before.text, was)
    if (!kept) return 'something would be replaced'
  }
  const at = optionPathOf(kind === 'added' ? fresh : old, node)
  if (!at) return 'something outside the options would change'
  const inside = paths.some(path => startsWith(at, inModule(old, path)))
  return inside ? undefined : `${spellPath(at)} would change`
}

/** Whether a node stands inside another in another text; a string is taken to, as its lines are compared. */
function isPartOf(text: string, part: SyntaxNode, wholeText: string, whole: SyntaxNode): boolean {
  if (part.type === 'string_fragment' || /string_expression$/.test(part.type)) return true
  const wanted = canonicalOfNode(text, part)
  const stack = [whole]
  for (let node = stack.pop(); node; node = stack.pop()) {
    const alike = node.type === part.type && node.size === part.size
    if (alike && canonicalOfNode(wholeText, node) === wanted) return true
    if (node.size > part.size) stack.push(...node.children)
  }
  return false
}
