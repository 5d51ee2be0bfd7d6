// Why a configuration can't be edited.

import { dirname, join } from 'node:path'
import type { UnreadImport } from '../../configuration/imports.ts'
import type { ForeignKind } from '../../configuration/kind.ts'
import { MAX_BYTES } from '../../configuration/repository.ts'
import { markedLines, type Remedy } from '../../nix/errors.ts'
import type { NixError } from '../../nix/index.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { ApplyProblem, Obstacle } from '../../plan/problem.ts'
import { type Context, callOn, nameOfFile } from '../context.ts'
import { type Message, shellWord, type Wording, type Words, wordsOf } from '../message.ts'
import { drawnByToolkit } from '../output/output.ts'
import { list } from './devices.ts'
import { inMiB } from './files.ts'
import { GUEST_WORDS } from './guests.ts'

/**
 * Why the toolkit refuses, with the source line. `isReadOnly` is for a command that never writes, so that the message
 * does not say that nothing was written.
 */
export function nixMessage(
  error: NixError,
  context: Context,
  { isReadOnly = false }: { isReadOnly?: boolean } = {}
): Message {
  const { file, color, width } = context
  const { line, column } = error.at
  // The excerpt is indented, begins with its line number, and may be cut off on both sides.
  const taken = 4 + `${line} | `.length + 2
  const rendered = drawnByToolkit(error.render({ color, width: width - taken })).split('\n')
  const isBug = error.code === 'VERIFICATION_FAILED'
  const atPlace = error.range.end > 0
  const message: Message = {
    code: error.code,
    what: `${file}${atPlace ? `:${line}:${column}` : ''}: ${error.message}.`,
    nothingWritten: !isReadOnly
  }
  if (atPlace) message.at = { path: file, line, column }
  if (atPlace && rendered.length > 2) message.excerpt = rendered.slice(1, 3).join('\n')
  const hint = remedyFor(error, context)
  if (error.code === 'SYNTAX') {
    message.why = "a file that Nix can't parse can't be edited safely."
    message.remedy = hint ?? `fix it, and check it with: nix-instantiate --parse ${shellWord(file)}`
  } else if (hint !== undefined) message.remedy = hint
  if (isBug) message.remedy = report(context)
  if (error.code === 'ENCODING' && hint === undefined)
    message.remedy = 'convert the file to UTF-8 text'
  return message
}

/** Why there is no plan. `guest` is the XML file of the run's guest. */
export function applyMessage(problem: ApplyProblem, context: Context, guest = 'FILE.xml'): Message {
  if (problem.code === 'NIX') return nixMessage(problem.error, context)
  return { code: problem.code, ...wordsOf(APPLY_WORDS, problem, { context, guest }) }
}

interface About {
  context: Context
  guest: string
}

