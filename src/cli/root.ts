// What depends on the system that is worked on: the running one, or the one below --root.

import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, normalize } from 'node:path'
import { stateFolder } from '../files/stateFolder.ts'
import { locateTarget } from '../files/target.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { Arguments } from './arguments/parseArguments.ts'
import { type Message, usage } from './message.ts'

/** `/`, or the folder that `--root` names, which is there. */
export function readRoot(given: Arguments): Result<string, Message> {
  const root = given.text('root')
  if (root === undefined) return ok('/')
  const remedy = 'give the folder where the system is mounted, e.g. --root /mnt'
  if (!isAbsolute(root)) {
    return err(usage(`--root needs an absolute directory, got "${root}".`, { remedy }))
  }
  if (!isFolder(root)) return err(usage(`--root: there is no directory ${root}.`, { remedy }))
  return ok(normalize(`${root}/.`))
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** The folder with the backups that this process uses. */
export function stateFolderHere(root: string): string {
  const folder = stateFolder({
    root,
    uid: process.geteuid?.() ?? -1,
    home: homedir(),
    env: process.env
  })
  // Links on the way lead where they lead in that system; a folder elsewhere is meant as it is.
  const inside = root === '/' ? undefined : locateTarget(folder, { root })
  return inside?.ok ? inside.value.realpath : folder
}
