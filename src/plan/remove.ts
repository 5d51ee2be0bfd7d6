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
import { type ApplyPlan, whyNotEditable } from './apply.ts'
import { prefixOf, specialisationsOf } from './bootEntry.ts'
import type { PlannedFile } from './changes.ts'
import { type DroppedModules, dropModules } from './modulesFolder.ts'
import type { RemoveProblem, UsePlace } from './problem.ts'
import { afterEdits, unchanged, withoutBindings } from './removal/takeOut.ts'
import { findUses, resolvePath, type Use, type UseTargets } from './removal/uses.ts'

/** Everything that a plan of `remove` is based on. */
export interface RemoveInput {
  configuration: Configuration
  /** The folder where the modules are by default, in case nothing imports them. */
  defaultFolder: string
  /** The default folder and the imported folders with modules, with symlinks resolvePath, and their contents. */
  folders: ReadonlyMap<string, FolderListing>
  /** The options that only vfio-patch's modules declare. */
  exclusive: readonly AttrPath[]
  /** Files of the repository that the configuration does not import. */
  others: readonly SourceFile[]
}

export interface RemovePlan extends ApplyPlan, Pick<DroppedModules, 'kept' | 'otherFiles'> {
  /** Folders that are kept because another file of the repository (`importer`) imports them. */
  keptFolders: { folder: string; importer: string }[]
}

/**
 * Plans the removal of vfio-patch's part of a configuration: the import and the options that only its modules
 * declare, in the configuration and the files that it imports, and the modules themselves. The plan is based on
 * the contents of the files, not on a record of earlier writes.
 *
 * The plan has no files if there is nothing to remove. Options that another module declares are not removed.
 * Guests in separate files are kept but no longer imported.
 *
 * Errors: `WRONG_KIND` if there is nothing to remove and the file is not a module; `STILL_USED` if the rest of the
 * configuration needs a removed option or module; `USED_ELSEWHERE` if another file of the repository needs one; `NIX`
 * if a file can't be read or edited.
 */
export function planRemove(input: RemoveInput): Result<RemovePlan, RemoveProblem> {
  const { configuration, exclusive } = input
  const stamped = [...input.folders].filter(([, it]) => hasModules(it))
  const isGuest = (it: { path: string }) =>
    stamped.some(([folder]) => it.path.startsWith(`${folder}/guests/`))
  const modules = configuration.files.filter(it => !isGuest(it))
  const { path, text } = configuration.target
  const options = exclusive.filter(it => !modules.some(module => declares(module.doc, it)))
  const imports = [
    ...configuration.installed,
    ...configuration.links.filter(isGuest),
    ...danglingImports(modules, options, input)
  ]
  if (imports.length === 0 && stamped.length === 0) {
    const problem = whyNotEditable(configuration.target, 'generated')
    if (problem) return err(problem)
    const plan = { files: [], configuration: unchanged(text) }
    return ok({ ...plan, kept: [], keptFolders: [], otherFiles: [] })
  }

  const keptFolders = foldersToKeep(stamped, input.others)
  const dropped = stamped.filter(([folder]) => !keptFolders.some(it => it.folder === folder))
  const { files, kept, otherFiles } = dropModules(dropped)
  const targets: UseTargets = { options, files: removedFiles(imports, files) }

  const edited: { module: ConfigurationFile; plan: Plan }[] = []
  for (const module of modules) {
    const plan = planFileRemoval(module, imports, targets)
    if (!plan.ok) return plan
    edited.push({ module, plan: plan.value })
  }
  const remaining = edited.flatMap(({ module, plan }) => remainingUses(module, targets, plan))
  if (remaining.length > 0) return err({ code: 'STILL_USED', path, uses: remaining })
  // If a folder is kept, uses in other files may refer to its modules.
  const elsewhere =
    keptFolders.length > 0 ? [] : outside(input, dropped).flatMap(it => remainingUses(it, targets))
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
    keptFolders,
    otherFiles
  })
}

/**
 * The other files outside these folders that are not installed modules. Omits files that declare one of the options
 * themselves: they do not need vfio-patch's declaration, because no system can have both.
 */
function outside(
  { others, exclusive }: RemoveInput,
  folders: readonly [string, FolderListing][]
): RemoveInput['others'] {
  const isInside = (path: string) => folders.some(([folder]) => path.startsWith(`${folder}/`))
  const isDeclaring = (doc: NixDocument) => exclusive.some(it => declares(doc, it))
  return others.filter(
    ({ path, doc }) => !isInside(path) && stampOf(doc.text) === 'none' && !isDeclaring(doc)
  )
}

function hasModules(listing: FolderListing): boolean {
  if (typeof listing === 'string') return false
  return [...listing].some(
    ([name, it]) => name.endsWith('.nix') && stampOf(it?.text ?? '') !== 'none'
  )
}

/**
 * Imports of the default folder if it was deleted. Empty if the configuration sets none of the options, because then
 * nothing shows that the imports are vfio-patch's.
 */
function danglingImports(
  modules: readonly ConfigurationFile[],
  options: readonly AttrPath[],
  { defaultFolder, folders }: RemoveInput
): ImportLink[] {
  const isDefined = modules.some(({ doc }) => visibleDefinitions(doc, options).length > 0)
  if (!isDefined || folders.get(defaultFolder) !== 'absent') return []
  return modules.flatMap(({ path, imports }) =>
    imports.flatMap(({ path: spelling, isCertain }) =>
      spelling !== undefined && resolvePath(path, spelling) === defaultFolder
        ? [
            {
              importer: path,
              spelling,
              path: join(defaultFolder, 'default.nix'),
              isConditional: !isCertain
            }
          ]
        : []
    )
  )
}