const APPLY_WORDS: Wording<Exclude<ApplyProblem, { code: 'NIX' }>, About, Words> = {
  ...GUEST_WORDS,
  NOTHING_CHOSEN: ({ path }, { context }) => ({
    what: `no card or setting was chosen, and ${path} does not use vfio-patch yet.`,
    why: 'vfio-patch does not guess which card to pass through.',
    remedy: [
      'find the address of a card that a guest can have with "vfio-patch scan", then:',
      `${callOn(context.file, context)} --gpu ADDR`
    ].join('\n')
  }),
  SEVERAL_PROFILES: ({ names, everywhere }, { context }) => {
    const entries = [
      ...(everywhere ? ['every boot entry'] : []),
      ...names.map(it => `specialisation.${it}`)
    ]
    const flags = list(
      names.map(it => `--specialisation ${it}`),
      'or'
    )
    return {
      what: `${context.file} has options in ${list(entries)}, but these flags can apply to only one of them.`,
      nothingWritten: true,
      remedy: everywhere
        ? `add ${flags};\nor, to change the options of every boot entry: vfio-patch option set`
        : `add ${flags}`
    }
  },
  GIVEN_EVERYWHERE: ({ path, name, at }, { context }) => {
    const file = at.path === path ? context.file : at.path
    return {
      what: `${file}:${at.line}:${at.column}: these options already pass devices through in every boot entry.`,
      nothingWritten: true,
      at: { ...at, path: file },
      why: `specialisation.${name} would inherit them, so the host could not use the devices in the default boot entry either.`,
      remedy: `before you run this again, remove them: ${callOn(context.file, context, 'remove')}`
    }
  },
  TAKE_OVER_FIRST: (problem, { context }) => {
    const { path, name } = problem
    const { line, column, spelling, option, ...at } = problem.import
    const file = at.path === path ? context.file : at.path
    return {
      what: `${file}:${line}:${column}: ${spelling} and vfio-patch's modules both declare ${option}.`,
      nothingWritten: true,
      at: { path: file, line, column },
      why: `vfio-patch would replace ${spelling} in every boot entry, but --specialisation ${name} must not change the default boot entry.`,
      remedy: `first replace it without --specialisation, then run this again:\n${callOn(context.file, { ...context, tail: '' }, 'apply')}`
    }
  },
  WRONG_KIND: ({ kind }, { context }) => wrongKind(kind, context),
  FOREIGN_FOLDER: ({ path, found }) => ({
    what:
      found === path
        ? `${path} is not a folder, but vfio-patch's modules need a folder with this name.`
        : `the folder ${path} does not belong to vfio-patch: it contains ${found}.`,
    nothingWritten: true,
    why: 'vfio-patch never overwrites your own files.',
    remedy: 'choose another folder for the modules, e.g. --modules-dir vfio-patch'
  }),
  MODULES_EDITED: ({ path, names }, { context }) => ({
    what: `${names.join(' and ')} in ${path} ${names.length === 1 ? 'has' : 'have'} local edits.`,
    nothingWritten: true,
    why: 'an update would overwrite these edits.',
    remedy: `move your edits into your own configuration, then: ${context.line} --replace-modules`
  }),
  DECLARED_ELSEWHERE: ({ declaration, importer, option }, { context }) => {
    const isOwn = importer === undefined
    return {
      what: `${isOwn ? context.file : declaration} already declares ${option}.`,
      nothingWritten: true,
      why: isOwn
        ? "vfio-patch's modules declare it too, and two modules can't declare the same option."
        : `${context.file} imports that file through ${importer}, and two modules can't declare the same option.`,
      remedy: isOwn
        ? 'pass the configuration of a machine, not a module that others import'
        : `omit --keep-obsolete so that vfio-patch replaces ${importer}, or remove ${importer} from imports (you can keep your settings under virtualisation)`
    }
  },
  NOT_TAKEN_OVER: ({ path, obstacles }, { context }) => notTakenOver(obstacles, context, path),
  IMPORTED_ELSEWHERE: ({ path, folder, importer }, { context }) => {
    const direct = importer === path
    return {
      what: `${importer} already imports vfio-patch's modules from ${folder}.`,
      nothingWritten: true,
      why: 'with modules from two folders, every option would be declared twice.',
      remedy: direct
        ? `omit --modules-dir, or remove that import first`
        : `pass that file: vfio-patch ${context.command} ${importer}`
    }
  },
  PARSE_REJECTED: ({ path, output }, { context }) => ({
    what: `Nix would not accept the edited ${path}; this is a bug in vfio-patch.`,
    nothingWritten: true,
    why: output,
    remedy: report(context)
  }),
  PARSE_CHECK_MISSING: ({ detail }) => ({
    what: `the result could not be checked with Nix: ${detail}.`,
    nothingWritten: true,
    remedy: 'install Nix on this machine, or omit --parse-check'
  })
}

// Other modules that declare the same options, and that vfio-patch can't replace.

// Nobody fixes more obstacles at a time.
const MOST_SHOWN = 8

