// The words for what keeps a configuration from being edited.

import { dirname, join } from 'node:path'
import type { ForeignKind } from '../../apply/kind.ts'
import type { ApplyProblem } from '../../apply/problem.ts'
import type { NixError } from '../../nix/index.ts'
import { shellWord } from '../arguments/shellWord.ts'
import { type Context, callOn, nameOfFile } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { drawnByToolkit } from '../show/terminal.ts'
import { list } from './deviceWords.ts'
import { guestMessage } from './guestMessages.ts'
import { hintForPeople } from './hints.ts'
import { notTakenOver } from './takeOverMessages.ts'

const NOTHING = 'Nothing was written.'

/** What the toolkit refuses, with the line it is about; `truth` is what was done nevertheless. */
export function nixMessage(error: NixError, context: Context, truth = ` ${NOTHING}`): Message {
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
    exit: bug ? EXIT.invalid : EXIT.refused,
    what: `${file}${atPlace ? `:${line}:${column}` : ''}: ${error.message}.${truth}`
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

/** What a person reads of a problem. */
export function applyMessage(problem: ApplyProblem, context: Context): Message {
  const { path, code } = problem
  switch (problem.code) {
    case 'NIX':
      return nixMessage(problem.error, context)
    case 'NOTHING_CHOSEN':
      return {
        code,
        exit: EXIT.usage,
        what: `nothing to set up was chosen, and ${path} has nothing of vfio-patch yet.`,
        why: 'the tool does not guess which card you want to give away.',
        remedy: [
          'see which card can go to a guest with "vfio-patch scan", then name it by its address:',
          `${callOn(context.file, context)} --gpu ADDR`
        ].join('\n')
      }
    case 'SEVERAL_PROFILES': {
      const { names, everywhere } = problem
      const entries = [
        ...(everywhere ? ['every boot entry'] : []),
        ...names.map(it => `specialisation.${it}`)
      ]
      const flags = list(
        names.map(it => `--specialisation ${it}`),
        'or'
      )
      return {
        code,
        exit: EXIT.usage,
        what: `${context.file} sets up ${list(entries)}, and these flags can be for only one. ${NOTHING}`,
        remedy: everywhere
          ? `add ${flags};\nwhat every boot entry has can be changed with: vfio-patch option set`
          : `add ${flags}`
      }
    }
    case 'GIVEN_EVERYWHERE': {
      const { name, at } = problem
      const file = at.path === path ? context.file : at.path
      return {
        code,
        exit: EXIT.refused,
        what: `${file}:${at.line}:${at.column}: every boot entry gives devices to guests already. ${NOTHING}`,
        at: { ...at, path: file },
        why: `specialisation.${name} would inherit that, and the usual boot entry would still be without them.`,
        remedy: `take it out, then run this again: ${callOn(context.file, context, 'remove')}`
      }
    }
    case 'TAKE_OVER_FIRST': {
      const { name } = problem
      const { line, column, spelling, option, ...at } = problem.import
      const file = at.path === path ? context.file : at.path
      return {
        code,
        exit: EXIT.refused,
        what: `${file}:${line}:${column}: ${spelling} declares ${option}, and so do the modules of vfio-patch. ${NOTHING}`,
        at: { path: file, line, column },
        why: `they would take its place in every boot entry, and with --specialisation ${name} the usual one stays as it is.`,
        remedy: `first let them take its place, without --specialisation, then run this again:\n${callOn(context.file, { ...context, tail: '' }, 'apply')}`
      }
    }
    case 'WRONG_KIND':
      return wrongKind(problem.kind, context)
    case 'FOREIGN_FOLDER':
      return {
        code,
        exit: EXIT.refused,
        what:
          problem.found === path
            ? `${path} is not a folder, and the modules of vfio-patch would go there. ${NOTHING}`
            : `the folder ${path} is not one of vfio-patch: it holds ${problem.found}. ${NOTHING}`,
        why: 'your own files are never overwritten.',
        remedy: 'choose another folder for the modules, e.g. --modules-dir vfio-patch'
      }
    case 'MODULES_EDITED':
      return {
        code,
        exit: EXIT.refused,
        what: `${problem.names.join(' and ')} in ${path} ${problem.names.length === 1 ? 'was' : 'were'} changed by hand. ${NOTHING}`,
        why: 'an update would take these changes away.',
        remedy: `move them into your own configuration, then: ${context.line} --replace-modules`
      }
    case 'DECLARED_ELSEWHERE': {
      const { declaration, importer, option } = problem
      const isOwn = importer === undefined
      return {
        code,
        exit: EXIT.refused,
        what: `${isOwn ? context.file : declaration} already declares ${option}. ${NOTHING}`,
        why: isOwn
          ? 'two modules can not declare one option, and the modules of vfio-patch declare this one, too.'
          : `two modules can not declare one option; ${context.file} gets this one through ${importer}.`,
        remedy: isOwn
          ? 'pass the configuration of a machine; is this a module that others import?'
          : `leave --keep-obsolete away to have ${importer} replaced, or take it out of imports (your settings under virtualisation can stay)`
      }
    }
    case 'NOT_TAKEN_OVER':
      return notTakenOver(problem.obstacles, context, path)
    case 'IMPORTED_ELSEWHERE': {
      const { folder, importer } = problem
      const direct = importer === path
      return {
        code,
        exit: EXIT.refused,
        what: `${importer} already imports the modules of vfio-patch, from ${folder}. ${NOTHING}`,
        why: 'imported twice from two folders, every option would be declared twice.',
        remedy: direct
          ? `leave --modules-dir away, or take that import out first`
          : `work on that file: vfio-patch ${context.command} ${importer}`
      }
    }
    case 'GUEST_DEFINED':
    case 'GUEST_UUID':
    case 'GUEST_EDITED':
    case 'GUEST_NOT_CONVERTED':
      return guestMessage(problem, context, 'FILE.xml')
    case 'PARSE_REJECTED':
      return {
        code,
        exit: EXIT.invalid,
        what: `Nix would not accept the edited ${path}; this is a bug in vfio-patch. ${NOTHING}`,
        why: problem.output,
        remedy: report(context)
      }
    case 'PARSE_CHECK_MISSING':
      return {
        code,
        exit: EXIT.invalid,
        what: `the result could not be checked with Nix: ${problem.detail}. ${NOTHING}`,
        remedy: 'install Nix where this runs, or leave --parse-check away'
      }
  }
}

function report({ line }: Context): string {
  return `please report it, with the file and this call: ${line}`
}

function wrongKind(kind: ForeignKind, context: Context): Message {
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
  return { code: 'WRONG_KIND', exit: EXIT.refused, what: `${file} ${what}. ${NOTHING}`, ...more }
}
