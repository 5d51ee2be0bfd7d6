// Operations that do not bear on one another are planned on one document and proved together: each
// proof reads the whole result, so that a hundred edits would cost a hundred readings otherwise.

import type { NixDocument } from '../document.ts'
import { lookUp } from '../module/definitions.ts'
import type { Module } from '../module/module.ts'
import { type AttrPath, samePath, startsWith } from '../path.ts'
import type { Edit } from '../text/edits.ts'
import type { NixValue } from '../values.ts'
import type { Operation } from './operation.ts'
import { lookUpTarget } from './target.ts'

/** What is planned on a document and not yet applied to it. */
export interface Batch {
  members: Member[]
  /** The edits of all members, in the order of the text. */
  edits: Edit[]
}

interface Member {
  operation: Operation
  path: readonly (string | undefined)[]
  /**
   * Whether it only touches definitions that are there and takes none away (`stays`), or only writes
   * a definition where there is none (`new`).
   */
  kind: 'stays' | 'new' | 'other'
  edits: readonly Edit[]
  /** Whether a name of the path is computed, so that it may be any. */
  isComputed: boolean
  /** How many of the path's names lead to something that the module says. */
  known: number
  /** Whether there are more or fewer lines than before. */
  reflows: boolean
}

export function emptyBatch(): Batch {
  return { members: [], edits: [] }
}

/**
 * The batch with one more operation and its edits, or undefined if the operation has to see the
 * outcome of the others first: if their options are related, if a new definition could go beside
 * one of theirs, or if the edits touch. One that has nothing to do does not become a member.
 */
export function joined(
  batch: Batch,
  doc: NixDocument,
  module: Module,
  operation: Operation,
  edits: readonly Edit[]
): Batch | undefined {
  const isBroken = (text: string) => text.includes('\n')
  const reflows = edits.some(
    it => isBroken(it.content) || isBroken(doc.text.slice(it.offset, it.offset + it.length))
  )
  const described = describe(doc, module, operation)
  const isComputed = described.path.includes(undefined)
  const known = isComputed ? 0 : knownLength(module, described)
  const member = { ...described, isComputed, known, edits, reflows }
  if (batch.members.some(it => areRelated(it, member))) return undefined
  if (edits.length === 0) return batch
  const places = new Set(edits.map(it => it.offset))
  const beside = batch.members.filter(it => it.edits.some(({ offset }) => places.has(offset)))
  if (!isNextTo(beside, member)) return undefined
  const all = merged(batch.edits, edits)
  return all && { members: [...batch.members, member], edits: all }
}

function describe(
  doc: NixDocument,
  module: Module,
  operation: Operation
): Pick<Member, 'operation' | 'path' | 'kind'> {
  if (operation.kind === 'import') return { operation, path: ['imports'], kind: 'other' }
  const { target } = operation
  const { path } = target
  if (operation.kind !== 'set' && operation.kind !== 'add')
    return { operation, path, kind: 'other' }
  const isThere = lookUpTarget(doc, module, target).exact.length > 0
  return { operation, path, kind: isThere ? 'stays' : 'new' }
}

/**
 * Whether an operation could come out otherwise once the other is done. A new definition goes beside
 * its nearest relatives, so the other makes a difference where the two share more names than either
 * does with what is there.
 */
function areRelated(a: Member, b: Member): boolean {
  if (a.isComputed || b.isComputed) return true
  if (startsWith(a.path, b.path) || startsWith(b.path, a.path)) return true
  if (a.operation.kind === 'rename' || b.operation.kind === 'rename') return true
  if (a.path[0] !== b.path[0] || (a.kind === 'stays' && b.kind === 'stays')) return false
  if (a.kind === 'other' || b.kind === 'other') return true
  // A set that is on one line, or no longer, takes what is new in another way.
  if ([a, b].some(it => it.kind === 'stays' && it.reflows)) return true
  return commonLength(a.path, b.path) > b.known
}

/**
 * Whether a new definition, which would go to the same place as these, goes behind the last of them
 * once they are done: if nothing that is there, and none of the others, is a nearer relative.
 */
function isNextTo(beside: readonly Member[], member: Member): boolean {
  const last = beside.at(-1)
  if (!last) return true
  const shared = (it: Member) => commonLength(it.path, member.path)
  const most = shared(last)
  return (
    beside.every(it => it.kind === 'new' && shared(it) <= most) &&
    member.kind === 'new' &&
    most + 1 > member.known
  )
}

function knownLength(module: Module, { path, kind }: Pick<Member, 'path' | 'kind'>): number {
  const most = kind === 'new' ? path.length - 1 : path.length
  let known = 0
  while (known < most && isDefined(module, path.slice(0, known + 1) as AttrPath)) known++
  return known
}

function commonLength(a: Member['path'], b: Member['path']): number {
  const differ = a.findIndex((name, i) => name !== b[i])
  return differ === -1 ? a.length : differ
}

/** Whether a module says something of a path or of what is below it. */
function isDefined(module: Module, path: AttrPath): boolean {
  const known = definedIn.get(module) ?? new Map<string, boolean>()
  definedIn.set(module, known)
  const key = path.join('\0')
  const answer = known.get(key)
  if (answer !== undefined) return answer
  const { exact, below } = lookUp(module, path)
  known.set(key, exact.length + below.length > 0)
  return exact.length + below.length > 0
}

// Asked for each of a hundred edits, and mostly about the same few paths.
const definedIn = new WeakMap<Module, Map<string, boolean>>()

// A new binding that says by itself how a next one looks: no blank line before it, nothing behind it.
const PLAIN = /^(\r?\n[ \t]*| ?)[^\s{][\s\S]*\S$/

/** Two insertions at one place as one, where the second looks as it would behind the first. */
function chained(first: Edit, second: Edit): Edit | undefined {
  const isInsertion = first.length === 0 && second.length === 0
  const lead = PLAIN.exec(first.content)?.[1]
  const fits = isInsertion && first.offset === second.offset && lead !== undefined
  return fits && PLAIN.exec(second.content)?.[1] === lead
    ? { ...first, content: first.content + second.content }
    : undefined
}

/**
 * Both lists in the order of the text, or undefined where two edits touch; of two new definitions at
 * one place, the later one comes behind the other.
 */
function merged(some: readonly Edit[], others: readonly Edit[]): Edit[] | undefined {
  const all: Edit[] = []
  let i = 0
  let j = 0
  while (i < some.length || j < others.length) {
    const a = some[i]
    const b = others[j]
    const next = !b || (a && a.offset <= b.offset) ? a : b
    const last = all.at(-1)
    const both = last && next && chained(last, next)
    if (both) all[all.length - 1] = both
    else if (!next || (last && last.offset + last.length >= next.offset)) return undefined
    else all.push(next)
    if (next === a) i++
    else j++
  }
  return all
}

/**
 * The operations with neighbours joined that add to the end of the same list: what is added by the
 * one is what the next one adds behind.
 */
export function coalesced(operations: readonly Operation[]): Operation[] {
  const all: Operation[] = []
  let growing: { path: AttrPath; items: NixValue[] } | undefined
  for (const operation of operations) {
    const path = endOf(operation)
    if (operation.kind === 'add' && path && growing && samePath(growing.path, path)) {
      growing.items.push(...operation.items)
    } else if (operation.kind === 'add' && path) {
      growing = { path, items: [...operation.items] }
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
