// Takes definitions and imports out so that the text is the one that apply found, where it can tell.

import { removeNode } from '../../nix/edit/remove.ts'
import {
  applyEdits,
  type Definition,
  type Edit,
  expr,
  type NixDocument,
  type NixValue,
  type Plan,
  parseDocument,
  type SyntaxNode,
  type Transaction
} from '../../nix/index.ts'
import { composeEdits } from '../../nix/text/edits.ts'
import { blanksAround, firstGaps, gapsAround, sharedLine } from './gaps.ts'
import { planOf } from './planOf.ts'
import { areSame, sameTokens, type Token, tokensOf } from './tokens.ts'

/** How a text came to be another one: edits from the first text on. */
interface Progress {
  start: string
  edits: readonly Edit[]
  doc: NixDocument
}

/**
 * The same change as one of the proved plans makes, but for blanks and line ends: where one of the
 * definitions, or an import that `isOurs`, stands as the toolkit would write it today, its place gets
 * back the blanks from which it would write just this. Otherwise it is the first of these plans.
 * Definitions come from the document, in source order.
 */
export function withoutTraces(
  doc: NixDocument,
  definitions: readonly Definition[],
  isOurs: (spelling: string) => boolean,
  [usual, ...others]: readonly [Plan, ...Plan[]]
): Plan {
  let progress: Progress = { start: doc.text, edits: [], doc }
  // What was written last stands below what it was written beside.
  for (const { path, binding } of [...definitions].reverse()) {
    const next = withoutDefinition(progress, path, binding.start)
    if (!next) return usual
    progress = next
  }
  for (const spelling of doc.imports().filter(isOurs)) {
    progress = withoutImport(progress, spelling) ?? progress
  }
  const { edits, doc: last } = progress
  const { text } = last
  const isProved = [usual, ...others].some(it => sameTokens(last, parseDocument(it.text)))
  if (!isProved || applyEdits(doc.text, edits) !== text) return usual
  return planOf(doc.text, edits, text)
}

function withoutDefinition(
  progress: Progress,
  path: Definition['path'],
  start: number
): Progress | undefined {
  const { doc } = progress
  const names = path.filter(it => it !== undefined)
  const isFixed = names.length === path.length
  const found = [...doc.getIn(names), ...doc.getBelow(names)].find(it => it.binding.start === start)
  if (!found || !isFixed) return undefined
  const again = (edit: Transaction) => edit.setIn(names, expr(found.source))
  return without(
    progress,
    edit => edit.removeIn(found),
    found.binding,
    again,
    sharedLine(doc.text, found.binding)
  )
}

function withoutImport(progress: Progress, spelling: string): Progress | undefined {
  const { doc } = progress
  const again = (edit: Transaction) => edit.import(spelling)
  const [definition, ...more] = doc.getIn('imports')
  const node = doc.importOf(spelling)
  if (!definition || !node) return undefined
  if (doc.itemsIn('imports').length === 1 && more.length === 0) {
    const { binding } = definition
    const likely = firstGaps(doc.text, binding)
    const gone = without(progress, edit => edit.removeIn('imports'), binding, again, likely)
    if (gone?.isExact) return gone
  }
  const item: NixValue = expr(doc.text.slice(node.start, node.end))
  return without(progress, edit => edit.removeIn('imports', [item]), node, again)
}

/**
 * Takes bindings out that the toolkit can't tell the options of: in a module inside another, or in a
 * variable. All other words of the text stay as they are. In source order, none inside another.
 */
export function withoutBindings(
  doc: NixDocument,
  bindings: readonly SyntaxNode[]
): { doc: NixDocument; edits: readonly Edit[] } {
  const edits: Edit[] = []
  for (const { offset, length } of bindings.map(it => removeNode(doc.text, it))) {
    const last = edits.at(-1)
    const isApart = !last || offset > last.offset + last.length
    // Neighbours share the blanks between them.
    if (isApart) edits.push({ offset, length, content: '' })
    else last.length = Math.max(last.length, offset + length - last.offset)
  }
  const after = doc.edited(edits)
  // A comment behind a binding on its line goes with it.
  const isOut = ({ type, start, end }: Token) =>
    type === 'comment'
      ? edits.some(it => it.offset <= start && end <= it.offset + it.length)
      : bindings.some(it => it.start <= start && end <= it.end)
  const rest = tokensOf(doc).filter(it => !isOut(it))
  if (bindings.length > 0 && !areSame(rest, tokensOf(after))) {
    throw new Error('something else than our options would go')
  }
  return { doc: after, edits }
}

/** A plan that begins where these edits of a text lead, as one of that text. */
export function afterEdits(text: string, edits: readonly Edit[], plan: Plan): Plan {
  if (edits.length === 0) return plan
  return planOf(text, composeEdits(text, [...edits], [...plan.edits]), plan.text)
}

/**
 * Takes one node out; `isExact` where writing it again would give the same text. Several gaps can do
 * that: those that are `likely` come before what the toolkit leaves.
 */
function without(
  { start, edits, doc }: Progress,
  remove: (edit: Transaction) => Transaction,
  node: SyntaxNode,
  again: (edit: Transaction) => Transaction,
  likely: readonly string[] = []
): (Progress & { isExact: boolean }) | undefined {
  const plan = remove(doc.edit()).plan()
  if (!plan.ok) return undefined
  const isExact = (candidate: NixDocument) => {
    const written = again(candidate.edit()).plan()
    return written.ok && written.value.text === doc.text
  }
  const usual = doc.edited(plan.value.edits)
  const after = (more: readonly Edit[], result: NixDocument, exact: boolean) => ({
    start,
    edits: composeEdits(start, [...edits], [...more]),
    doc: result,
    isExact: exact
  })
  const { before, behind } = blanksAround(doc.text, node)
  const offset = node.start - before.length
  const length = node.end + behind.length - offset
  const tryGap = (content: string) => {
    const edit = { offset, length, content }
    const candidate = doc.edited([edit])
    const isSame = candidate.errors.length === 0 && sameTokens(candidate, usual)
    return isSame && isExact(candidate) ? after([edit], candidate, true) : undefined
  }
  const firstOf = (gaps: readonly string[]) => {
    for (const gap of new Set(gaps)) {
      const found = tryGap(gap)
      if (found) return found
    }
    return undefined
  }
  const found = firstOf(likely)
  if (found) return found
  if (isExact(usual)) return after(plan.value.edits, usual, true)
  return firstOf(gapsAround(doc.text, node)) ?? after(plan.value.edits, usual, false)
}
