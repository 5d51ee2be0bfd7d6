import { hostname } from 'node:os'
import { join } from 'node:path'
import { hostNamesIn } from '../../configuration/build.ts'
import { type Files, openFiles, type SourceFile } from '../../configuration/files.ts'
import { type Configuration, loadConfiguration } from '../../configuration/load.ts'
import { shippedModules } from '../../configuration/modules.ts'
import { isInFlake, locate, MOST_BYTES } from '../../configuration/repository.ts'
import type { Guest } from '../../guests/needs/needs.ts'
import { type Entry, spellingOf, viewsOf } from '../../lints/view.ts'
import { decode, type NixDocument } from '../../nix/index.ts'
import { prefixOf, targetOf } from '../../plan/bootEntry.ts'
import { notForOneEntry, planTakeOver, type TakeOver } from '../../plan/legacy/takeOver.ts'
import { isEmpty } from '../../settings/settings.ts'
import { readTarget, type TargetFile } from '../../storage/read.ts'
import type { ApplyRequest, CommandRequest } from '../args/request.ts'
import { type Context, callOn, contextOf, nameOfFile, VERSION, watch } from '../context.ts'
import { CommandError, type Message, orThrow, usage } from '../message.ts'
import { applyMessage, nixMessage } from '../messages/apply.ts'
import { list } from '../messages/devices.ts'
import { readMessage } from '../messages/files.ts'
import { readGuest } from './guest.ts'
import type { MachineReader } from './machine.ts'

/** What a run of `apply` or `diff` is made from: the request, and the files and the machine that it is about. */
export interface ApplyInputs extends ModuleFile {
  request: ApplyRequest
  reader: MachineReader
  configuration: Configuration
  /** How our modules take the place of others with the same options, where there are some. */
  takeOver: TakeOver | undefined
  guest: Guest | undefined
  match: HostMatch
  /** The boot entry of its own that the options go into, and the path of these. */
  entry: string | undefined
  prefix: readonly string[]
  /** Whether the run does more than update the modules that are installed. */
  isEdited: boolean
}

