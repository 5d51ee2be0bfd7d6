// The words for what keeps a configuration from being edited.

import { dirname, join } from 'node:path'
import type { UnreadImport } from '../../configuration/imports.ts'
import type { ForeignKind } from '../../configuration/kind.ts'
import { MOST_BYTES } from '../../configuration/repository.ts'
import { markedLines } from '../../nix/errors.ts'
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
 * What the toolkit refuses, with the line that it is about. `isReadOnly` is for a command that writes
 * nothing anyway.
 */
export function nixMessage(
  error: NixError,
  context: Context,
  { isReadOnly = false }: { isReadOnly?: boolean } = {}
): Message {
  const { file, color, width } = context
  const { line, column } = error.at
  // The excerpt is indented, follows the number of its line, and may be cut off on both sides.
  const taken = 4 + `${line} | `.length + 2
  const rendered = drawnByToolkit(error.render({ color, width: width - taken })).split('\n')
  const encoding = error.code === 'ENCODING'
  const bug = error.code === 'VERIFICATION_FAILED'
  const atPlace = error.range.end > 0
  const message: Message = {
    code: error.code,
    what: `${file}${atPlace ? `:${line}:${column}` : ''}: ${error.message}.`,
    nothingWritten: !isReadOnly
  }
  if (atPlace) message.at = { path: file, line, column }
  if (atPlace && rendered.length > 2) message.excerpt = rendered.slice(1, 3).join('\n')
  const hint = error.hint && hintForPeople(error.hint, nameOfFile(context), line)
  if (error.code === 'SYNTAX') {
    message.why = 'a file that Nix can not parse can not be edited safely either.'
    message.remedy =
      hint ?? `mend it, and check it with: nix-instantiate --parse ${shellWord(file)}`
  } else if (hint !== undefined) message.remedy = hint
  if (bug) message.remedy = report(context)
  if (encoding && hint === undefined) message.remedy = 'convert the file to UTF-8 text'
  return message
}

/** The words for a problem, mostly a refusal; `guest` is the XML of the guest that the run is about. */
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
    what: `nothing to set up was chosen, and ${path} has nothing of vfio-patch yet.`,
    why: 'the tool does not guess which card you want to give away.',
    remedy: [
      'see which card can go to a guest with "vfio-patch scan", then name it by its address:',
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
      what: `${context.file} sets up ${list(entries)}, and these flags can be for only one.`,
      nothingWritten: true,
      remedy: everywhere
        ? `add ${flags};\nwhat every boot entry has can be changed with: vfio-patch option set`
        : `add ${flags}`
    }
  },
  GIVEN_EVERYWHERE: ({ path, name, at }, { context }) => {
    const file = at.path === path ? context.file : at.path
    return {
      what: `${file}:${at.line}:${at.column}: every boot entry gives devices to guests already.`,
      nothingWritten: true,
      at: { ...at, path: file },
      why: `specialisation.${name} would inherit that, and the usual boot entry would still be without them.`,
      remedy: `take it out, then run this again: ${callOn(context.file, context, 'remove')}`
    }
  },
  TAKE_OVER_FIRST: (problem, { context }) => {
    const { path, name } = problem
    const { line, column, spelling, option, ...at } = problem.import
    const file = at.path === path ? context.file : at.path
    return {
      what: `${file}:${line}:${column}: ${spelling} declares ${option}, and so do the modules of vfio-patch.`,
      nothingWritten: true,
      at: { path: file, line, column },
      why: `they would take its place in every boot entry, and with --specialisation ${name} the usual one stays as it is.`,
      remedy: `first let them take its place, without --specialisation, then run this again:\n${callOn(context.file, { ...context, tail: '' }, 'apply')}`
    }
  },
  WRONG_KIND: ({ kind }, { context }) => wrongKind(kind, context),
  FOREIGN_FOLDER: ({ path, found }) => ({
    what:
      found === path
        ? `${path} is not a folder, and the modules of vfio-patch would go there.`
        : `the folder ${path} is not one of vfio-patch: it holds ${found}.`,
    nothingWritten: true,
    why: 'your own files are never overwritten.',
    remedy: 'choose another folder for the modules, e.g. --modules-dir vfio-patch'
  }),
  MODULES_EDITED: ({ path, names }, { context }) => ({
    what: `${names.join(' and ')} in ${path} ${names.length === 1 ? 'was' : 'were'} changed by hand.`,
    nothingWritten: true,
    why: 'an update would take these changes away.',
    remedy: `move them into your own configuration, then: ${context.line} --replace-modules`
  }),
  DECLARED_ELSEWHERE: ({ declaration, importer, option }, { context }) => {
    const isOwn = importer === undefined
    return {
      what: `${isOwn ? context.file : declaration} already declares ${option}.`,
      nothingWritten: true,
      why: isOwn
        ? 'two modules can not declare one option, and the modules of vfio-patch declare this one, too.'
        : `two modules can not declare one option; ${context.file} gets this one through ${importer}.`,
      remedy: isOwn
        ? 'pass the configuration of a machine; is this a module that others import?'
        : `leave --keep-obsolete away to have ${importer} replaced, or take it out of imports (your settings under virtualisation can stay)`
    }
  },
  NOT_TAKEN_OVER: ({ path, obstacles }, { context }) => notTakenOver(obstacles, context, path),
  IMPORTED_ELSEWHERE: ({ path, folder, importer }, { context }) => {
    const direct = importer === path
    return {
      what: `${importer} already imports the modules of vfio-patch, from ${folder}.`,
      nothingWritten: true,
      why: 'imported twice from two folders, every option would be declared twice.',
      remedy: direct
        ? `leave --modules-dir away, or take that import out first`
        : `work on that file: vfio-patch ${context.command} ${importer}`
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
    remedy: 'install Nix where this runs, or leave --parse-check away'
  })
}

