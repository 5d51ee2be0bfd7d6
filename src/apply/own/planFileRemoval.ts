// One file without our part.

import type { AttrPath, Definition, NixDocument, NixError, Plan } from '../../nix/index.ts'
import { startsWith } from '../../nix/path.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { RemoveProblem } from '../problem.ts'
import { importsTo, type ModuleDocument, type OwnImport } from '../read/importClosure.ts'
import { prefixOf, specialisationsOf } from '../specialisation.ts'
import { backTo } from './backTo.ts'
import { findOwnUses, type OwnThings, type OwnUse, resolved } from './ownUses.ts'
import { unchanged } from './planOf.ts'
import { afterEdits, withoutBindings, withoutTraces } from './takeOut.ts'

/**
 * Works out what takes our part out of one file: the `imports` of it, and the options among `things` that
 * only our modules declare. Where one of its `earlier` texts differs in blanks only, it is that one again.
 * A file without any of this gives a plan without edits. Refuses with `NIX` what can't be read or edited;
 * a file that can't be read and names none of the options is left as it is, unless it is the configuration.
 */
export function planFileRemoval(
  module: ModuleDocument,
  imports: readonly OwnImport[],
  things: OwnThings,
  earlier: readonly string[] = []
): Result<Plan, RemoveProblem> {
  const { path, doc, importer } = module
  const refuse = (error: NixError) => err({ code: 'NIX' as const, path, error })
  const [error] = doc.errors
  if (error) {
    // Of a file that can't be read, only its words tell whether it has anything of ours.
    const isOurs = importer === undefined || things.options.some(it => mentions(doc.text, it))
    return isOurs ? refuse(error) : ok(unchanged(doc.text))
  }
  const spellings = new Set(
    imports.filter(it => it.importer === path).map(it => resolved(path, it.spelling))
  )
  const uses = findOwnUses(doc, path, things)
  const visible = new Set(visibleDefinitions(doc, things.options).map(it => it.binding.start))
  const isDefined = visible.size > 0 || uses.some(it => it.kind === 'definition')
  if (spellings.size === 0 && !isDefined) return ok(unchanged(doc.text))
  const isHidden = ({ kind, node }: OwnUse) => kind === 'definition' && !visible.has(node.start)
  const bared = withoutBindings(
    doc,
    uses.filter(isHidden).map(it => it.node)
  )
  const isOurs = (spelling: string) => spellings.has(resolved(path, spelling))
  const plan = planVisible(bared.doc, things, isOurs, earlier)
  return plan.ok ? ok(afterEdits(doc.text, bared.edits, plan.value)) : refuse(plan.error)
}

/** Takes out what the toolkit can see, as it can see which option it is. */
function planVisible(
  doc: NixDocument,
  things: OwnThings,
  isOurs: (spelling: string) => boolean,
  earlier: readonly string[]
): Result<Plan, NixError> {
  const items = importsTo(doc, isOurs)
  const gone = withEmptied(doc, visibleOptions(doc, things.options))
  const withoutOptions = () => {
    const edit = doc.edit()
    for (const option of gone) edit.removeIn(option)
    return edit
  }
  const plan = withoutOptions().removeIn('imports', items).plan()
  if (!plan.ok) return plan
  // An empty list that only our import made necessary goes as well.
  const isOnly = items.length > 0 && doc.itemsIn('imports').length === items.length
  const bare = isOnly ? withoutOptions().removeIn('imports').plan() : plan
  const proved: [Plan, ...Plan[]] = bare.ok ? [plan.value, bare.value] : [plan.value]
  const back = earlier.map(it => backTo(it, doc, proved)).find(it => it !== undefined)
  return ok(back ?? withoutTraces(doc, definedIn(doc, gone), isOurs, proved))
}

/** The definitions of these options that the toolkit knows for such, also inside specialisations. */
export function visibleDefinitions(doc: NixDocument, options: readonly AttrPath[]): Definition[] {
  return definedIn(doc, visibleOptions(doc, options))
}

/** The options as they are spelt, those inside specialisations, too. */
function visibleOptions(doc: NixDocument, options: readonly AttrPath[]): AttrPath[] {
  const names = specialisationsOf(doc)
  const prefixes = [[], ...names.map(prefixOf)]
  return prefixes.flatMap(prefix => options.map(it => [...prefix, ...it]))
}

/** The same options, but a specialisation that has nothing else goes as a whole: it would be no other entry. */
function withEmptied(doc: NixDocument, options: readonly AttrPath[]): AttrPath[] {
  const emptied = specialisationsOf(doc)
    .map(it => ['specialisation', it])
    .filter(entry => {
      const leaves = doc.leaves().filter(it => startsWith(it.path, entry))
      return leaves.every(({ path }) => options.some(it => startsWith(path, it)))
    })
  const rest = options.filter(it => !emptied.some(entry => startsWith(it, entry)))
  return [...rest, ...emptied]
}

/** What defines one of these options, or something below it, in source order. */
function definedIn(doc: NixDocument, options: readonly AttrPath[]): Definition[] {
  const all = options.flatMap(it => [...doc.getIn(it), ...doc.getBelow(it)])
  return all.sort((a, b) => a.binding.start - b.binding.start)
}

function mentions(text: string, option: AttrPath): boolean {
  return new RegExp(`\\b${option.at(-1)}\\b`).test(text)
}
