// Why a command can't use the values or the combination of its flags.

import type { NixError } from '../../nix/index.ts'
import type { BadSetting } from '../../settings/parse.ts'
import { type Message, usage } from '../message.ts'

export function quietQuestion(): Message {
  return usage('--quiet would hide the change that you are asked to confirm.', {
    remedy: 'add --yes, or omit --quiet'
  })
}

export function badLineCount(value: string): Message {
  return usage(`-U needs a number of lines, got "${value}".`, { remedy: 'e.g. -U 5' })
}

export function badLine(value: string): Message {
  return usage(`--line needs the number of a line, got "${value}".`, { remedy: 'e.g. --line 12' })
}

const ROOT = 'pass the folder where the system is mounted, e.g. --root /mnt'

export function relativeRoot(root: string): Message {
  return usage(`--root needs an absolute path, got "${root}".`, { remedy: ROOT })
}

export function missingRoot(root: string): Message {
  return usage(`--root: there is no folder ${root}.`, { remedy: ROOT })
}

export function badModulesDir(folder: string): Message {
  return usage(`--modules-dir needs a folder next to the configuration, got "${folder}".`, {
    remedy: 'e.g. --modules-dir modules/vfio'
  })
}

export function badRelease(release: string): Message {
  return usage(`--release needs a release of NixOS, got "${release}".`, {
    remedy: 'e.g. 26.05, or unstable'
  })
}

export function badSetting(flag: string, { message, hint }: BadSetting): Message {
  return usage(`--${flag}: ${message}.`, { remedy: hint })
}

export function badAddress(flag: string, { message }: BadSetting): Message {
  return usage(`--${flag}: ${message}.`, { remedy: '"vfio-patch scan" shows the addresses' })
}

export function repeatedMemory(name: string): Message {
  return usage(`--shared-memory ${name} was given twice.`, { remedy: 'give it once' })
}

/** A flag that needs a file, with standard input. */
export function noFileToWrite(flag: string): Message {
  return usage(`--${flag} needs a file, got "-".`, {
    why: 'if the module is read from standard input, the result is only printed.',
    remedy: `pass the name of a file, or omit --${flag}`
  })
}

/** `option get` without a path. */
export function missingPath(): Message {
  return usage('"option get" needs PATH or --flat.', {
    remedy:
      'vfio-patch option get FILE PATH\nor, for all options of the file: vfio-patch option get FILE --flat'
  })
}

export function badPath({ message, hint }: NixError): Message {
  return usage(`${message}.`, { remedy: hint ?? 'vfio-patch option --help' })
}

const STRING = `a text value needs Nix quotes inside the shell quotes, e.g. '"text"', or --string`

export function emptyNixValue(): Message {
  return usage('the value is empty.', { remedy: STRING })
}

/** `excerpt` is the value with a caret below the place. */
export function notNix(fault: string, excerpt: string): Message {
  return { ...usage(`the value is not Nix: ${fault}.`, { remedy: STRING }), excerpt }
}

/** Text that Nix reads as a path, such as `Europe/Berlin`. */
export function pathValue(word: string): Message {
  return usage(`Nix reads ${word} as the path of a file.`, {
    remedy: `for a string: ${STRING}\nfor a file: ./${word}`
  })
}

/** A quoted value with --lines. */
export function quotedLine(word: string): Message {
  return usage(`--lines would write the quotes of ${word.trim()} into the line.`, {
    remedy: 'omit these quotes, or add --string if they belong to the line'
  })
}
