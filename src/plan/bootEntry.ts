// A boot entry of its own: a specialisation inherits the configuration and adds to it, so that the usual
// entry stays as it was. Which one a run is about is read from the configuration, as all else is.

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
import type { ApplyProblem } from './problem.ts'
import { findOwnUses } from './removal/uses.ts'

/** The path below which options of a specialisation stand; that of every boot entry is empty. */
export function prefixOf(specialisation: string | undefined): readonly string[] {
  return specialisation === undefined ? [] : ['specialisation', specialisation, 'configuration']
}

/** The paths of an option that count in a boot entry, its own first. */
export function pathsFor(prefix: readonly string[], option: AttrPath): AttrPath[] {
  return prefix.length === 0 ? [option] : [[...prefix, ...option], option]
}

/** The boot entries that have options of `virtualisation.vfio`. */
interface Profiles {
  /** Whether the configuration itself has some, which every boot entry gets. */
  everywhere: boolean
  /** The specialisations that have some, in the order of the text. */
  specialisations: readonly string[]
}

/** The names of all specialisations that a module defines, in the order of the text. */
export function specialisationsOf(doc: NixDocument): string[] {
  const names = doc.leaves().flatMap(it => (it.path[0] === 'specialisation' && it.path[1]) || [])
  return [...new Set(names)]
}

/** Where these files set passthrough up, also behind functions and conditions. */
export function profilesOf(files: readonly { doc: NixDocument }[]): Profiles {
  const all = files.map(it => it.doc)
  return {
    everywhere: all.some(it => isDefined(it, VFIO)),
    specialisations: [...new Set(all.flatMap(entriesWithOurs))]
  }
}

function entriesWithOurs(doc: NixDocument): string[] {
  const entries = doc.leaves().filter(it => it.path[0] === 'specialisation')
  const uses = entries.length > 0 ? findOwnUses(doc, '', { options: [VFIO], files: new Set() }) : []
  const nodes = uses.filter(it => it.kind === 'definition').map(it => it.node)
  return entries
    .filter(({ value }) => nodes.some(it => meets(it, value)))
    .flatMap(({ path }) => path[1] ?? [])
}

function meets(a: SyntaxNode, b: SyntaxNode): boolean {
  return a.start < b.end && b.start < a.end
}

/**
 * The specialisation that a run writes its options into; undefined where they are for every boot entry.
 * That is the one that was `asked` for, else the one that has such options already, be it in a file that
 * is imported.
 *
 * `SEVERAL_PROFILES` where more than one has, and none was named; `GIVEN_EVERYWHERE` where every boot
 * entry gives devices away, which a new specialisation would inherit; `NIX` where nothing can be added to
 * the one that was asked for.
 */
export function targetOf(
  { target: { path }, files }: Pick<Configuration, 'target' | 'files'>,
  asked: string | undefined,
  isEdited: boolean
): Result<string | undefined, ApplyProblem> {
  const { everywhere, specialisations: names } = profilesOf(files)
  if (asked === undefined) {
    const [first] = names
    const count = names.length + (everywhere ? 1 : 0)
    if (isEdited && count > 1) return err({ code: 'SEVERAL_PROFILES', path, names, everywhere })
    if (everywhere || first === undefined || !isEdited) return ok(count === 1 ? first : undefined)
    return checked(files, first)
  }
  if (names.includes(asked) && !isEdited) return ok(asked)
  for (const file of names.includes(asked) ? [] : files) {
    const devices = devicesEverywhere(file.doc)
    if (!devices) continue
    const at = { path: file.path, ...devices.at }
    return err({ code: 'GIVEN_EVERYWHERE', path, name: asked, at })
  }
  return checked(files, asked)
}

function checked(
  [configuration, ...imported]: readonly { path: string; doc: NixDocument }[],
  name: string
): Result<string | undefined, ApplyProblem> {
  for (const { path, doc } of imported) {
    const error = standsAlone(doc, name)
    if (error) return err({ code: 'NIX', path, error })
  }
  const error = configuration && obstacleIn(configuration.doc, name)
  return error ? err({ code: 'NIX', path: configuration.path, error }) : ok(name)
}

/**
 * What a specialisation has to say itself: what every boot entry says already, it inherits. `CONFLICT`
 * where that is another value than the wanted one.
 */
