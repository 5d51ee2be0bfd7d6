// Moves a definition from one document to another.

import { ownCommentsOf } from './edit/layout.ts'
import type { Operation, Target } from './edit/operation.ts'
import { errorAt, type Message, type NixError, nixError } from './errors.ts'
import { alreadyDefined, inheritedValue } from './messages/definitions.ts'
import {
  definedInSeveralPlaces,
  dependsOnPlace,
  otherDefinition,
  otherMeaning,
  pathComputed,
  relativePath
} from './messages/move.ts'
import type { Definition } from './module/definitions.ts'
import { type AttrPath, type AttrPathLike, formatPath, parsePath } from './path.ts'
import type { Plan } from './plan.ts'
import type { Reader } from './reader.ts'
import { err, ok, type Result } from './result.ts'
import type { Source } from './source.ts'
import { canonicalOfNode, canonicalOfValue } from './syntax/canonical.ts'
import { isComment } from './syntax/nodes.ts'
import { isInScope, meaningOf, variablesIn } from './syntax/scope.ts'
import { pushAll, type SyntaxNode } from './syntax/tree.ts'
import { eolOf } from './text/lines.ts'
import { isDefinition, planOperations } from './transaction.ts'
import { expr, withComments } from './values.ts'
import { visit } from './visit.ts'

/** A document, or an attribute set in one, from `doc.at`. */
type Place = Reader & Source

/** A definition that leaves one document and arrives in another: a plan for each of them. */
export interface Move {
  from: Plan
  to: Plan
}

/** Why a definition can't be moved, and which of the documents the error is about. */
export interface MoveError extends NixError {
  document: keyof Move
}

export interface MoveOptions {
  /** The path of the option in the other document; by default the same. */
  as?: AttrPathLike
  /** Adds arguments of the module that the value uses to the formals of the other module: `pkgs`, `lib`. */
  addFormals?: boolean
  /** The files are in one folder, so that relative paths lead to the same file from both. */
  sameFolder?: boolean
}

/**
 * Moves the definition of an option, or all definitions below it, from one document to another, as two
 * plans: apply both or none. The value comes along with the comments after it, and with those directly above
 * that are about it alone. Both plans are verified. In addition, the value in the other document must
 * be the same, and each variable in it must have the same meaning there. Both plans change nothing if the
 * option is not defined.
 *
 * Errors: those of `removeIn` (about `from`) and of `setIn` (about `to`); `CONFLICT` if the other document
 * defines the option already; `BAD_VALUE` if the value uses a variable that has another meaning or none
 * in the other document, or a relative path; `NO_TARGET` if a condition, a priority or a module around the
 * definition would not come along; `AMBIGUOUS_TARGET`, `DYNAMIC_ATTRIBUTE`, `INHERITED`, `BAD_PATH`.
 */
export function moveDefinition(
  from: Place,
  option: AttrPathLike | Definition,
  to: Place,
  options: MoveOptions = {}
): Result<Move, MoveError> {
  const found = movedFrom(from, option, options)
  if (!found.ok) return about('from', found.error)
  const moved = found.value
  const existing = moved.map(it => [...to.getIn(it.path), ...to.getBelow(it.path)][0])
  for (const [i, it] of existing.entries()) {
    if (it) return about('to', errorAt(it.binding, alreadyDefined((moved[i] as Moved).path)))
  }
  const target = (it: Moved): Target => ({
    kind: 'definition',
    path: it.definition.path,
    offset: it.definition.binding.start,
    steps: []
  })
  const leaving = planOperations(
    from,
    moved.map(it => ({ kind: 'remove', target: target(it), takesCommentsAbove: true }))
  )
  if (!leaving.ok) return about('from', leaving.error)
  const arriving = planOperations(to, [
    ...(options.addFormals ? formalsFor(moved, to) : []),
    ...moved.map(it => arrivalOf(it, to))
  ])
  if (!arriving.ok) return about('to', arriving.error)
  const move = { from: leaving.value, to: arriving.value }
  const fault = faultOf(moved, to, move.to) ?? lostComment(from, to, move)
  return fault ? about('from', fault) : ok(move)
}

function about(document: keyof Move, error: NixError): { ok: false; error: MoveError } {
  return err({ ...error, document })
}

/** A definition to move, and its path in the other document. */
interface Moved {
  definition: Definition
  path: AttrPath
}

