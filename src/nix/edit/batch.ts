// Operations that do not bear on one another are planned on one document and proved together: each
// proof reads the whole result, so that a hundred edits would cost a hundred readings otherwise.

import type { NixDocument } from '../document.ts'
import { lookUp } from '../module/definitions.ts'
import type { Module } from '../module/module.ts'
import { type AttrPath, keysOf, samePath } from '../path.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import type { Edit } from '../text/edits.ts'
import type { NixValue } from '../values.ts'
import { isOfModule, type Operation } from './operation.ts'
import { besideInSet, isLastInSet } from './remove.ts'
import { lookUpTarget } from './target.ts'

/** What is planned on a document and not yet applied to it. */
export interface Batch {
  operations: Operation[]
  /** The edits of all operations, in the order of the text. */
  edits: Edit[]
  /** What stands at the place of an edit that only writes a new definition, by its offset. */
  places: Map<number, Growth>
  /** What the operations do at each path and below it, by the path's key. */
  traces: Map<string, Trace>
  /** The offsets of the bindings that go. */
  gone: Set<number>
  /** Whether one of them may bear on any path: one with a computed name, and what others go by. */
  isFar: boolean
}

/** What one or more operations do at a path and below it. */
interface Trace {
  /** Whether it is the whole path of one of them. */
  isWhole: boolean
  /** Whether one of them writes a definition where there is none. */
  isNew: boolean
  /** Whether one takes something away, or moves it to another first name. */
  isGone: boolean
  /** Whether one gives something another name. */
  isRenamed: boolean
  /** Whether one changes how many lines a definition takes that is there. */
  isReflowing: boolean
  /** Where the new definitions go whose nearest relatives begin with this path and share no more of it. */
  place: number | undefined
}

/** New definitions that are written one behind the other at one place. */
interface Growth {
  /** The blanks before each of them; undefined if nothing can go behind what is there. */
  lead: string | undefined
  /** The path of the last one. */
  last: Path
  /** The keys of the paths of all, and of what they begin with. */
  keys: Set<string>
}

/** One operation as the others have to know it. */
interface Member {
  path: Path
  /** The keys of all that the path begins with, the shortest first. */
  keys: readonly string[]
  /** Those of the path that an option is renamed to. */
  toKeys: readonly string[]
  /**
   * Whether it only touches definitions that are there and takes none away (`stays`), only writes
   * a definition where there is none (`new`), takes definitions away (`gone`), gives them other names
   * below their first one (`renamed`), or does what bears on all with its first names (`other`).
   */
  kind: 'stays' | 'new' | 'gone' | 'renamed' | 'other'
  /** The offsets of the bindings that go. */
  gone: readonly number[]
  /** Those of the bindings beside them: the blank lines around what goes depend on both. */
  besideGone: readonly number[]
  isFar: boolean
  /** How many of the path's names lead to something that the module says. */
  known: number
  /** Whether it changes how many lines a definition takes that is there. */
  isReflowing: boolean
  /** The offset of its first edit; undefined if it has nothing to do. */
  place: number | undefined
}

type Path = readonly (string | undefined)[]

export function emptyBatch(): Batch {
  return {
    operations: [],
    edits: [],
    places: new Map(),
    traces: new Map(),
    gone: new Set(),
    isFar: false
  }
}

/**
 * Takes one more group of operations (see `grouped`) and their edits into the batch; false, and the
 * batch is as it was, if the group has to see the outcome of the others first: if their options are
 * related, if a new definition could go beside one of theirs, or if the edits touch. What has nothing to
 * do is left out.
 */
export function joins(
  batch: Batch,
  doc: NixDocument,
  module: Module,
  group: readonly Operation[],
  edits: readonly Edit[]
): boolean {
  const members = group.map(it => memberOf(doc, module, it, edits))
  if (members.some(it => isRelated(batch, it))) return false
  const [first] = members
  if (!first || edits.length === 0) return true
  if (!place(batch, first, edits)) return false
  for (const [i, member] of members.entries()) {
    batch.operations.push(group[i] as Operation)
    batch.isFar ||= member.isFar
    for (const offset of member.gone) batch.gone.add(offset)
    leaveTraces(batch, member, member.keys)
    leaveTraces(batch, member, member.toKeys)
  }
  return true
}