/** Every obstacle with its place. `configuration` is the path of the file without symlinks. */
function notTakenOver(
  obstacles: readonly Obstacle[],
  context: Context,
  configuration: string
): Words {
  const nameOf = (path: string) => (path === configuration ? context.file : path)
  const [first] = obstacles as [Obstacle, ...Obstacle[]]
  const shown = obstacles.slice(0, MOST_SHOWN)
  const placed = shown.map(it => ({ ...it, place: placeOf(it.text, it.range.start) }))
  const isOne = obstacles.length === 1
  const placeText = ({ path, place }: (typeof placed)[number]) =>
    `${nameOf(path)}:${place.line}:${place.column}`
  const excerpt = placed.flatMap(it => {
    const taken = 4 + `${it.place.line} | `.length + 2
    const { color, width } = context
    const drawn = markedLines(it.text, it.range, { color, width: width - taken })
    const lines = drawn.map(drawnByToolkit)
    const gap = ' '.repeat(`${it.place.line} | `.length)
    return isOne
      ? lines
      : [`${placeText(it)}: ${it.what}`, ...lines, `${gap}Do: ${it.advice ?? ADVICE[it.kind]}`]
  })
  const rest = obstacles.length - shown.length
  const { line, column } = placeOf(first.text, first.range.start)
  const what = isOne
    ? `${nameOf(first.path)}:${line}:${column}: ${first.what}.`
    : `other modules that ${context.file} uses can't be replaced, for ${obstacles.length} reasons.`
  return {
    what,
    nothingWritten: true,
    at: { path: nameOf(first.path), line, column },
    excerpt: [...excerpt, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n'),
    why: obstacles.every(it => it.kind === 'flake')
      ? "two modules can't declare the same option, and vfio-patch does not edit a flake."
      : "two modules can't declare the same option. Removing the other modules would lose what is marked here.",
    remedy: isOne
      ? `${first.advice ?? ADVICE[first.kind]};\nthen run this again`
      : 'fix these, then run this again'
  }
}

const ADVICE: Record<Obstacle['kind'], string> = {
  option: 'remove this setting, for which vfio-patch has no option',
  value: 'write a value that vfio-patch accepts',
  extra:
    'move the rest of the module into your own configuration, or remove it if you do not need it',
  import: 'remove the module from these imports',
  flake: 'remove the module from this list'
}

function report({ line }: Context): string {
  return `please report it, with the file and this call: ${line}`
}

function wrongKind(kind: ForeignKind, context: Context): Words {
  const { file, command } = context
  const example = `vfio-patch ${command} hosts/pc/configuration.nix`
  const machine = `pass the configuration of the machine, e.g. ${example}`
  const words: Record<ForeignKind, { what: string; why?: string; remedy: string }> = {
    flake: {
      what: 'is a flake, not a NixOS module',
      remedy: `pass the module that it lists under modules, e.g. ${example}`
    },
    'flake-parts': {
      what: 'is a module of flake-parts, not of NixOS',
      remedy:
        'pass a NixOS module, { config, pkgs, ... }: { … }; if all your NixOS modules are written inside flake-parts modules, create a file for a new one and import it there'
    },
    'home-manager': {
      what: 'is a module of home-manager, not of NixOS',
      why: 'passing a card through concerns the whole system, not one user.',
      remedy: machine
    },
    'nix-darwin': { what: 'is a module of nix-darwin, not of NixOS', remedy: machine },
    data: { what: 'sets no NixOS option, so it is not a NixOS module', remedy: machine },
    generated: {
      what: 'is generated ("Do not modify this file!")',
      why: 'the next nixos-generate-config would overwrite the changes.',
      remedy: `pass the file that imports it, usually: ${callOn(join(dirname(file), 'configuration.nix'), context)}`
    }
  }
  const { what, ...more } = words[kind]
  return { what: `${file} ${what}.`, nothingWritten: true, ...more }
}

/** What to do about an error of the toolkit: its hint, or the hint in terms of the command line. */
export function remedyFor(error: NixError, context: Context): string | undefined {
  return error.remedy === undefined ? error.hint : REMEDIES[error.remedy](error, context)
}

const REMEDIES: Record<Remedy, (error: NixError, context: Context) => string> = {
  CHOOSE: (error, context) =>
    `define it in a separate module and import that module, or ${editLine(error, context)}`,
  CHOOSE_PLACE: () => 'define the options in another module and import that module',
  MOVE_OR_CHOOSE: (error, context) =>
    `define it in another module and import that module, or ${editLine(error, context)}`,
  WRITE_OUT_OR_CHOOSE: (error, context) =>
    `replace the computed name with a literal one, or ${editLine(error, context)}`,
  KEEP_ONE_OR_CHOOSE: () => 'keep one definition, then run this again',
  ONE_STRING_PER_LINE: () => 'pass each line as a separate value, with --string',
  SET_STRING_OR_PASS_LINES: () =>
    'set the whole string with "option set", or add --lines if its items are lines',
  OMIT_LINES: () => 'omit --lines to add items to the list',
  ADD_ARGUMENT: ({ hint = '' }) =>
    `a text value needs Nix quotes inside the shell quotes, or --string;\n${hint}`
}

function editLine({ at }: NixError, context: Context): string {
  return `edit line ${at.line} of ${nameOfFile(context)} yourself`
}

// Notes on imported files that were not read.

/** A note on each imported file that was too big to be read. */
export function tooBigNotes({ unread }: { unread: readonly UnreadImport[] }): string[] {
  const files = new Map(unread.flatMap(({ oversize: it }) => (it ? [[it.path, it.size]] : [])))
  return [...files].map(
    ([path, size]) =>
      `Note: ${path} was not read or checked: it is ${inMiB(size)}, and the limit for a Nix file is ${inMiB(MAX_BYTES)}.`
  )
}
