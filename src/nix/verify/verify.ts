import type { Operation } from '../edit/operation.ts'
import { errorAt, insideAny, type Message, type NixError, nixError } from '../errors.ts'
import { definedTwice, duplicateAfterRename } from '../messages/definitions.ts'
import {
  attributeDuplicated,
  codeOutsideOptions,
  commentDiffers,
  commentReplaced,
  noModuleLeft,
  optionChanged,
  otherOperandChanges,
  parsedDifferently,
  resultInvalid,
  variableDiffers
} from '../messages/verification.ts'
import { isMergeList } from '../module/combinators.ts'
import { asOption, lookUp } from '../module/definitions.ts'
import { setFor } from '../module/module.ts'
import { optionPathOf } from '../module/optionPath.ts'
import type { AttrPath } from '../path.ts'
import type { Source } from '../source.ts'
import { findDuplicate } from '../syntax/duplicates.ts'
import { bindingsOf, commentsOf, inheritedOf, isComment, isSet } from '../syntax/nodes.ts'
import type { ParserWorkaround } from '../syntax/parser.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, Shifts, writtenRanges } from '../text/edits.ts'
import { strayComment } from './comments.ts'
import { type Difference, diffTrees, nodeAfter, nodeBefore, type Versions } from './diffTrees.ts'
import { changedFormals } from './formals.ts'
import { type Claim, claimOf, claimsByPath, type Objection } from './permitted.ts'
import { nameWithNewMeaning, undefinedName } from './scoping.ts'
import { meaningFault } from './semantics.ts'
import { type Step, traceRefusal } from './trace.ts'
import { changesOtherOperand } from './updates.ts'

/** Why a result is refused, and by which check. `reason` has no text of the document. */
interface Refusal {
  step: Step
  error: NixError
  reason?: string
}

/**
 * Checks that the document after some edits is the one before with exactly the requested change. Returns
 * an error if it is not. The code is separate from the planning, except for how a tree is read. Checks:
 *
 * - the result parses, with no new workaround and no duplicate that Nix would reject;
 * - every variable is defined and has its previous meaning (`scoping.ts`);
 * - every difference between the two trees is in the definitions of a requested path, and is of a kind
 *   that the operation permits (`permitted.ts`);
 * - no attribute of another operand of `//` starts or ceases to take effect (`updates.ts`);
 * - only permitted comments are added or removed (`comments.ts`);
 * - the definitions of a requested path are the previous ones with the requested change
 *   (`semantics.ts`).
 */
export function verify(
  before: Source,
  after: Source,
  edits: readonly Edit[],
  operations: readonly Operation[]
): NixError | undefined {
  const refusal = refusalOf(before, after, edits, operations)
  if (refusal) traceRefusal(refusal.step, refusal.reason ?? refusal.error.code)
  return refusal?.error
}

function refusalOf(
  before: Source,
  after: Source,
  edits: readonly Edit[],
  operations: readonly Operation[]
): Refusal | undefined {
  const fail = (step: Step, message: Message, node?: SyntaxNode): Refusal => ({
    step,
    error: node ? errorAt(node, message) : nixError(after.text, message)
  })
  const [fault] = after.errors
  if (fault) return fail('syntax', resultInvalid(fault.at.line, fault.message))
  const [moduleBefore, moduleAfter] = [before.module(), after.module()]
  if (!moduleBefore.ok || !moduleAfter.ok) return fail('module', noModuleLeft)

  const versions = {
    before: { source: before, module: moduleBefore.value },
    after: { source: after, module: moduleAfter.value }
  }
  if (parsesDifferently(versions, edits, operations)) return fail('workarounds', parsedDifferently)
  const claims = operations.map(it => claimOf(it, versions, edits))
  const whole = diffTrees(before.root, after.root, edits)
  const differences = whole.flatMap(openMergePart).flatMap(openInherit)
  const claimsOn = claimsByPath(claims)
  for (const difference of differences) {
    const objection = objectionOfAll(difference, claimsOn, versions)
    if (!objection || claims.some(it => it.permitsOutside(difference))) continue
    const message = changeOf(difference, versions)
    return { ...fail('differences', message, nodeAfter(difference)), reason: objection }
  }
  if (changesOtherOperand(differences, versions, operations)) {
    return fail('operands', otherOperandChanges)
  }
  const changedName = nameWithNewMeaning(
    differences,
    claims.flatMap(it => it.replaced ?? []),
    moduleBefore.value.isModule
  )
  if (changedName !== undefined) return fail('variables', variableDiffers(changedName))
  const unknown = undefinedName(differences, edits)
  if (unknown) return { step: 'scope', error: unknown }
  const comment = strayComment(differences, whole, claims)
  if (comment) return fail('comments', commentDiffers(comment.kind, comment.node.text))
  const duplicate = duplicateFault(versions, claims, operations)
  if (duplicate) return { step: 'duplicates', error: duplicate }
  for (const [i, operation] of operations.entries()) {
    const message = meaningFault(versions, operation, claims[i] as Claim)
    if (message) return { ...fail('definitions', message), reason: operation.kind }
  }
  return undefined
}

