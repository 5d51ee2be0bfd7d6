import { dirname, join } from 'node:path'
import type { FolderListing, SourceFile } from '../configuration/files.ts'
import {
  type ConfigurationFile,
  declares,
  type ImportLink,
  importsTo
} from '../configuration/imports.ts'
import type { Configuration } from '../configuration/load.ts'
import { stampOf } from '../configuration/stamp.ts'
import type { AttrPath, Definition, NixDocument, NixError, Plan } from '../nix/index.ts'
import { startsWith } from '../nix/path.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { commentsOf, elementsOf } from '../nix/syntax/nodes.ts'
import { moveOffset } from '../nix/text/edits.ts'
import { type ApplyPlan, notEditable } from './apply.ts'
import { prefixOf, specialisationsOf } from './bootEntry.ts'
import type { PlannedFile } from './changes.ts'
import { type DroppedModules, dropModules } from './modulesFolder.ts'
import type { RemoveProblem, UsePlace } from './problem.ts'
import { afterEdits, unchanged, withoutBindings } from './removal/takeOut.ts'
import { findOwnUses, type OwnThings, type OwnUse, resolved } from './removal/uses.ts'

/** All that a run of `remove` knows; nothing else is looked at. */
export interface RemoveInput {
  configuration: Configuration
  /** The folder where our modules are if nothing imports them, as it would be imported. */
  usual: string
  /** That folder, and those of our modules that are imported, links resolved; what stands in them. */
  folders: ReadonlyMap<string, FolderListing>
  /** The options that only our modules declare. */
  own: readonly AttrPath[]
  /** Other files of the repository, which the configuration does not import. */
  others: readonly SourceFile[]
}

export interface RemovePlan extends ApplyPlan, Pick<DroppedModules, 'kept' | 'strangers'> {
  /** Folders with modules of ours that stay, and the file of the repository that imports them. */
  stays: { folder: string; importer: string }[]
}

/**
 * Works out what takes our part out of a configuration again: our import and the options that only
 * our modules declare, in the configuration and in what it imports, and the modules themselves. What
 * stands in the files decides, not a record of what was once written there.
 *
 * A configuration that has nothing of ours gives a plan without files; options of the same names
 * that somebody else's module declares are not ours. Guests in files of their own stay as they are,
 * and no longer imported. Refuses with `WRONG_KIND` such a file if it is
 * no module, with `STILL_USED` where what is left would need what goes, with `USED_ELSEWHERE` where
 * another file of the repository would, with `NIX` what can't be read or edited.
 */
export function planRemove(input: RemoveInput): Result<RemovePlan, RemoveProblem> {
  const { configuration, own } = input
  const stamped = [...input.folders].filter(([, it]) => hasModules(it))
  const isGuest = (it: { path: string }) =>
    stamped.some(([folder]) => it.path.startsWith(`${folder}/guests/`))
  const modules = configuration.files.filter(it => !isGuest(it))
  const { path, text } = configuration.target
  const gone = own.filter(it => !modules.some(module => declares(module.doc, it)))
  const imports = [
    ...configuration.installed,
    ...configuration.links.filter(isGuest),
    ...lostImports(modules, gone, input)
  ]
  if (imports.length === 0 && stamped.length === 0) {
    const problem = notEditable(configuration.target, 'generated')
    if (problem) return err(problem)
    const plan = { files: [], configuration: unchanged(text) }
    return ok({ ...plan, kept: [], stays: [], strangers: [] })
  }

  const stays = stayingFolders(stamped, input.others)
  const going = stamped.filter(([folder]) => !stays.some(it => it.folder === folder))
  const { files, kept, strangers } = dropModules(going)
  const things: OwnThings = { options: gone, files: goneFiles(imports, files) }

  const edited: { module: ConfigurationFile; plan: Plan }[] = []
  for (const module of modules) {
    const plan = planFileRemoval(module, imports, things)
    if (!plan.ok) return plan
    edited.push({ module, plan: plan.value })
  }
  const left = edited.flatMap(({ module, plan }) => usesLeft(module, things, plan))
  if (left.length > 0) return err({ code: 'STILL_USED', path, uses: left })
  // Where somebody else imports the modules, they may well be meant by what stands elsewhere.
  const elsewhere =
    stays.length > 0 ? [] : outside(input, going).flatMap(it => usesLeft(it, things))
  if (elsewhere.length > 0) return err({ code: 'USED_ELSEWHERE', path, uses: elsewhere })

  const changes = edited
    .filter(it => it.plan.changed)
    .map(({ module, plan }) => ({ path: module.path, before: module.text, after: plan.text }))
  return ok({
    files: [
      ...files.filter(it => it.after !== undefined),
      ...changes.filter(it => it.path !== path),
      ...changes.filter(it => it.path === path),
      ...files.filter(it => it.after === undefined)
    ],
    configuration: edited[0]?.plan ?? unchanged(text),
    kept,
    stays,
    strangers
  })
}

/**
 * The other files, without those that only our modules can have led to, and those that declare options
 * of ours themselves: no system can have both, so these need nothing of ours.
 */
function outside(
  { others, own }: RemoveInput,
  going: readonly [string, FolderListing][]
): RemoveInput['others'] {
  const isInside = (path: string) => going.some(([folder]) => path.startsWith(`${folder}/`))
  const isTheirs = (doc: NixDocument) => own.some(it => declares(doc, it))
  return others.filter(
    ({ path, doc }) => !isInside(path) && stampOf(doc.text) === 'none' && !isTheirs(doc)
  )
}

