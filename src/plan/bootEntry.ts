// Finds the boot entry that a run changes. A specialisation inherits the configuration and adds to it, so options in a
// specialisation do not change the default boot entry.

import { innerModule } from '../configuration/bootEntries.ts'
import type { Configuration } from '../configuration/load.ts'
import { nixError } from '../nix/errors.ts'
import {
  type AttrPath,
  canonicalOfValue,
  type Definition,
  formatPath,
  type NixDocument,
  type NixError,
  type SyntaxNode
} from '../nix/index.ts'
import { combinatorOf } from '../nix/module/combinators.ts'
import { unwrapped } from '../nix/module/module.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { canonicalOfNode } from '../nix/syntax/canonical.ts'
import { isDefined } from '../settings/edit.ts'
import { type OptionChange, VFIO } from '../settings/options.ts'
import {
  inheritsNothing,
  isBuiltSystem,
  isConditional,
  isFunction,
  isInOtherFile,
  isReference,
  setForEveryEntry
} from './messages/bootEntry.ts'
import type { ApplyProblem } from './problem.ts'
import { findUses } from './removal/uses.ts'

/** The path of a specialisation's options; empty for every boot entry. */
export function prefixOf(specialisation: string | undefined): readonly string[] {
  return specialisation === undefined ? [] : ['specialisation', specialisation, 'configuration']
}

/** The paths at which an option applies to a boot entry, the entry's own path first. */
export function pathsFor(prefix: readonly string[], option: AttrPath): AttrPath[] {
  return prefix.length === 0 ? [option] : [[...prefix, ...option], option]
}

/** The boot entries that have options of `virtualisation.vfio`. */
interface Profiles {
  /** Whether the configuration itself has such options, which every boot entry inherits. */
  everywhere: boolean
  /** The specialisations with such options, in source order. */
  specialisations: readonly string[]
}

/** The names of all specialisations that a module defines, in source order. */
export function specialisationsOf(doc: NixDocument): string[] {
  const names = doc.leaves().flatMap(it => (it.path[0] === 'specialisation' && it.path[1]) || [])
  return [...new Set(names)]
}

/** The boot entries for which these files define `virtualisation.vfio`, also in functions and under conditions. */
export function profilesOf(files: readonly { doc: NixDocument }[]): Profiles {
  const all = files.map(it => it.doc)
  return {
    everywhere: all.some(it => isDefined(it, VFIO)),
    specialisations: [...new Set(all.flatMap(specialisationsWithVfio))]
  }
}

function specialisationsWithVfio(doc: NixDocument): string[] {
  const entries = doc.leaves().filter(it => it.path[0] === 'specialisation')
  const uses = entries.length > 0 ? findUses(doc, '', { options: [VFIO], files: new Set() }) : []
  const nodes = uses.filter(it => it.kind === 'definition').map(it => it.node)
  return entries
    .filter(({ value }) => nodes.some(it => overlaps(it, value)))
    .flatMap(({ path }) => path[1] ?? [])
}

function overlaps(a: SyntaxNode, b: SyntaxNode): boolean {
  return a.start < b.end && b.start < a.end
}

/**
 * The specialisation to which a run writes its options: the `requested` one, otherwise the only one that already has
 * options of `virtualisation.vfio`, in this file or an imported one. Undefined for every boot entry.
 *
 * Errors: `SEVERAL_PROFILES` if several boot entries have such options and none was requested; `GIVEN_EVERYWHERE` if
 * every boot entry passes devices through, which a new specialisation would inherit; `NIX` if nothing can be added to
 * the specialisation.
 */
export function targetOf(
  { target: { path }, files }: Pick<Configuration, 'target' | 'files'>,
  requested: string | undefined,
  isEdited: boolean
): Result<string | undefined, ApplyProblem> {
  const { everywhere, specialisations: names } = profilesOf(files)
  if (requested === undefined) {
    const [first] = names
    const count = names.length + (everywhere ? 1 : 0)
    if (isEdited && count > 1) return err({ code: 'SEVERAL_PROFILES', path, names, everywhere })
    if (everywhere || first === undefined || !isEdited) return ok(count === 1 ? first : undefined)
    return checkedEntry(files, first)
  }
  if (names.includes(requested) && !isEdited) return ok(requested)
  for (const file of names.includes(requested) ? [] : files) {
    const devices = devicesEverywhere(file.doc)
    if (!devices) continue
    const at = { path: file.path, ...devices.at }
    return err({ code: 'GIVEN_EVERYWHERE', path, name: requested, at })
  }
  return checkedEntry(files, requested)
}

