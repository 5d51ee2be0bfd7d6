import type { Operation } from '../edit/operation.ts'
import { errorAt, insideAny, type NixError, nixError } from '../errors.ts'
import { isMerged } from '../module/combinators.ts'
import { optionPathOf, setFor } from '../module/module.ts'
import { formatPathPattern } from '../path.ts'
import type { Source } from '../source.ts'
import { findDuplicate } from '../syntax/duplicates.ts'
import { bindingsOf, commentsOf, isComment, isSet } from '../syntax/nodes.ts'
import type { ParserWorkaround } from '../syntax/parser.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, Shifts, writtenRanges } from '../text/edits.ts'
import { strayComment } from './comments.ts'
import { type Difference, diffTrees, nodeAfter, type Sides } from './diffTrees.ts'
import { type Claim, claimOf, claimsByPath } from './permitted.ts'
import { disturbedName, undefinedName } from './scoping.ts'
import { meaningFault } from './semantics.ts'

/**
 * Why the document after some edits is not the one before with exactly what was asked; undefined if
 * it is. It shares with the planning only how a tree is read, not where or what was written:
 *
 * - the result parses, with no new stand-in and no duplicate that Nix would reject;
 * - no variable in it lost what it means;
 * - every difference between the two trees lies in the definitions of the path that was asked for,
 *   and is of the kind that was asked for (`claims.ts`), comments too (`comments.ts`);
 * - the definitions of that path say what was asked, and as much else as before (`meaning.ts`).
 */
export function verify(
  before: Source,
  after: Source,
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
  if (parsesOtherwise(before, after, edits)) return fail('the result parses differently')
  const old = before.module()
  const fresh = after.module()
  if (!old.ok || !fresh.ok) return fail('the result is no module any more')

  const sides = { before, after, old: old.value, fresh: fresh.value }
  const claims = operations.map(it => claimOf(it, sides, edits))
  const whole = diffTrees(before.root, after.root, edits)
  const differences = whole.flatMap(opened)
  const claimsOn = claimsByPath(claims)
  for (const difference of differences) {
    const why = objectionOfAll(difference, claimsOn, sides)
    if (why) return fail(why, nodeAfter(difference))
  }
  const replaced = claims.flatMap(it => it.replaced ?? [])
  const disturbed = disturbedName(differences, replaced)
  if (disturbed !== undefined) return fail(`"${disturbed}" would mean something else`)
  const unknown = undefinedName(differences, edits)
  if (unknown) return unknown
  if (strayComment(differences, whole, claims)) return fail('a comment would change')
  for (const path of claims.flatMap(it => it.paths)) {
    const duplicate = findDuplicate(setFor(fresh.value, path), path)
    if (!duplicate || findDuplicate(setFor(old.value, path), path)) continue
    const known = findDuplicate(setFor(old.value, path), path.slice(0, 1))
    if (!known && operations.some(it => it.kind === 'rename')) return joinedTwice(before.text)
    return known ? definedTwice(known) : fail('an attribute would be defined twice', duplicate)
  }
  for (const [i, operation] of operations.entries()) {
    const why = meaningFault(sides, operation, claims[i] as Claim)
    if (why !== undefined) return fail(why)
  }
  return undefined
}

function joinedTwice(text: string): NixError {
  return nixError(text, {
    code: 'CONFLICT',
    message: 'under the new name Nix would take it for defined twice',
    hint: 'remove the one and set the other'
  })
}

function definedTwice(binding: SyntaxNode): NixError {
  return errorAt(binding, {
    code: 'DUPLICATE_ATTRIBUTE',
    message: 'this is defined twice already, which Nix rejects',
    hint: 'leave one definition'
  })
}

/** What speaks against one difference; undefined if it is of the kind that one of the edits asks for. */
function objectionOfAll(
  difference: Difference,
  claimsOn: ReturnType<typeof claimsByPath>,
  { old, fresh }: Pick<Sides, 'old' | 'fresh'>
): string | undefined {
  const { kind } = difference
  const node = kind === 'replaced' ? difference.before : difference.node
  if (isComment(node))
    return kind === 'replaced' && !isComment(difference.after)
      ? 'a comment would change'
      : undefined
  const at = optionPathOf(kind === 'added' ? fresh : old, node)
  if (!at) return 'something outside the options would change'
  let objection: string | undefined
  for (const claim of claimsOn(at)) {
    objection = claim.objectionTo(difference)
    if (objection === undefined) return undefined
  }
  return objection ?? `${formatPathPattern(at)} would change`
}

/** Whether text that no edit touched needs a stand-in that it did not need before, or the other way. */
function parsesOtherwise(before: Source, after: Source, edits: readonly Edit[]): boolean {
  const shifts = new Shifts(edits)
  const isTouched = (it: ParserWorkaround) =>
    (edits[shifts.before(it.start)]?.offset ?? it.end) < it.end
  const kept = before.workarounds.filter(it => !isTouched(it)).map(it => shifts.moved(it.start))
  const isWritten = insideAny(writtenRanges(edits))
  const old = after.workarounds.filter(it => !isWritten(it))
  return old.length !== kept.length || old.some((it, i) => it.start !== kept[i])
}

/** A part of a `mkMerge` that comes or goes says what its bindings alone would say. */
function opened(difference: Difference): readonly Difference[] {
  if (difference.kind === 'replaced') return [difference]
  const { kind, node } = difference
  const isPart = isSet(node) && node.parent !== undefined && isMerged(node.parent)
  if (!isPart || bindingsOf(node).length === 0) return [difference]
  const inside = [...bindingsOf(node), ...commentsOf(node)].sort((a, b) => a.start - b.start)
  return inside.map(it => ({ kind, node: it }))
}