/** The folders that a file outside the configuration imports. Usually the file is for another machine. */
function foldersToKeep(
  stamped: readonly [string, FolderListing][],
  others: RemoveInput['others']
): RemovePlan['keptFolders'] {
  return stamped.flatMap(([folder, listing]) => {
    const names = typeof listing === 'string' ? [] : [...listing.keys()]
    const files = new Set([folder, ...names.map(it => join(folder, it))])
    const importer = others
      .filter(it => !files.has(it.path))
      .find(it => remainingUses(it, { options: [], files }).length > 0)
    return importer ? [{ folder, importer: importer.path }] : []
  })
}

/** The paths that no file may refer to after the removal. */
function removedFiles(imports: readonly ImportLink[], files: readonly PlannedFile[]): Set<string> {
  const paths = [...imports, ...files.filter(it => it.after === undefined)].map(it => it.path)
  // Importing a folder imports its default.nix.
  return new Set(paths.flatMap(it => (it.endsWith('/default.nix') ? [it, dirname(it)] : [it])))
}

/** The uses that remain in a file after its plan, with their places in the original text. */
function remainingUses(
  { path, doc }: SourceFile,
  targets: UseTargets,
  plan: Plan = unchanged(doc.text)
): UsePlace[] {
  const before = (offset: number) => moveOffset(plan.inverse, offset)
  const after = plan.changed ? doc.edited(plan.edits) : doc
  return findUses(after, path, targets).map(({ kind, name, node }) => ({
    path,
    text: doc.text,
    kind,
    name,
    range: { start: before(node.start), end: before(node.end) }
  }))
}

// The removal from one file.

/**
 * Plans the removal of `imports` and of the target options from one file. An `imports` list without other items
 * is removed as a whole. The plan has no edits if there is nothing to remove.
 *
 * `NIX` if the file can't be parsed or edited. A file that can't be parsed but does not mention the options is ignored,
 * unless it is the configuration itself.
 */
function planFileRemoval(
  module: ConfigurationFile,
  imports: readonly ImportLink[],
  targets: UseTargets
): Result<Plan, RemoveProblem> {
  const { path, doc, importedAs } = module
  const refuse = (error: NixError) => err({ code: 'NIX' as const, path, error })
  const [error] = doc.errors
  if (error) {
    // The file can't be parsed, but its text shows whether it may define an option.
    const names = targets.options.map(it => new RegExp(`\\b${it.at(-1)}\\b`))
    const mayDefine = importedAs === undefined || names.some(it => it.test(doc.text))
    return mayDefine ? refuse(error) : ok(unchanged(doc.text))
  }
  const spellings = new Set(
    imports.filter(it => it.importer === path).map(it => resolvePath(path, it.spelling))
  )
  const uses = findUses(doc, path, targets)
  const visible = new Set(visibleDefinitions(doc, targets.options).map(it => it.binding.start))
  const isDefined = visible.size > 0 || uses.some(it => it.kind === 'definition')
  if (spellings.size === 0 && !isDefined) return ok(unchanged(doc.text))
  const isHidden = ({ kind, node }: Use) => kind === 'definition' && !visible.has(node.start)
  const hidden = uses.filter(isHidden).map(it => it.node)
  const rest = withoutBindings(doc, hidden)
  const isRemoved = (spelling: string) => spellings.has(resolvePath(path, spelling))
  const plan = planVisible(rest.doc, targets, isRemoved)
  return plan.ok ? ok(afterEdits(doc.text, rest.edits, plan.value)) : refuse(plan.error)
}

/** Removes the definitions that the toolkit recognizes, and the imports whose path satisfies `isRemoved`. */
function planVisible(
  doc: NixDocument,
  targets: UseTargets,
  isRemoved: (spelling: string) => boolean
): Result<Plan, NixError> {
  const edit = doc.edit()
  for (const option of withEmptied(doc, visibleOptions(doc, targets.options))) edit.removeIn(option)
  const items = importsTo({ imports: doc.importItems() }, isRemoved)
  if (isAllOfImports(doc, items.length)) edit.removeIn('imports')
  else edit.removeIn('imports', items)
  return edit.plan()
}

/** Whether `imports` consists of plain lists without comments that have `count` items in total. */
function isAllOfImports(doc: NixDocument, count: number): boolean {
  const lists = doc.getIn('imports').map(it => it.value)
  const isPlain = lists.every(it => it.type === 'list_expression' && commentsOf(it).length === 0)
  return count > 0 && isPlain && lists.flatMap(elementsOf).length === count
}

/** The definitions of these options that the toolkit recognizes, including those in specialisations. */
function visibleDefinitions(doc: NixDocument, options: readonly AttrPath[]): Definition[] {
  return visibleOptions(doc, options).flatMap(it => [...doc.getIn(it), ...doc.getBelow(it)])
}

/** The paths of the options, including those in specialisations. */
function visibleOptions(doc: NixDocument, options: readonly AttrPath[]): AttrPath[] {
  const names = specialisationsOf(doc)
  const prefixes = [[], ...names.map(prefixOf)]
  return prefixes.flatMap(prefix => options.map(it => [...prefix, ...it]))
}

/**
 * The paths to remove: the path of each specialisation that has no other options, so that nothing remains of it, and
 * the options outside these specialisations.
 */
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