/** Reads the files; of the machine nothing yet. */
export function readInputs(request: ApplyRequest, reader: MachineReader): ApplyInputs {
  const { settings, specialisation, domain } = request
  const module = readModule(request)
  const { source, context } = module
  const guest = domain === undefined ? undefined : readGuest(domain, context)
  const isEdited = !isEmpty(settings) || request.gpus.length > 0 || guest !== undefined
  const configuration = configurationOf(module)
  const takeOver = request.keepsObsolete ? undefined : readTakeOver(configuration, context)
  const early = notForOneEntry(takeOver, source.path, specialisation)
  if (early) throw new CommandError(applyMessage(early, context))
  const found = targetOf(configuration, specialisation, isEdited)
  const entry = orThrow(found, it => applyMessage(it, context))
  if (request.assumesIsolated && entry === undefined) {
    throw new CommandError(
      usage('--assume-isolated goes only with --specialisation.', {
        why: 'nobody can see yet what goes along with the card, so the usual boot entry has to stay as it is.',
        remedy: 'add --specialisation vfio'
      })
    )
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

/** A module as it is on the disk. */
export interface ModuleFile {
  target: TargetFile
  source: SourceFile
  /** Where more files of the same system are read. */
  sources: Files
  context: Context
}

/**
 * Reads the module that the user named, else the usual configuration. `tail` are the words after it in the call, for
 * messages. `store` is for a file that is only read.
 */
export function readModule(
  request: CommandRequest & { root: string },
  { tail = '', store = false }: { tail?: string; store?: boolean } = {}
): ModuleFile {
  const { file, root } = request
  const location = locate(file, root, process.env)
  const context = contextOf(request, location.path, tail)
  if (location.kind === 'empty-folder') {
    throw new CommandError(emptyFolder(location.flake, context))
  }
  const found = readTarget(location.path, { root, store, maxBytes: MOST_BYTES })
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

function emptyFolder(flake: boolean, context: Context): Message {
  const { file: folder } = context
  if (flake) {
    const example = callOn(join(folder, 'hosts/pc/configuration.nix'), context)
    return {
      code: 'WRONG_KIND',
      what: `${folder} holds a flake and no configuration.nix.`,
      nothingWritten: true,
      why: 'the flake only lists the modules; the settings go into one of them.',
      remedy: `pass the module that flake.nix lists under modules, e.g. ${example}`
    }
  }
  return {
    code: 'NOT_FOUND',
    what: `there is no configuration.nix in ${folder}.`,
    remedy: `pass the file: ${callOn(join(folder, 'YOUR-FILE.nix'), context)}`
  }
}

function emptyFile(context: Context): Message {
  return {
    code: 'NOT_A_MODULE',
    what: `${nameOfFile(context)} is empty.`,
    nothingWritten: true,
    remedy: 'pass a module, that is a file like { config, pkgs, ... }: { … }'
  }
}

/** The configuration whose file was read, with all that it imports. */
export function configurationOf({ source, sources }: ModuleFile): Configuration {
  return loadConfiguration(source, shippedModules(VERSION), sources)
}

/**
 * How our modules take the place of others with the same options, where there are some. Refused where that
 * would lose something, or where a file that would change can't be written.
 */
function readTakeOver(configuration: Configuration, context: Context): TakeOver | undefined {
  const takeOver = orThrow(planTakeOver(configuration), it => applyMessage(it, context))
  requireWritable(takeOver?.files ?? [], context)
  return takeOver
}

/**
 * Refuses files that can't be edited: imports may lead out of the root, or into the store.
 */
export function requireWritable(files: readonly { path: string }[], context: Context): void {
  const { root } = context
  for (const { path } of files) orThrow(readTarget(path, { root }), it => readMessage(it, context))
}

/**
 * What to know where `--user` names people that the files of a configuration don't define, though they define
 * others. Nothing where one of their names can't be read in the text, nor in a flake, which may add modules.
 */
export function unknownUsers(named: readonly string[], files: readonly SourceFile[]): string[] {
  if (files.some(it => isInFlake(it.path))) return []
  const { people, all, isComputed } = declaredUsers(files)
  const unknown = named.filter(it => it !== 'root' && !all.includes(it))
  if (people.length === 0 || unknown.length === 0 || isComputed) return []
  return [
    `Note: no user is called ${list(unknown, 'or')} in the configuration, as far as it can be read; there is ${list(people)}.`
  ]
}

/** The users that files of a configuration declare, in any boot entry. */
interface DeclaredUsers {
  /** Those that are people (`isNormalUser`), in the order of the files. */
  people: string[]
  all: string[]
  /** Whether there may be others, whose names only Nix computes. */
  isComputed: boolean
}

/** Reads the users out of the texts of a configuration's files. */
export function declaredUsers(files: readonly SourceFile[]): DeclaredUsers {
  const views = viewsOf(files, { ours: true })
  const entries = views.flatMap(it => [...it.below('users.users'), ...it.below('users.extraUsers')])
  const people = entries.filter(it => it.path[3] === 'isNormalUser' && spellingOf(it) !== 'false')
  const namesOf = (all: readonly Entry[]) => [...new Set(all.map(it => it.path[2] ?? ''))]
  const isComputed = files.some(it => hasComputed(it.doc))
  return { people: namesOf(people), all: namesOf(entries), isComputed }
}

/** Whether it gives a user a name that only Nix computes. */
function hasComputed(doc: NixDocument): boolean {
  return ['users', 'users.users', 'users.extraUsers'].some(
    it =>
      doc.getBelow(it).some(({ path }) => path.length > 2 && path[2] === undefined) ||
      doc.getIn(it).some(({ source }) => /\$\{[^}]*\}"?\s*[.=]/.test(source))
  )
}

/** Whether a configuration is for the machine that is looked at. */
type HostMatch = 'this' | 'other' | 'unknown'

/** Whose machine the file configures, by the name that it gives its host. */
export function hostMatch(
  doc: NixDocument,
  { root, sysfs }: { root: string; sysfs: string | undefined }
): HostMatch {
  if (sysfs !== undefined) return 'this'
  const names = hostNamesIn(doc)
  const [name] = names
  // What is installed from another system has that one's name for now.
  if (root !== '/' || name === undefined || names.length !== 1) return 'unknown'
  return name === hostname() ? 'this' : 'other'
}
