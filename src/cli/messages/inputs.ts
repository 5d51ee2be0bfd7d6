// Files and machines that a command can't work on.

import { join } from 'node:path'
import type { MachineProblem } from '../../machine/read/machine.ts'
import { type Context, callOn, nameOfFile } from '../context.ts'
import { type Message, usage } from '../message.ts'

/** A folder without a configuration.nix, with or without a flake. */
export function noConfiguration(hasFlake: boolean, context: Context): Message {
  const { file: folder } = context
  if (hasFlake) {
    const example = callOn(join(folder, 'hosts/pc/configuration.nix'), context)
    return {
      code: 'WRONG_KIND',
      what: `${folder} contains a flake and no configuration.nix.`,
      nothingWritten: true,
      why: 'the flake only lists modules; the settings have to be in one of these modules.',
      remedy: `pass the module that flake.nix lists under modules, e.g. ${example}`
    }
  }
  return {
    code: 'NOT_FOUND',
    what: `there is no configuration.nix in ${folder}.`,
    remedy: `pass the file: ${callOn(join(folder, 'YOUR-FILE.nix'), context)}`
  }
}

/** A file without text. */
export function emptyFile(context: Context): Message {
  return {
    code: 'NOT_A_MODULE',
    what: `${nameOfFile(context)} is empty.`,
    nothingWritten: true,
    remedy: 'pass a module: a file like { config, pkgs, ... }: { … }'
  }
}

/** `--assume-isolated` without `--specialisation`. */
export function isolatedEverywhere(): Message {
  return usage('--assume-isolated needs --specialisation.', {
    why: 'the IOMMU groups are not known yet, so the default boot entry must not change.',
    remedy: 'add --specialisation vfio'
  })
}

/** The folder of `--sysfs` is not a machine. */
export function sysfsMessage(problem: MachineProblem, folder: string | undefined): Message {
  const remedy = 'pass the folder that "vfio-patch scan --dump FOLDER" wrote'
  switch (problem.code) {
    case 'NOT_A_FOLDER':
      return usage(`--sysfs: there is no folder ${folder}.`, { remedy })
    case 'NO_MACHINE':
      return usage(`--sysfs: ${folder} contains neither a dump nor a folder "sys".`, { remedy })
    case 'BAD_DUMP':
      return usage(`--sysfs: ${folder} has a line that is not part of a dump: ${problem.line}`, {
        remedy
      })
  }
}
