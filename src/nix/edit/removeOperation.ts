import type { NixError } from '../errors.ts'
import type { Lookup } from '../module/definitions.ts'
import {
  keepsReturns,
  lineNodesOf,
  linesOf,
  losesIndent,
  removeLine,
  stringsIn
} from '../module/lineStrings.ts'
import { allListsOf, isConcat } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import { ok, type Result } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { commentsOf, elementsOf } from '../syntax/shape.ts'
import type { Edit } from '../text/edits.ts'
import { bare, type NixValue } from '../values.ts'
import { lookUpTarget, type Target } from './operation.ts'
import {
  blockedByPipe,
  type Edits,
  inherited,
  noOption,
  notFound,
  refuse,
  returnsKept,
  sharedInRec,
  uncovered,
  usedInRec
} from './refusals.ts'
import { removeBindings, removeNode } from './remove.ts'
import { endWithComments } from './style.ts'

/** `removeIn` without items, of several options: see Transaction. */
export function planRemove(doc: Source, module: Module, targets: readonly Target[]): Edits {
  const { text } = doc
  const gone: SyntaxNode[] = []
  for (const target of targets) {
    const found = definitionsOf(doc, module, target)
    if (!found.ok) return found
    const all = [...found.value.exact, ...found.value.below]
    const taken = all.find(it => it.inherited)
    if (taken) return inherited(text, taken)
    const blocker = usedInRec(text, all) ?? uncovered(module, all)
    if (blocker) return blocker
    for (const it of all) gone.push(it.binding)
  }
  const nodes = outermost(gone)
  return blockedIn(doc, nodes) ?? ok(combine(removeBindings(text, nodes)))
}

/** What is to be edited; refused where it is no option, or a chosen definition that is not there. */
function definitionsOf(doc: Source, module: Module, target: Target): Result<Lookup, NixError> {
  const misplaced = target.path[0] === 'config' ? noOption(module, target.path) : undefined
  if (misplaced) return misplaced
  const found = lookUpTarget(doc, module, target)
  const isLost = target.kind === 'definition' && found.exact.length === 0
  return isLost ? notFound(target.path) : ok(found)
}

/** Those that lie in no other of them, each once, in the order of the text. */
function outermost(nodes: readonly SyntaxNode[]): SyntaxNode[] {
  const outer: SyntaxNode[] = []
  for (const node of [...nodes].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = outer.at(-1)
    if (!last || node.start >= last.end) outer.push(node)
  }
  return outer
}

/** `removeIn` with items: see Transaction. */
export function planRemoveItems(
  doc: Source,
  module: Module,
  target: Target,
  items: readonly NixValue[]
): Edits {
  const { text } = doc
  const found = definitionsOf(doc, module, target)
  if (!found.ok) return found
  const { exact } = found.value
  const written = exact.filter(it => !it.inherited)
  const keys = new Set(items.map(canonicalOfValue))
  const lists = written.flatMap(it => allListsOf(text, it.value))
  const isUnwanted = (it: SyntaxNode) => keys.has(canonicalOfNode(text, it))
  const lines = new Set(items.map(bare).filter(it => typeof it === 'string'))
  const strings = written.flatMap(it => stringsIn(text, it.value))
  const kept = strings.find(
    string => keepsReturns(text, string) && linesOf(text, string).some(it => lines.has(it.trim()))
  )
  if (kept) return returnsKept(text, kept)
  const hanging = strings.find(it => losesIndent(text, it, lines))
  if (hanging) {
    return refuse(text, hanging, {
      code: 'CONFLICT',
      message: 'without this line Nix would take more indentation off the lines that are left',
      hint: 'indent them alike first, if their blanks mean nothing'
    })
  }
  const touched = lists
    .map(list => ({ list, unwanted: elementsOf(list).filter(isUnwanted) }))
    .filter(it => it.unwanted.length > 0)
  const goWhole = touched.every(it => goesWhole(text, it.list, it.unwanted))
  const edits = [
    ...touched.flatMap(it => removeFrom(text, it.list, it.unwanted, goWhole)),
    ...strings.flatMap(string =>
      lineNodesOf(text, string)
        .filter(it => lines.has(it.value))
        .map(it => removeLine(text, string, it))
    )
  ]
  if (edits.length === 0) return ok([])
  const shared = target.kind === 'path' ? written.map(it => sharedInRec(text, it.binding)) : []
  const blocker =
    shared.find(it => it !== undefined) ??
    blockedIn(doc, [...touched.flatMap(it => it.unwanted), ...strings])
  return blocker ?? ok(combine(edits))
}

