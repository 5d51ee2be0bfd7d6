import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join, relative } from 'node:path'
import { knownPeople, type People } from '../../../src/storage/access.ts'
import type { RecoverOptions } from '../../../src/storage/recovery.ts'
import { hashOf } from './files.ts'
import { makePlace, type Place } from './place.ts'

/** The user who called sudo, and owns the configuration. */
export const ALICE = 1234
export const STARTED = '2026-11-22T16:03:12.000Z'
/** The start of a lock's target, for a process that has ended. */
export const GONE = '4194399:1::'

/** A configuration in Alice's folder, and files of root that Alice wants root to change. */
export interface Hostile extends Place {
  configuration: string
  /** Root's folder with files, folders, symlinks and a run. */
  decoys: string
  people: People
  where: RecoverOptions
}

/** Creates the files. The state folder belongs to root and has one run. */
export function makeHostile(): Hostile {
  const place = makePlace()
  chmodSync(place.top, 0o755)
  const { nixos, top, state } = place
  const configuration = join(nixos, 'configuration.nix')
  writeFileSync(configuration, 'old\n', { mode: 0o644 })
  for (const each of [nixos, configuration]) chownSync(each, ALICE, ALICE)

  const decoys = join(top, 'decoys')
  for (const each of ['', 'empty', 'nixos', 'private/x/20261122-160312-1'])
    mkdirSync(join(decoys, each), { recursive: true, mode: 0o755 })
  writeFileSync(join(decoys, 'secret'), 'secret\n', { mode: 0o600 })
  writeFileSync(join(decoys, 'nixos/a.nix'), 'new\n', { mode: 0o644 })
  writeFileSync(join(decoys, `nixos/${temporary('a.nix')}`), 'half\n')
  writeFileSync(join(decoys, 'nixos/.vfio-patch.journal.new'), 'draft\n')
  writeFileSync(join(decoys, 'private/x/20261122-160312-1/kept'), 'kept\n')
  chmodSync(join(decoys, 'private'), 0o700)
  symlinkSync('secret', join(decoys, 'link'))

  const run = join(state, 'runs/20261122-160312-7')
  mkdirSync(run, { recursive: true, mode: 0o700 })
  for (const each of [state, join(state, 'runs')]) chmodSync(each, 0o700)
  writeFileSync(join(run, '1.before'), 'kept\n', { mode: 0o600 })
  writeFileSync(join(run, 'manifest.json'), manifestOf('/etc/nixos/a.nix'), { mode: 0o600 })

  const people = knownPeople({ SUDO_UID: String(ALICE) })
  const where = { paths: [configuration], stateFolder: state, people }
  return { ...place, configuration, decoys, people, where }
}

/** The record of an interrupted run that changes a file from `old` to `new`. */
export function manifestOf(path: string): string {
  const before = { sha256: hashOf('old\n'), mode: 0o644, uid: 0, gid: 0, copy: '1.before' }
  return JSON.stringify({
    ...{ schema: 'vfio-patch/run', schemaVersion: 1, id: '20261122-160312-7', tool: '1.0.0' },
    ...{ command: 'apply', started: STARTED, root: '/' },
    files: [{ path, before, after: { sha256: hashOf('new\n') } }],
    folders: []
  })
}

/** The name of a temporary file for a file. */
export function temporary(base: string): string {
  return `.${base}.vfio-patch.${'0'.repeat(12)}.tmp`
}

/** The journal of a run that was killed before it changed the configuration, with some fields replaced. */
export function journalOf(fields: Record<string, unknown> = {}): string {
  const file = {
    ...{ path: 'configuration.nix', before: hashOf('old\n'), after: hashOf('new\n') },
    ...{ temp: temporary('configuration.nix'), spare: null }
  }
  return JSON.stringify({
    ...{ schema: 'vfio-patch/journal', schemaVersion: 1, command: 'apply', started: STARTED },
    ...{ locked: ['.'], files: [file], folders: [], emptied: [], run: null },
    ...fields
  })
}

/** A file entry of a journal, with some fields replaced. */
export function fileOf(path: string, fields: Record<string, unknown> = {}) {
  return { path, before: null, after: hashOf('new\n'), temp: null, spare: null, ...fields }
}

/** Writes a file as Alice. */
export function plant(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o644 })
  chownSync(path, ALICE, ALICE)
}

export function plantLink(target: string, path: string): void {
  symlinkSync(target, path)
  lchownSync(path, ALICE, ALICE)
}

/** A line for each entry below these folders: path, owner, mode, inode, times and content. */
export function snapshotOf(...folders: string[]): string[] {
  return folders.flatMap(folder => linesBelow(folder, folder))
}

function linesBelow(top: string, path: string): string[] {
  const stat = lstatSync(path)
  const { uid, gid, mode, ino, nlink, mtimeMs, ctimeMs } = stat
  const times = `${mtimeMs} ${ctimeMs}`
  const line = `${relative(top, path) || '.'} ${uid}:${gid} ${mode.toString(8)} ${ino} ${nlink} ${times}`
  if (stat.isSymbolicLink()) return [`${line} -> ${readlinkSync(path)}`]
  if (stat.isFile()) return [`${line}: ${readFileSync(path, 'latin1')}`]
  if (!stat.isDirectory()) return [line]
  return [line, ...readdirSync(path).flatMap(name => linesBelow(top, join(path, name)))]
}