/** The error if Nix rejects the result because an attribute is defined twice; undefined if not. */
function duplicateFault(
  { before, after }: Versions,
  claims: readonly Claim[],
  operations: readonly Operation[]
): NixError | undefined {
  for (const path of claims.flatMap(it => it.paths)) {
    const duplicate = findDuplicate(setFor(after.module, path), path)
    if (!duplicate || findDuplicate(setFor(before.module, path), path)) continue
    const existing = findDuplicate(setFor(before.module, path), path.slice(0, 1))
    if (existing) return errorAt(existing, definedTwice)
    return operations.some(it => it.kind === 'rename')
      ? nixError(before.source.text, duplicateAfterRename)
      : errorAt(duplicate, attributeDuplicated(asOption(after.module, path)))
  }
  return undefined
}

/** Why no claim permits a difference; undefined if one does. */
function objectionOfAll(
  difference: Difference,
  claimsOn: ReturnType<typeof claimsByPath>,
  versions: Versions
): string | undefined {
  const { kind } = difference
  const node = kind === 'replaced' ? difference.before : difference.node
  if (isComment(node))
    return kind === 'replaced' && !isComment(difference.after) ? 'comment' : undefined
  const path = pathOf(difference, versions)
  if (!path || path.length === 0) return 'change outside the options'
  let objection: Objection | undefined
  for (const claim of claimsOn(path)) {
    objection = claim.objectionTo(difference)
    if (objection === undefined) return undefined
  }
  return objection ?? 'change of another option'
}

/** The path of the option that contains a difference, relative to the module; undefined outside options. */
function pathOf(
  difference: Difference,
  { before, after }: Versions
): readonly (string | undefined)[] | undefined {
  if (difference.kind === 'added') return optionPathOf(after.module, difference.node)
  const node = difference.kind === 'replaced' ? difference.before : difference.node
  return optionPathOf(before.module, node)
}

/** How a difference changes the option that contains it. */
function changeOf(difference: Difference, versions: Versions): Message {
  const node = nodeBefore(difference)
  if (node && isComment(node)) return commentReplaced
  const path = pathOf(difference, versions)
  if (!path || path.length === 0) return codeOutsideOptions
  const [before, after] = [versions.before.module, versions.after.module].map(module => {
    const option = asOption(module, path)
    if (option.includes(undefined)) return []
    const { exact, below } = lookUp(module, option as AttrPath)
    return [...exact, ...below]
  })
  return optionChanged(asOption(versions.before.module, path), before ?? [], after ?? [])
}

/** Whether text outside the edits now needs a new workaround, or no longer needs a previous one. */
function parsesDifferently(
  versions: Versions,
  edits: readonly Edit[],
  operations: readonly Operation[]
): boolean {
  const [before, after] = [versions.before, versions.after].map(({ source, module }) => {
    // The comma after the last formal is a workaround, and another one may be the last now.
    const isExpected = insideAny(changedFormals(module, operations))
    return source.workarounds.filter(it => it.kind !== 'comma' || !isExpected(it))
  }) as [ParserWorkaround[], ParserWorkaround[]]
  const shifts = new Shifts(edits)
  const isTouched = (it: ParserWorkaround) =>
    (edits[shifts.countBefore(it.start)]?.offset ?? it.end) < it.end
  const expected = before.filter(it => !isTouched(it)).map(it => shifts.moved(it.start))
  const isWritten = insideAny(writtenRanges(edits))
  const found = after.filter(it => !isWritten(it))
  return found.length !== expected.length || found.some((it, i) => it.start !== expected[i])
}

/** Replaces a removed `inherit` with its names and comments. */
function openInherit(difference: Difference): readonly Difference[] {
  if (difference.kind !== 'removed') return [difference]
  const { kind, node } = difference
  const names = inheritedOf(node)
  if (names.length === 0) return [difference]
  const attrs = node.field('attrs')?.children ?? []
  const comments = [...node.children, ...attrs].filter(isComment)
  return [...names, ...comments].map(it => ({ kind, node: it }))
}

/** Replaces an added or removed element of a `mkMerge` with the differences of its attributes. */
function openMergePart(difference: Difference): readonly Difference[] {
  if (difference.kind === 'replaced') return [difference]
  const { kind, node } = difference
  const isPart = isSet(node) && node.parent !== undefined && isMergeList(node.parent)
  if (!isPart || bindingsOf(node).length === 0) return [difference]
  const inside = [...bindingsOf(node), ...commentsOf(node)].sort((a, b) => a.start - b.start)
  return inside.map(it => ({ kind, node: it }))
}
