// Takes definitions and imports out so that the text is the one that apply found, where it can tell.

import { removeNode } from '../../nix/edit/remove.ts'
import {
  applyEdits,
  type Definition,
  diffTexts,
  type Edit,
  expr,
  invertEdits,
  type NixDocument,
  type NixValue,
  type Plan,
  parseDocument,
  type SyntaxNode,
  type Transaction,
  visit
} from '../../nix/index.ts'
import { composeEdits } from '../../nix/text/edits.ts'

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

// Which blanks may have stood where something was written since.

/** The blanks that may have stood where a node stands with the blanks around it. */
export function gapsAround(text: string, node: SyntaxNode): string[] {
  const { before, behind, eol } = blanksAround(text, node)
  const lines = (before + behind).split(eol).length - 1
  const indent = lastLine(behind)
  return [
    behind,
    ...suffixes(behind, eol),
    ...Array.from({ length: lines }, (_, i) => eol.repeat(i + 1) + indent),
    ...suffixes(before, eol),
    before,
    ' ',
    ''
  ]
}

/** The gap of a first binding: seldom an empty line, and none at all where the last one has none. */
export function firstGaps(text: string, node: SyntaxNode): string[] {
  const { behind, eol } = blanksAround(text, node)
  const set = node.parent?.parent
  const end = text.slice(0, (set?.end ?? 1) - 1)
  const closesInLine = set?.type.endsWith('attrset_expression') && !/\n[ \t]*$/.test(end)
  const line = eol + lastLine(behind)
  return closesInLine ? [' ', line] : [line]
}

/** The blanks behind a binding without the line end that parts it from what shared its place's line. */
export function sharedLine(text: string, node: SyntaxNode): string[] {
  const { behind, eol } = blanksAround(text, node)
  const set = node.parent?.parent
  const line = text.slice(text.lastIndexOf('\n', set?.start ?? 0) + 1)
  const broken = eol + (/^[ \t]*/.exec(line)?.[0] ?? '')
  const rest = behind.slice(broken.length)
  return behind.startsWith(broken) && rest !== '' && !rest.includes('\n') ? [rest] : []
}

/** The blanks before and behind a node, and the line end that its text has. */
export function blanksAround(
  text: string,
  node: SyntaxNode
): { before: string; behind: string; eol: string } {
  const offset = text.slice(0, node.start).trimEnd().length
  const behind = /^\s*/.exec(text.slice(node.end))?.[0] ?? ''
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  return { before: text.slice(offset, node.start), behind, eol }
}

function lastLine(blanks: string): string {
  return blanks.slice(blanks.lastIndexOf('\n') + 1)
}

/** What is left of blanks without their first line, first two lines, and so on. */
function suffixes(blanks: string, eol: string): string[] {
  const lines = blanks.split(eol)
  return lines.slice(1).map((_, i) => lines.slice(i + 1).join(eol))
}

// The words of a Nix text, to tell whether two texts differ in blanks only.

/** A word of a text, or a comment, or a piece of a string. */
export interface Token {
  type: string
  source: string
  start: number
  end: number
}

/** Whether two texts differ in nothing but blanks between their words, comments included. */
export function sameTokens(a: NixDocument, b: NixDocument): boolean {
  return areSame(tokensOf(a), tokensOf(b))
}

/** Whether these are the same words, wherever they stand. */
export function areSame(a: readonly Token[], b: readonly Token[]): boolean {
  const isSame = (it: Token, i: number) => it.type === b[i]?.type && it.source === b[i]?.source
  return a.length === b.length && a.every(isSame)
}

/** The words of a document, in source order. */
export function tokensOf({ root, text }: NixDocument): Token[] {
  const tokens: Token[] = []
  visit(root, ({ type, children, start, end }) => {
    if (children.length === 0 && end > start) {
      tokens.push({ type, source: text.slice(start, end), start, end })
    }
    return undefined
  })
  return tokens
}

// Gives back a text that was there before, blank by blank.

/**
 * The plan that gives an earlier text of the document, if one of the proved plans gives the same but
 * for blanks and line ends.
 */
export function backTo(
  earlier: string,
  doc: NixDocument,
  proved: readonly Plan[]
): Plan | undefined {
  const wanted = tokensOf(parseDocument(earlier))
  for (const { text, edits } of proved) {
    const tokens = tokensOf(parseDocument(text))
    if (!areSame(tokens, wanted)) continue
    const all = composeEdits(doc.text, [...edits], gapEdits(text, tokens, earlier, wanted))
    if (applyEdits(doc.text, all) === earlier) return planOf(doc.text, all, earlier)
  }
  return undefined
}

/** The edits that give the words of a text the blanks that they have in another one. */
function gapEdits(
  text: string,
  tokens: readonly Token[],
  other: string,
  wanted: readonly Token[]
): Edit[] {
  const edits: Edit[] = []
  for (let i = 0; i <= tokens.length; i++) {
    const offset = tokens[i - 1]?.end ?? 0
    const gap = text.slice(offset, tokens[i]?.start)
    const content = other.slice(wanted[i - 1]?.end ?? 0, wanted[i]?.start)
    if (gap !== content) edits.push({ offset, length: gap.length, content })
  }
  return edits
}

/** The plan of edits that lead from one text to another. It is not proved. */
export function planOf(before: string, edits: readonly Edit[], text: string): Plan {
  return {
    edits,
    inverse: invertEdits(before, edits),
    text,
    changed: edits.length > 0,
    diff: options => diffTexts(before, text, options)
  }
}

/** The plan that leaves a text as it is. */
export function unchanged(text: string): Plan {
  return planOf(text, [], text)
}