/** The definitions to move, or why one can't be moved. */
function movedFrom(
  from: Place,
  option: AttrPathLike | Definition,
  { as, sameFolder = false }: MoveOptions
): Result<Moved[], NixError> {
  const path = isDefinition(option) ? ok(option.path) : parsePath(option)
  if (!path.ok) return path
  const wanted = as === undefined ? ok(undefined) : parsePath(as)
  if (!wanted.ok) return wanted
  const definitions = isDefinition(option)
    ? [option]
    : [...from.getIn(option), ...from.getBelow(option)]
  const moved: Moved[] = []
  const known = new Set<string>()
  for (const definition of definitions.sort((a, b) => a.binding.start - b.binding.start)) {
    const refusal = refusalOf(definition, sameFolder)
    if (refusal) return err(refusal)
    const names = definition.path as AttrPath
    const target = wanted.value ? [...wanted.value, ...names.slice(path.value.length)] : names
    const key = formatPath(target)
    if (known.has(key)) return err(errorAt(definition.binding, definedInSeveralPlaces(target)))
    known.add(key)
    moved.push({ definition, path: target })
  }
  return ok(moved)
}

/** Why a definition can't be moved to any other file; undefined if it can. */
function refusalOf(definition: Definition, sameFolder: boolean): NixError | undefined {
  const { binding, value, path, inherited, conditions, priorities, modules } = definition
  const refuse = (message: Message, node = binding) => errorAt(node, message)
  if (path.includes(undefined)) return refuse(pathComputed(path))
  if (inherited) return refuse(inheritedValue(path))
  const around = { condition: conditions[0], priority: priorities[0] }
  if (conditions.length + priorities.length + modules.length > 0) {
    return refuse(dependsOnPlace(path, around))
  }
  const relative = sameFolder ? undefined : relativePathIn(value)
  return relative && refuse(relativePath(relative.text), relative)
}

function relativePathIn(value: SyntaxNode): SyntaxNode | undefined {
  const stack = [value]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (at.type === 'path_expression' && !at.text.startsWith('/')) return at
    pushAll(stack, at.children)
  }
  return undefined
}

/** The arguments of the module that the values use and that the other module does not have. */
function formalsFor(moved: readonly Moved[], to: Place): Operation[] {
  const module = to.module()
  const set = module.ok ? module.value.sets[0] : undefined
  if (!set) return []
  const names = moved
    .flatMap(({ definition: { value } }) => variablesIn(value).map(it => ({ it, value })))
    .filter(({ it, value }) => meaningOf(it, value) === `argument ${it.text}`)
    .map(({ it }) => it.text)
  return [...new Set(names)]
    .filter(name => !isInScope(set, name))
    .map(name => ({ kind: 'addFormal', of: 'set', name, fallback: undefined }))
}

function arrivalOf({ definition: { binding, value, source }, path }: Moved, to: Place): Operation {
  const eol = eolOf(to.text)
  const withEol = (text: string) => text.replace(/\r?\n/g, eol)
  // A carriage return in an indented string is part of its value.
  const isSame = canonicalOfValue(expr(withEol(source))) === canonicalOfNode(value)
  const { above, after } = ownCommentsOf(binding, value)
  const comments = { above: above.map(withEol), after: after.map(withEol) }
  const moved = withComments(expr(isSame ? withEol(source) : source), comments)
  return { kind: 'set', target: { kind: 'path', path }, value: moved }
}

/** Why the other document does not have the same definitions; undefined if it has. */
function faultOf(moved: readonly Moved[], to: Place, plan: Plan): NixError | undefined {
  if (moved.length === 0) return undefined
  const after = to.edited(plan.edits) as Place
  for (const { definition, path } of moved) {
    const { value } = definition
    const [arrived, ...others] = after.getIn(path)
    const isSame = arrived && canonicalOfNode(arrived.value) === canonicalOfNode(value)
    if (!isSame || others.length > 0) return nixError(plan.text, otherDefinition)
    const variables = variablesIn(arrived.value)
    for (const [i, variable] of variablesIn(value).entries()) {
      const other = variables[i]
      if (other?.text !== variable.text) return nixError(plan.text, otherDefinition)
      const meaning = meaningOf(variable, value)
      const isMeant = meaning !== undefined && meaning === meaningOf(other, arrived.value)
      if (!isMeant) return errorAt(variable, otherMeaning(variable.text))
    }
  }
  return undefined
}

/** The fault if the two results together have fewer comments than before; undefined if not. */
function lostComment(from: Place, to: Place, move: Move): NixError | undefined {
  const dropped = move.to.notes.filter(it => it.code === 'COMMENT_DROPPED').length
  const left = [from.edited(move.from.edits), to.edited(move.to.edits)]
  const comments = left.flatMap(it => commentsBelow(it.root))
  const before = [from, to].flatMap(it => commentsBelow(it.root))
  const lost = before.filter(it => {
    const at = comments.indexOf(it)
    if (at !== -1) comments.splice(at, 1)
    return at === -1
  })
  return lost.length > dropped ? nixError(from.text, otherDefinition) : undefined
}

function commentsBelow(root: SyntaxNode): string[] {
  const found: string[] = []
  visit(root, node => {
    if (isComment(node)) found.push(node.text.replaceAll('\r', ''))
    return undefined
  })
  return found
}
