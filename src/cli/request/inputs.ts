import { hostname } from 'node:os'
import { hostNamesIn } from '../../configuration/build.ts'
import { type Files, openFiles, type SourceFile } from '../../configuration/files.ts'
import { type Configuration, loadConfiguration } from '../../configuration/load.ts'
import { shippedModules } from '../../configuration/modules.ts'
import { isInFlake, locate, MAX_BYTES } from '../../configuration/repository.ts'
import type { Guest } from '../../guests/needs/needs.ts'
import { type OptionDefinition, valueText, viewsOf } from '../../lints/view.ts'
import { decode, type NixDocument } from '../../nix/index.ts'
import { prefixOf, targetOf } from '../../plan/bootEntry.ts'
import { planTakeOver, type TakeOver, takeOverProblem } from '../../plan/legacy/takeOver.ts'
import { isEmpty } from '../../settings/settings.ts'
import { readTarget, type TargetFile } from '../../storage/read.ts'
import type { ApplyRequest, CommandRequest } from '../args/request.ts'
import { type Context, contextOf, VERSION, watch } from '../context.ts'
import { CommandError, orThrow } from '../message.ts'
import { applyMessage, nixMessage } from '../messages/apply.ts'
import { readMessage } from '../messages/files.ts'
import { emptyFile, isolatedEverywhere, noConfiguration } from '../messages/inputs.ts'
import { unknownUsersNote } from '../messages/plan.ts'
import { readGuest } from './guest.ts'
import type { MachineReader } from './machine.ts'

/** The inputs of a run of `apply` or `diff`: the request, the files and the machine. */
export interface ApplyInputs extends ModuleFile {
  request: ApplyRequest
  reader: MachineReader
  configuration: Configuration
  /** How the modules replace others with the same options, if there are any. */
  takeOver: TakeOver | undefined
  guest: Guest | undefined
  match: HostMatch
  /** The separate boot entry for the options, if any. */
  entry: string | undefined
  /** The attribute path of the set that gets the options. */
  prefix: readonly string[]
  /** Whether the run does more than update installed modules. */
  isEdited: boolean
}

/** Reads the files, but not the machine. */
export function readInputs(request: ApplyRequest, reader: MachineReader): ApplyInputs {
  const { settings, specialisation, domain } = request
  const module = readModule(request)
  const { source, context } = module
  const guest = domain === undefined ? undefined : readGuest(domain, context)
  const isEdited = !isEmpty(settings) || request.gpus.length > 0 || guest !== undefined
  const configuration = configurationOf(module)
  const takeOver = request.keepsObsolete ? undefined : readTakeOver(configuration, context)
  const early = takeOverProblem(takeOver, source.path, specialisation)
  if (early) throw new CommandError(applyMessage(early, context))
  const found = targetOf(configuration, specialisation, isEdited)
  const entry = orThrow(found, it => applyMessage(it, context))
  if (request.assumesIsolated && entry === undefined) {
    throw new CommandError(isolatedEverywhere())
  }
  const match = hostMatch(source.doc, request)
  const prefix = prefixOf(entry)
  return {
    ...module,
    request,
    reader,
    configuration,
    takeOver,
    guest,
    match,
    entry,
    prefix,
    isEdited
  }
}

/** A module on the disk. */
export interface ModuleFile {
  target: TargetFile
  source: SourceFile
  /** Reads further files of the same system. */
  sources: Files
  context: Context
}

/**
 * Reads the module that the user named, else the default configuration. `tail` are the arguments after the file in
 * the call, for messages. With `store`, the file may be in the Nix store, because it is only read.
 */
export function readModule(
  request: CommandRequest & { root: string },
  { tail = '', store = false }: { tail?: string; store?: boolean } = {}
): ModuleFile {
  const { file, root } = request
  const location = locate(file, root, process.env)
  const context = contextOf(request, location.path, tail)
  if (location.kind === 'empty-folder') {
    throw new CommandError(noConfiguration(location.hasFlake, context))
  }
  const found = readTarget(location.path, { root, store, maxBytes: MAX_BYTES })
  const target = orThrow(found, it => readMessage(it, context))
  watch(target.realpath, context.file, target)
  const sources = openFiles(root)
  const source = sources.adopt(target.realpath, decodeModule(target.bytes, context))
  return { target, source, sources, context }
}