function memberOf(
  doc: NixDocument,
  module: Module,
  operation: Operation,
  edits: readonly Edit[]
): Member {
  const path = operation.kind === 'import' ? ['imports'] : operation.target.path
  const keys = keysOf(path)
  const toKeys = operation.kind === 'rename' ? keysOf(operation.to) : []
  const kind = kindOf(doc, module, operation)
  const gone = goneBindings(doc, module, operation)
  const isFar =
    path.includes(undefined) ||
    // New ones go behind the last, and a part of a `mkMerge` goes with its last.
    gone.some(isLastInSet) ||
    // What stands beside `options` is an option only while that is there.
    ((kind === 'gone' || kind === 'renamed') && isOfModule(operation)) ||
    // New ones go before it.
    (operation.kind === 'rename' && [...keys, ...toKeys].includes(STATE_VERSION))
  const isReflowing = edits.some(it =>
    kind === 'new' ? breaksSet(doc.text, it) : changesLines(doc.text, it)
  )
  const known = isFar ? 0 : knownLength(module, path as AttrPath, kind)
  return {
    path,
    keys,
    toKeys,
    kind,
    gone: gone.map(it => it.start),
    besideGone: gone.flatMap(besideInSet).map(it => it.start),
    isFar,
    known,
    isReflowing: isReflowing && (kind === 'new' || kind === 'stays'),
    place: edits[0]?.offset
  }
}

const STATE_VERSION = keysOf(['system', 'stateVersion']).at(-1) ?? ''

function changesLines(text: string, { offset, length, content }: Edit): boolean {
  return content.includes('\n') || text.slice(offset, offset + length).includes('\n')
}

/** Whether a new definition may stand over several lines in a set that was on one. */
function breaksSet(text: string, { offset, length, content }: Edit): boolean {
  return content.includes('\n') && /^[ \t]*[\]}]/.test(text.slice(offset + length))
}

/** The bindings that an operation takes away. */
function goneBindings(doc: NixDocument, module: Module, operation: Operation): SyntaxNode[] {
  if (operation.kind !== 'remove') return []
  const { exact, below } = lookUpTarget(doc, module, operation.target)
  return [...exact, ...below].map(it => it.binding)
}

function kindOf(doc: NixDocument, module: Module, operation: Operation): Member['kind'] {
  if (operation.kind === 'import') return 'other'
  if (operation.kind === 'remove') return 'gone'
  if (operation.kind === 'removeItems') return 'stays'
  if (operation.kind === 'rename') {
    return operation.to[0] === operation.target.path[0] ? 'renamed' : 'other'
  }
  return lookUpTarget(doc, module, operation.target).exact.length > 0 ? 'stays' : 'new'
}

/**
 * Whether an operation could come out otherwise once those in the batch are done. A new definition
 * goes beside its nearest relatives, so they make a difference where one shares more names with it
 * than what is there does.
 */
function isRelated({ operations, traces, gone, isFar }: Batch, member: Member): boolean {
  if (operations.length === 0) return false
  if (isFar || member.isFar || member.besideGone.some(it => gone.has(it))) return true
  return [member.keys, member.toKeys].some(it => isRelatedAt(traces, member, it))
}

function isRelatedAt(traces: Batch['traces'], member: Member, keys: readonly string[]): boolean {
  const { kind, known } = member
  if (keys.some(it => traces.get(it)?.isWhole) || traces.has(keys.at(-1) ?? '')) return true
  const beside = traces.get(keys[0] ?? '')
  if (!beside) return false
  if (kind === 'other') return true
  if (kind === 'gone') return beside.isNew || beside.isReflowing || beside.isRenamed
  if (kind === 'renamed') return beside.isNew || beside.isReflowing || beside.isGone
  // A set that is on one line, or no longer, takes what is new in another way.
  const nearer = traces.get(keys[known] ?? '')
  if (kind === 'stays') {
    const isMoving = beside.isNew || beside.isGone || beside.isRenamed
    return (member.isReflowing && isMoving) || nearer?.isNew === true
  }
  if (beside.isGone || beside.isRenamed || beside.isReflowing || nearer !== undefined) return true
  // A block may go behind a set rather than into it, and is then what the next one stands behind.
  const taken = traces.get(keys[known - 1] ?? '')?.place
  return taken !== undefined && taken !== member.place
}

