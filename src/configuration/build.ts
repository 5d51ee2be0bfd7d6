// Which system has to be built for a change of a file to take effect.

import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type NixDocument, parseDocument, visit } from '../nix/index.ts'
import { locateTarget } from '../storage/read.ts'
import type { Files, SourceFile } from './files.ts'
import { walkImports } from './imports.ts'

/** The system that a file is part of. */
export type Build =
  /** The system that NixOS builds by default. */
  | { kind: 'default' }
  /** The system of this file, which NixOS does not build by default. */
  | { kind: 'file'; path: string }
  /**
   * The system `host` of the flake in a folder; undefined if it is unclear which system has the file.
   * `hosts` are all systems of the flake; systems with computed names are missing.
   */
  | { kind: 'flake'; folder: string; host: string | undefined; hosts: readonly string[] }
  /** Unknown: the file is a module, and nothing shows what imports it. */
  | { kind: 'part'; path: string }

/**
 * The system that the file at `path`, with symlinks resolved, is part of. `env` is the environment.
 * Unreadable files are treated as absent.
 */
export function buildOf(
  path: string,
  sources: Files,
  env: Record<string, string | undefined>
): Build {
  const { root } = sources
  const flake = flakeAround(path, sources)
  if (flake) return { kind: 'flake', folder: flake.folder, ...hostOf(flake, path, sources) }
  const byDefault = join(root, 'etc/nixos/configuration.nix')
  if (hasFile(byDefault, path, sources)) return { kind: 'default' }
  const named = root === '/' && env.NIXOS_CONFIG ? resolve(env.NIXOS_CONFIG) : undefined
  if (named !== undefined && hasFile(named, path, sources)) return { kind: 'file', path: named }
  const hasVersion = (sources.module(path)?.doc.getIn('system.stateVersion') ?? []).length > 0
  return hasVersion || basename(path) === 'configuration.nix'
    ? { kind: 'file', path }
    : { kind: 'part', path }
}

/** Whether a configuration is the file or imports it. */
function hasFile(configuration: string, path: string, sources: Files): boolean {
  const target = locateTarget(configuration, { root: sources.root })
  if (!target.ok || !target.value.exists) return false
  return target.value.realpath === path || importsFile(target.value.realpath, path, sources)
}

function importsFile(from: string, path: string, sources: Files): boolean {
  const start = sources.module(from)
  return start !== undefined && walkImports(start, sources).files.some(it => it.path === path)
}

// A flake.nix that uses one of these frameworks need not mention nixosConfigurations.
const FRAMEWORKS = /\b(?:mkFlake|flake-parts|blueprint|snowfall|import-tree|flakelight)\b/

interface Flake {
  folder: string
  file: SourceFile
}

/** The flake.nix with NixOS systems in the nearest parent folder of a file, in the same repository. */
function flakeAround(path: string, sources: Files): Flake | undefined {
  const { root } = sources
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const path = join(folder, 'flake.nix')
    const file = existsSync(path) ? sources.module(path) : undefined
    const isDefault = folder === join(root, 'etc/nixos')
    const text = file?.text ?? ''
    const hasSystems = /\bnixosConfigurations\b/.test(text) || FRAMEWORKS.test(text)
    if (file && (isDefault || hasSystems)) return { folder, file }
    const isTop = folder === dirname(folder) || folder === root
    if (isTop || existsSync(join(folder, '.git'))) return undefined
  }
}

/** The flake's system that has the file: the only system, else the only one that imports it, else by host name. */
function hostOf(
  { folder, file }: Flake,
  path: string,
  sources: Files
): { host: string | undefined; hosts: readonly string[] } {
  const { systems, isComplete } = systemsIn(file)
  const hosts = [...systems.keys()]
  const [only] = hosts
  if (isComplete && hosts.length === 1) return { host: only, hosts }
  const leadsToFile = (source: string) =>
    [...source.matchAll(/(?<![\w/])\.{1,2}\/[\w.+/-]*/g)].some(([reference]) => {
      const target = sources.module(join(folder, reference))
      return target?.path === path || (target && importsFile(target.path, path, sources))
    })
  const candidates = hosts.filter(it => leadsToFile(systems.get(it) ?? ''))
  if (candidates.length === 1) return { host: candidates[0], hosts }
  const name = hostNameOf(path, sources)
  return { host: name !== undefined && hosts.includes(name) ? name : undefined, hosts }
}

/** The systems that a flake defines, with the text of each; `isComplete` is false if a name is computed. */
function systemsIn({ doc }: SourceFile): {
  systems: ReadonlyMap<string, string>
  isComplete: boolean
} {
  const systems = new Map<string, string>()
  let isComplete = true
  const add = (name: string | undefined, source: string) => {
    if (name === undefined) isComplete = false
    else systems.set(name, `${systems.get(name) ?? ''}\n${source}`)
  }
  visit(doc, node => {
    const attrpath = node.type === 'binding' ? node.field('attrpath') : undefined
    const value = node.field('expression')
    if (!attrpath || !value) return undefined
    const path = attrpath.text
    const found = /(?:^|\.)nixosConfigurations(?:\.(.*))?$/s.exec(path)
    if (!found) return undefined
    const source = value.text
    if (found[1] !== undefined) add(/^"?([\w-]+)"?$/.exec(found[1])?.[1], source)
    else {
      const inner = parseDocument(source)
      const leaves = inner.leaves()
      if (leaves.length === 0) isComplete = false
      for (const it of leaves) add(it.path[0], it.value.text)
    }
    return undefined
  })
  return { systems, isComplete: isComplete && systems.size > 0 }
}

/** The host name that the file or one of its imports sets; undefined if they disagree. */
function hostNameOf(path: string, sources: Files): string | undefined {
  const start = sources.module(path)
  const files = start ? walkImports(start, sources).files : []
  const names = new Set(files.flatMap(it => hostNamesIn(it.doc)))
  return names.size === 1 ? [...names][0] : undefined
}

/** The values of `networking.hostName`; undefined for a value that is not a plain string. */
export function hostNamesIn(doc: NixDocument): (string | undefined)[] {
  return doc.getIn('networking.hostName').map(it => /^"([\w-]+)"$/.exec(it.source)?.[1])
}