/** The text of a module's bytes; an empty one is refused. */
export function decodeModule(bytes: Uint8Array, context: Context): string {
  const text = orThrow(decode(bytes), it => nixMessage(it, context))
  if (text.trim() === '') throw new CommandError(emptyFile(context))
  return text
}

/** The configuration with everything that it imports. */
export function configurationOf({ source, sources }: ModuleFile): Configuration {
  return loadConfiguration(source, shippedModules(VERSION), sources)
}

/**
 * How the modules replace others with the same options, if there are any. Refuses if something would be lost, or if
 * a file can't be written.
 */
function readTakeOver(configuration: Configuration, context: Context): TakeOver | undefined {
  const takeOver = orThrow(planTakeOver(configuration), it => applyMessage(it, context))
  requireWritable(takeOver?.files ?? [], context)
  return takeOver
}

/** Refuses files that can't be edited: an imported file may be outside the root or in the Nix store. */
export function requireWritable(files: readonly { path: string }[], context: Context): void {
  const { root } = context
  for (const { path } of files) orThrow(readTarget(path, { root }), it => readMessage(it, context))
}

/**
 * A note if the configuration defines users, but not all whom `--user` names. None if a user name is computed, or in
 * a flake, which may add modules.
 */
export function unknownUserNotes(named: readonly string[], files: readonly SourceFile[]): string[] {
  if (files.some(it => isInFlake(it.path))) return []
  const { people, all, isComputed } = declaredUsers(files)
  const unknown = named.filter(it => it !== 'root' && !all.includes(it))
  if (people.length === 0 || unknown.length === 0 || isComputed) return []
  return [unknownUsersNote(unknown, people)]
}

/** The users that files of a configuration declare, in any boot entry. */
interface DeclaredUsers {
  /** The users that are people (`isNormalUser`), in the order of the files. */
  people: string[]
  all: string[]
  /** Whether there may be other users, whose names are computed. */
  isComputed: boolean
}

/** Finds the users in the texts of a configuration's files. */
export function declaredUsers(files: readonly SourceFile[]): DeclaredUsers {
  const views = viewsOf(files, { importsModules: true })
  const entries = views.flatMap(it => [
    ...it.definitionsBelow('users.users'),
    ...it.definitionsBelow('users.extraUsers')
  ])
  const people = entries.filter(it => it.path[3] === 'isNormalUser' && valueText(it) !== 'false')
  const namesOf = (all: readonly OptionDefinition[]) => [
    ...new Set(all.map(it => it.path[2] ?? ''))
  ]
  const isComputed = files.some(it => hasComputed(it.doc))
  return { people: namesOf(people), all: namesOf(entries), isComputed }
}

/** Whether the name of a user is computed. */
function hasComputed(doc: NixDocument): boolean {
  return ['users', 'users.users', 'users.extraUsers'].some(
    it =>
      doc.getBelow(it).some(({ path }) => path.length > 2 && path[2] === undefined) ||
      doc.getIn(it).some(({ source }) => /\$\{[^}]*\}"?\s*[.=]/.test(source))
  )
}

/** Whether a configuration is for the machine that is read. */
type HostMatch = 'this' | 'other' | 'unknown'

/** Whether the file is for this machine, according to its host name. */
export function hostMatch(
  doc: NixDocument,
  { root, sysfs }: { root: string; sysfs: string | undefined }
): HostMatch {
  if (sysfs !== undefined) return 'this'
  const names = hostNamesIn(doc)
  const [name] = names
  // During an installation, `hostname` returns the installer's name.
  if (root !== '/' || name === undefined || names.length !== 1) return 'unknown'
  return name === hostname() ? 'this' : 'other'
}
