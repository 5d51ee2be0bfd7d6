import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { FileProblem } from './problem.ts'

/** Where NixOS and others have it; before PATH, which root may have from someone else. */
const USUAL_PLACES = ['/run/current-system/sw/bin', '/usr/bin', '/bin']

/**
 * Gives the file `to` the owner, mode, access list and extended attributes of `from`, with the `cp`
 * of GNU: Node can't. Where there is no such program nothing happens, as nothing tells whether the
 * file has any. Null, or the problem that kept a GNU `cp` from it.
 */
export function copyAttributes(from: string, to: string, cp = findCp()): FileProblem | null {
  if (cp === null) return null
  const { status, error } = run(cp, ['--attributes-only', '--preserve=all', '--', from, to])
  if (status === 0 || !isGnu(cp)) return null
  const errno = (error as NodeJS.ErrnoException | undefined)?.code ?? 'EIO'
  return { code: 'IO_ERROR', path: from, errno, syscall: 'cp' }
}

function findCp(): string | null {
  const folders = [...USUAL_PLACES, ...(process.env.PATH ?? '').split(':').filter(isAbsolute)]
  return folders.map(folder => join(folder, 'cp')).find(path => existsSync(path)) ?? null
}

function isGnu(cp: string): boolean {
  return run(cp, ['--version']).stdout.includes('GNU coreutils')
}

function run(program: string, args: string[]) {
  return spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 10_000
  })
}