function leaveTraces({ traces }: Batch, member: Member, keys: readonly string[]): void {
  const { kind, known } = member
  const isNew = kind === 'new'
  for (const [i, key] of keys.entries()) {
    const trace = traces.get(key)
    traces.set(key, {
      isWhole: trace?.isWhole === true || i === keys.length - 1,
      isNew: trace?.isNew === true || isNew,
      isGone: trace?.isGone === true || kind === 'gone' || kind === 'other',
      isRenamed: trace?.isRenamed === true || kind === 'renamed' || kind === 'other',
      isReflowing: trace?.isReflowing === true || member.isReflowing,
      place: isNew && i === known - 1 ? member.place : trace?.place
    })
  }
}

function knownLength(module: Module, path: AttrPath, kind: Member['kind']): number {
  const most = kind === 'new' ? path.length - 1 : path.length
  let known = 0
  while (known < most && isDefined(module, path.slice(0, known + 1))) known++
  return known
}

/** Whether a module says something of a path or of what is below it. */
function isDefined(module: Module, path: AttrPath): boolean {
  const { exact, below } = lookUp(module, path)
  return exact.length + below.length > 0
}

/** Puts the edits among those of the batch; false, and nothing is done, where two touch. */
function place(batch: Batch, member: Member, edits: readonly Edit[]): boolean {
  const { edits: all, places } = batch
  const [first] = edits
  const isOne = edits.length === 1 && first !== undefined
  const at = isOne ? indexOf(all, first.offset) : 0
  const there = all[at]
  const isLonger = isOne && there?.offset === first.offset && first.length + there.length === 0
  const growth = isLonger ? places.get(first.offset) : undefined
  if (isLonger) {
    if (!growth || !goesBehind(growth, member, first)) return false
    all[at] = { ...there, content: there.content + first.content }
    growth.last = member.path
    for (const key of member.keys) growth.keys.add(key)
    return true
  }
  const isFree = ({ offset, length }: Edit) => {
    const i = indexOf(all, offset)
    const before = all[i - 1]
    const after = all[i]
    return (
      (!before || before.offset + before.length < offset) &&
      (!after || offset + length < after.offset)
    )
  }
  if (!edits.every(isFree)) return false
  for (const edit of edits) all.splice(indexOf(all, edit.offset), 0, edit)
  if (isOne && member.kind === 'new') {
    const lead = first.length === 0 ? PLAIN.exec(first.content)?.[1] : undefined
    places.set(first.offset, { lead, last: member.path, keys: new Set(member.keys) })
  }
  return true
}

/**
 * Whether a new definition, which would go to the same place as others, goes behind the last of them
 * and looks as it would there: if nothing that is there, and none of the others, is a nearer relative.
 */
function goesBehind({ lead, last, keys }: Growth, member: Member, edit: Edit): boolean {
  if (member.kind !== 'new' || lead === undefined) return false
  if (PLAIN.exec(edit.content)?.[1] !== lead) return false
  const shared = commonLength(last, member.path)
  return !keys.has(member.keys[shared] ?? '') && shared + 1 > member.known
}

// A new binding that says by itself how a next one looks: no blank line before it, nothing behind it.
const PLAIN = /^(\r?\n[ \t]*| ?)[^\s{][\s\S]*\S$/

/** The index of the first edit that is not before the offset. */
function indexOf(edits: readonly Edit[], offset: number): number {
  let low = 0
  let high = edits.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((edits[middle] as Edit).offset < offset) low = middle + 1
    else high = middle
  }
  return low
}

function commonLength(a: Path, b: Path): number {
  const differ = a.findIndex((name, i) => name !== b[i])
  return differ === -1 ? a.length : differ
}

/**
 * The operations with neighbours joined that add to the end of the same list: what is added by the
 * one is what the next one adds behind.
 */
export function coalesced(operations: readonly Operation[]): Operation[] {
  const all: Operation[] = []
  let growing: { path: AttrPath; lines: boolean; items: NixValue[] } | undefined
  for (const operation of operations) {
    const path = endOf(operation)
    const isSame = (it: AttrPath) => path !== undefined && samePath(it, path)
    if (operation.kind === 'add' && growing?.lines === operation.lines && isSame(growing.path)) {
      growing.items.push(...operation.items)
    } else if (operation.kind === 'add' && path) {
      growing = { path, lines: operation.lines, items: [...operation.items] }
      all.push({ ...operation, items: growing.items })
    } else {
      growing = undefined
      all.push(operation)
    }
  }
  return all
}

/** The option to the end of whose list an operation adds, if that is what it does. */
function endOf(operation: Operation): AttrPath | undefined {
  const adds = operation.kind === 'add' && operation.position === 'end'
  return adds && operation.target.kind === 'path' ? operation.target.path : undefined
}