function checkedEntry(
  [configuration, ...imported]: readonly { path: string; doc: NixDocument }[],
  name: string
): Result<string | undefined, ApplyProblem> {
  for (const { path, doc } of imported) {
    const error = notInheriting(doc, name)
    if (error) return err({ code: 'NIX', path, error })
  }
  const error = configuration && obstacleIn(configuration.doc, name)
  return error ? err({ code: 'NIX', path: configuration.path, error }) : ok(name)
}

/**
 * The changes that a specialisation needs, without those that it inherits from the configuration. `CONFLICT` if the
 * configuration sets an option to another value for every boot entry.
 */
export function notInherited(
  doc: NixDocument,
  changes: readonly OptionChange[],
  prefix: readonly string[]
): Result<readonly OptionChange[], NixError> {
  if (prefix.length === 0) return ok(changes)
  const needed: OptionChange[] = []
  for (const it of changes) {
    const value = it.kind === 'value' || it.kind === 'default' ? it.value : undefined
    const [found] = value === undefined ? [] : doc.getIn(it.path)
    const isOwn = doc.getIn([...prefix, ...it.path]).length > 0
    if (!found || value === undefined || isOwn || /\bmk\w*Default\b/.test(found.source)) {
      needed.push(it)
      continue
    }
    // The specialisation would inherit `enable = false`, so that is a conflict even if the new value is a default.
    if (it.kind !== 'value' && it.path.at(-1) !== 'enable') continue
    if (canonicalOfValue(value) === canonicalOfNode(found.value)) continue
    const refusal = setForEveryEntry(formatPath(it.path))
    return err(nixError(doc.text, { ...refusal, range: found.binding }))
  }
  return ok(needed)
}

/** The first definition that passes devices through in every boot entry, if there is one. */
function devicesEverywhere(doc: NixDocument): Definition | undefined {
  const lists = ['devices', 'addresses'].flatMap(it => doc.getIn([...VFIO, it]))
  return lists.find(it => !/^\[\s*\]$/.test(it.source))
}

/** The error for a specialisation that does not inherit the modules of vfio-patch. */
function notInheriting(doc: NixDocument, name: string): NixError | undefined {
  const path = ['specialisation', name]
  const [disinherit] = doc
    .getIn([...path, 'inheritParentConfig'])
    .filter(it => /\bfalse$/.test(it.source))
  return disinherit
    ? nixError(doc.text, { ...inheritsNothing(formatPath(path)), range: disinherit.binding })
    : undefined
}

/** The error for a specialisation to which nothing can be added, as far as the text shows. */
function obstacleIn(doc: NixDocument, name: string): NixError | undefined {
  const path = ['specialisation', name]
  const entry = formatPath(path)
  const refuse = (range: SyntaxNode, refusal: ReturnType<typeof isFunction>) =>
    nixError(doc.text, { ...refusal, range })

  const error = notInheriting(doc, name)
  if (error) return error
  const [whole] = doc.getIn([...path, 'toplevel'])
  if (whole) return refuse(whole.binding, isBuiltSystem(entry))
  if (innerModule(doc, prefixOf(name))) return undefined
  for (const definition of [...doc.getIn(path), ...doc.getIn([...path, 'configuration'])]) {
    const { binding, value, conditions } = definition
    const inner = unwrapped(value)
    const under = [...conditions, ...conditionsOf(doc, inner)]
    if (under.length > 0) return refuse(binding, isConditional(entry, under))
    if (inner.type === 'function_expression') return refuse(binding, isFunction(entry))
    const source = sourceOf(doc, inner)
    if (inner.type === 'path_expression' || /^import\b/.test(source)) {
      return refuse(binding, isInOtherFile(entry, source))
    }
    if (inner.type === 'select_expression' || inner.type === 'variable_expression') {
      return refuse(binding, isReference(entry, source))
    }
  }
  return undefined
}

/** The condition of `mkIf` and similar functions. */
function conditionsOf(doc: NixDocument, value: SyntaxNode): string[] {
  const combinator = combinatorOf(value)
  return combinator?.kind === 'condition' ? [sourceOf(doc, combinator.condition)] : []
}

function sourceOf({ text }: NixDocument, { start, end }: SyntaxNode): string {
  return text.slice(start, end)
}