function hasModules(listing: FolderListing): boolean {
  if (typeof listing === 'string') return false
  return [...listing].some(
    ([name, it]) => name.endsWith('.nix') && stampOf(it?.text ?? '') !== 'none'
  )
}

/**
 * Imports of the usual folder where somebody deleted it and left the import. Without an option of
 * ours beside it, nothing says that it was ours.
 */
function lostImports(
  modules: readonly ConfigurationFile[],
  gone: readonly AttrPath[],
  { usual, folders }: RemoveInput
): ImportLink[] {
  const isDefined = modules.some(({ doc }) => visibleDefinitions(doc, gone).length > 0)
  if (!isDefined || folders.get(usual) !== 'absent') return []
  return modules.flatMap(({ path, imports }) =>
    imports.flatMap(({ path: spelling, isCertain }) =>
      spelling !== undefined && resolved(path, spelling) === usual
        ? [
            {
              importer: path,
              spelling,
              path: join(usual, 'default.nix'),
              isConditional: !isCertain
            }
          ]
        : []
    )
  )
}

/** The folders that a file imports which is not the configuration's: they serve another machine. */
function stayingFolders(
  stamped: readonly [string, FolderListing][],
  others: RemoveInput['others']
): RemovePlan['stays'] {
  return stamped.flatMap(([folder, listing]) => {
    const names = typeof listing === 'string' ? [] : [...listing.keys()]
    const files = new Set([folder, ...names.map(it => join(folder, it))])
    const importer = others
      .filter(it => !files.has(it.path))
      .find(it => usesLeft(it, { options: [], files }).length > 0)
    return importer ? [{ folder, importer: importer.path }] : []
  })
}

/** What no file may lead to any more. */
function goneFiles(imports: readonly ImportLink[], files: readonly PlannedFile[]): Set<string> {
  const gone = [...imports, ...files.filter(it => it.after === undefined)].map(it => it.path)
  // A folder stands for its default.nix.
  return new Set(gone.flatMap(it => (it.endsWith('/default.nix') ? [it, dirname(it)] : [it])))
}

/** What needs our part in a text from which it was taken out; with the places in the text before. */
function usesLeft(
  { path, doc }: SourceFile,
  things: OwnThings,
  plan: Plan = unchanged(doc.text)
): UsePlace[] {
  const before = (offset: number) => moveOffset(plan.inverse, offset)
  const after = plan.changed ? doc.edited(plan.edits) : doc
  return findOwnUses(after, path, things).map(({ kind, name, node }) => ({
    path,
    text: doc.text,
    kind,
    name,
    range: { start: before(node.start), end: before(node.end) }
  }))
}

// One file without our part.

/**
 * Works out what takes our part out of one file: the `imports` of it, and the options among `things` that
 * only our modules declare. An `imports` list without other items goes as a whole. A file without any of this gives a plan without edits. Refuses with `NIX` what can't be read or edited;
 * a file that can't be read and names none of the options is left as it is, unless it is the configuration.
 */
function planFileRemoval(
  module: ConfigurationFile,
  imports: readonly ImportLink[],
  things: OwnThings
): Result<Plan, RemoveProblem> {
  const { path, doc, importer } = module
  const refuse = (error: NixError) => err({ code: 'NIX' as const, path, error })
  const [error] = doc.errors
  if (error) {
    // Of a file that can't be read, only its words tell whether it has anything of ours.
    const names = things.options.map(it => new RegExp(`\\b${it.at(-1)}\\b`))
    const isOurs = importer === undefined || names.some(it => it.test(doc.text))
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
  const hidden = uses.filter(isHidden).map(it => it.node)
  const bared = withoutBindings(doc, hidden)
  const isOurs = (spelling: string) => spellings.has(resolved(path, spelling))
  const plan = planVisible(bared.doc, things, isOurs)
  return plan.ok ? ok(afterEdits(doc.text, bared.edits, plan.value)) : refuse(plan.error)
}

/** Takes out what the toolkit can see, as it can see which option it is. */
function planVisible(
  doc: NixDocument,
  things: OwnThings,
  isOurs: (spelling: string) => boolean
): Result<Plan, NixError> {
  const edit = doc.edit()
  for (const option of withEmptied(doc, visibleOptions(doc, things.options))) edit.removeIn(option)
  const items = importsTo({ imports: doc.importItems() }, isOurs)
  if (isAllOfImports(doc, items.length)) edit.removeIn('imports')
  else edit.removeIn('imports', items)
  return edit.plan()
}

/** Whether `imports` is plain lists of that many items and nothing else: they go with their items. */
function isAllOfImports(doc: NixDocument, count: number): boolean {
  const lists = doc.getIn('imports').map(it => it.value)
  const isPlain = lists.every(it => it.type === 'list_expression' && commentsOf(it).length === 0)
  return count > 0 && isPlain && lists.flatMap(elementsOf).length === count
}

/** The definitions of these options that the toolkit knows for such, also inside specialisations. */
function visibleDefinitions(doc: NixDocument, options: readonly AttrPath[]): Definition[] {
  return visibleOptions(doc, options).flatMap(it => [...doc.getIn(it), ...doc.getBelow(it)])
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