export function notInherited(
  doc: NixDocument,
  wanted: readonly OptionChange[],
  prefix: readonly string[]
): Result<readonly OptionChange[], NixError> {
  if (prefix.length === 0) return ok(wanted)
  const said: OptionChange[] = []
  for (const it of wanted) {
    const value = it.kind === 'value' || it.kind === 'default' ? it.value : undefined
    const [found] = value === undefined ? [] : doc.getIn(it.path)
    const isOwn = doc.getIn([...prefix, ...it.path]).length > 0
    if (!found || value === undefined || isOwn || /\bmk\w*Default\b/.test(found.source)) {
      said.push(it)
      continue
    }
    // Switched off in every boot entry, it would be so in this one.
    if (it.kind !== 'value' && it.path.at(-1) !== 'enable') continue
    if (canonicalOfValue(value) === canonicalOfNode(found.value)) continue
    return err(
      nixError(doc.text, {
        code: 'CONFLICT',
        message: `${formatPath(it.path)} is set for every boot entry here, and a specialisation can not give it another value`,
        range: found.binding,
        hint: 'take it out here, or set it to what you want in every boot entry'
      })
    )
  }
  return ok(said)
}

/** The first definition that gives devices to guests in every boot entry. */
function devicesEverywhere(doc: NixDocument): Definition | undefined {
  const lists = ['devices', 'addresses'].flatMap(it => doc.getIn([...VFIO, it]))
  return lists.find(it => !/^\[\s*\]$/.test(it.source))
}

/** Why our modules do not reach a specialisation. */
function standsAlone(doc: NixDocument, name: string): NixError | undefined {
  const path = ['specialisation', name]
  const [alone] = doc
    .getIn([...path, 'inheritParentConfig'])
    .filter(it => /\bfalse$/.test(it.source))
  return alone
    ? nixError(doc.text, {
        code: 'NO_TARGET',
        message: `${formatPath(path)} inherits nothing of this configuration, so the modules of vfio-patch do not reach it`,
        range: alone.binding,
        hint: 'choose a new name for the boot entry'
      })
    : undefined
}

/** Why nothing can be added to a specialisation, as far as the text says it. */
function obstacleIn(doc: NixDocument, name: string): NixError | undefined {
  const path = ['specialisation', name]
  const call = formatPath(path)
  const other = `write it as ${call}.configuration = { … }, or choose a new name for the boot entry`
  const refuse = (at: SyntaxNode, message: string, hint = other) =>
    nixError(doc.text, { code: 'NO_TARGET', message, range: at, hint })

  const alone = standsAlone(doc, name)
  if (alone) return alone
  const [whole] = doc.getIn([...path, 'toplevel'])
  if (whole) {
    return refuse(
      whole.binding,
      `${call} is a system that was built elsewhere, so options do not count in it`,
      'choose a new name for the boot entry'
    )
  }
  if (innerModule(doc, prefixOf(name))) return undefined
  for (const definition of [...doc.getIn(path), ...doc.getIn([...path, 'configuration'])]) {
    const { binding, value, conditions } = definition
    const inner = unwrapped(value)
    const under = [...conditions, ...conditionsOf(doc, inner)]
    if (under.length > 0) {
      return refuse(
        binding,
        `${call} counts only if ${under.join(' and ')}`,
        'choose a new name for the boot entry, or add the options there by hand'
      )
    }
    if (inner.type === 'function_expression') {
      return refuse(binding, `${call} is written as a function that can not be edited`)
    }
    const source = sourceOf(doc, inner)
    if (inner.type === 'path_expression' || /^import\b/.test(source)) {
      return refuse(
        binding,
        `${call} stands in another file, ${source}`,
        'choose a new name for the boot entry, or add the options in that file by hand'
      )
    }
    if (inner.type === 'select_expression' || inner.type === 'variable_expression') {
      return refuse(binding, `${call} is ${source}, and nothing can be added to that here`)
    }
  }
  return undefined
}

/** The condition of an `mkIf` and its like. */
function conditionsOf(doc: NixDocument, value: SyntaxNode): string[] {
  const combinator = combinatorOf(value)
  return combinator?.kind === 'condition' ? [sourceOf(doc, combinator.condition)] : []
}

function sourceOf({ text }: NixDocument, { start, end }: SyntaxNode): string {
  return text.slice(start, end)
}
