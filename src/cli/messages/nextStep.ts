// The command that builds the system with a changed file.

import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { type Build, buildOf } from '../../configuration/build.ts'
import { type Files, openFiles } from '../../configuration/files.ts'
import { shellWord } from '../message.ts'
import { list } from './devices.ts'

/** `nextStep` for a caller that has not opened the files. */
export function readNextStep(root: string, realpath: string): string[] {
  return nextStep(openFiles(root), realpath)
}

/**
 * The lines with the command that builds the system of the file at `realpath`. If it is not known which
 * system of a flake has the file, or which configuration imports it, a second line says what to fill in.
 */
export function nextStep(sources: Files, realpath: string): string[] {
  const { root } = sources
  const build = buildOf(realpath, sources, process.env)
  const command =
    root === '/' ? `sudo nixos-rebuild boot${argumentsOf(build)} && reboot` : below(build, root)
  return [`Next:   ${command}`, ...gapsOf(build).map(it => `        ${it}`)]
}

/** What the user has to fill in. */
function gapsOf(build: Build): string[] {
  if (build.kind === 'part') return [`FILE is the configuration that imports ${build.path}.`]
  if (build.kind !== 'flake' || build.host !== undefined) return []
  const { hosts, folder } = build
  return hosts.length === 0
    ? [`HOST is the name of this machine in ${join(folder, 'flake.nix')}.`]
    : [`HOST is the system that this file is for: ${list(hosts, 'or')}.`]
}

/** The reference to a system in a flake, quoted for a shell if necessary. `#` needs no quotes, except in zsh with extended globs. */
function flakeWord(folder: string, host = 'HOST'): string {
  const isPlain = shellWord(folder) === folder && shellWord(host) === host
  return isPlain ? `${folder}#${host}` : shellWord(`${folder}#${host}`)
}

/** Whether a system was installed below the root before. */
function isInstalled(root: string): boolean {
  try {
    // The target of the symlink is a path in the mounted system, so the symlink itself is inspected.
    return lstatSync(join(root, 'nix/var/nix/profiles/system')).isSymbolicLink()
  } catch {
    return false
  }
}

/** The arguments of nixos-rebuild, beginning with a space. */
function argumentsOf(build: Build): string {
  switch (build.kind) {
    case 'default':
      return ''
    case 'file':
      return ` -I ${shellWord(`nixos-config=${build.path}`)}`
    case 'flake':
      return ` --flake ${flakeWord(build.folder, build.host)}`
    case 'part':
      return ' -I nixos-config=FILE'
  }
}

/** The command for a mounted system: it installs the system, or rebuilds a system that was installed before. */
function below(build: Build, root: string): string {
  const at = `--root ${shellWord(root)}`
  if (isInstalled(root)) {
    const inside = (path: string) => path.slice(root.length) || '/'
    const inner: Build =
      build.kind === 'flake'
        ? { ...build, folder: inside(build.folder) }
        : build.kind === 'default'
          ? build
          : { ...build, path: inside(build.path) }
    return `sudo nixos-enter ${at} -c ${shellWord(`nixos-rebuild boot${argumentsOf(inner)}`)}`
  }
  if (build.kind === 'flake') {
    return `sudo nixos-install ${at} --flake ${flakeWord(build.folder, build.host)}`
  }
  if (build.kind === 'default') return `sudo nixos-install ${at}`
  const file = build.kind === 'part' ? 'FILE' : build.path
  return `sudo env ${shellWord(`NIXOS_CONFIG=${file}`)} nixos-install ${at}`
}