/** Whether nothing is left of a list that stands behind `++`. */
function goesWhole(text: string, list: SyntaxNode, unwanted: readonly SyntaxNode[]): boolean {
  const left = list.parent && isConcat(list.parent) ? list.parent.field('left') : undefined
  const isEmptied = unwanted.length === elementsOf(list).length
  if (!isEmptied || !left || left.end >= list.start || commentsOf(list).length > 0) return false
  return /^\s*\+\+\s*$/.test(text.slice(left.end, list.start))
}

/**
 * Takes elements out of a list. One that nothing is left of goes with the `++` before it, unless
 * another list of the option loses only some of its own: that would be two changes in one.
 */
function removeFrom(
  text: string,
  list: SyntaxNode,
  unwanted: readonly SyntaxNode[],
  goWhole: boolean
): Edit[] {
  const isEmptied = unwanted.length === elementsOf(list).length
  const left = list.parent?.field('left')
  if (goWhole && left) {
    return [{ offset: left.end, length: list.end - left.end, content: '' }]
  }
  const first = unwanted[0]
  if (isEmptied && first && !text.slice(list.start, list.end).includes('\n')) {
    return [{ offset: first.start, length: list.end - 1 - first.start, content: '' }]
  }
  return runsOf(text, list, unwanted).map(([node, last]) => removeNode(text, node, last))
}

/**
 * What goes as one, as first and last of each: those beside each other on a line, and those at the
 * end where the bracket stands behind the last of them.
 */
function runsOf(
  text: string,
  list: SyntaxNode,
  unwanted: readonly SyntaxNode[]
): [SyntaxNode, SyntaxNode][] {
  const runs: [SyntaxNode, SyntaxNode][] = []
  const closing = list.children.findLast(it => it.type === ']')
  let next = closing
  for (const it of [...unwanted].reverse()) {
    const between = next ? text.slice(endWithComments(text, it), next.start) : ''
    const run = runs.at(-1)
    const endsAtBracket =
      run !== undefined && run[1] === unwanted.at(-1) && isBefore(text, run[1], closing)
    if (run && next === run[0] && (endsAtBracket ? /^\s*$/ : /^[^\S\n]*$/).test(between)) {
      run[0] = it
    } else runs.push([it, it])
    next = it
  }
  return runs
}

/** Whether the bracket stands behind the last item on its line. */
function isBefore(text: string, last: SyntaxNode, closing: SyntaxNode | undefined): boolean {
  return (
    closing !== undefined &&
    /^[^\S\n]*$/.test(text.slice(endWithComments(text, last), closing.start))
  )
}

function blockedIn(doc: Source, nodes: readonly SyntaxNode[]): Edits | undefined {
  return nodes.map(it => blockedByPipe(doc, it)).find(it => it !== undefined)
}

/** Joins removals that touch: neighbours share the blanks between them. */
function combine(edits: readonly Edit[]): Edit[] {
  const joined: Edit[] = []
  for (const edit of [...edits].sort((a, b) => a.offset - b.offset)) {
    const last = joined.at(-1)
    if (last && edit.offset <= last.offset + last.length) {
      const end = Math.max(last.offset + last.length, edit.offset + edit.length)
      last.length = end - last.offset
    } else joined.push({ ...edit })
  }
  return joined
}