// Modules that declare the same options as ours, and that ours can't replace.

// A person mends some of them at a time.
const MOST_SHOWN = 8

/** All that is in the way, each with its place. `configuration` is the path without links of the file. */
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
  const spell = ({ path, place }: (typeof placed)[number]) =>
    `${nameOf(path)}:${place.line}:${place.column}`
  const excerpt = placed.flatMap(it => {
    const taken = 4 + `${it.place.line} | `.length + 2
    const { color, width } = context
    const drawn = markedLines(it.text, it.range, { color, width: width - taken })
    const lines = drawn.map(drawnByToolkit)
    const gap = ' '.repeat(`${it.place.line} | `.length)
    return isOne
      ? lines
      : [`${spell(it)}: ${it.what}`, ...lines, `${gap}Do: ${it.advice ?? ADVICE[it.kind]}`]
  })
  const rest = obstacles.length - shown.length
  const { line, column } = placeOf(first.text, first.range.start)
  const what = isOne
    ? `${nameOf(first.path)}:${line}:${column}: ${first.what}.`
    : `${obstacles.length} things keep the modules of vfio-patch from taking the place of those that ${context.file} has.`
  return {
    what,
    nothingWritten: true,
    at: { path: nameOf(first.path), line, column },
    excerpt: [...excerpt, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n'),
    why: obstacles.every(it => it.kind === 'flake')
      ? 'two modules can not declare one option, and vfio-patch does not edit a flake.'
      : 'two modules can not declare one option, so the others have to go, and this would go with them.',
    remedy: isOne
      ? `${first.advice ?? ADVICE[first.kind]};\nthen run this again`
      : 'mend these, then run this again'
  }
}

const ADVICE: Record<Obstacle['kind'], string> = {
  option: 'take out what vfio-patch has no option for',
  value: 'write a value that vfio-patch takes',
  extra:
    'move what the module does besides into your own configuration, or take it out if you can do without',
  import: 'take the module out of imports there',
  flake: 'take it out of this list'
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
        'pass a file that is a NixOS module itself, { config, pkgs, ... }: { … }; where all are written inside modules of flake-parts, make such a file and list it under the imports of one'
    },
    'home-manager': {
      what: 'is a module of home-manager, not of NixOS',
      why: 'passing a card through is a matter of the whole system, not of one user.',
      remedy: machine
    },
    'nix-darwin': { what: 'is a module of nix-darwin, not of NixOS', remedy: machine },
    data: { what: 'sets no option of NixOS, so it is no NixOS module', remedy: machine },
    generated: {
      what: 'is generated and says "Do not modify this file!"',
      why: 'the next nixos-generate-config would overwrite what is written here.',
      remedy: `pass the file that imports it, usually: ${callOn(join(dirname(file), 'configuration.nix'), context)}`
    }
  }
  const { what, ...more } = words[kind]
  return { what: `${file} ${what}.`, nothingWritten: true, ...more }
}

/**
 * The toolkit's advice as it makes sense in a shell: a program can hand over the one definition
 * that it means, a person goes to its line in an editor.
 */
export function hintForPeople(hint: string, file: string, line: number): string {
  return hint
    .replace(/, or choose this definition$/, `, or edit line ${line} of ${file} by hand`)
    .replace(/, or choose one of them$/, ', then run this again')
    .replace(/^give each line as a string.*/, 'give lines, each as one value, with --string')
    .replace(
      /^set the whole string, or pass \{ lines: true \}/,
      'set the whole string with "option set", or add --lines'
    )
    .replace(/^omit \{ lines: true \}/, 'omit --lines')
    .replace(/^(?=if it is an argument)/, 'text needs quotes of its own, or --string;\n')
}

// What a person has to know of imported files that were not read.

/** A line for each file that is too big to be read, so that nothing is known of what it says. */
export function tooBigNotes({ unread }: { unread: readonly UnreadImport[] }): string[] {
  const files = new Map(unread.flatMap(({ oversize: it }) => (it ? [[it.path, it.size]] : [])))
  return [...files].map(
    ([path, size]) =>
      `Note: ${path} was not read, as it has ${inMiB(size)} and a Nix file may have ${inMiB(MOST_BYTES)}; what it says is not known here.`
  )
}
