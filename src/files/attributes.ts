import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { inFolder, pathOf } from '../system/inFolder.ts'
import { findProgram } from '../system/programs.ts'
import { attempt, tried } from './attempt.ts'
import { reading } from './errno.ts'
import type { FileProblem } from './problem.ts'

/** Where NixOS and others have it; before PATH, as there may be another `cp` in that. */
const USUAL_PLACES = '/run/current-system/sw/bin:/usr/bin:/bin'

/**
 * Gives the open file `to` the owner, mode, access list and extended attributes of the file `from`,
 * which is no link, with the `cp` of GNU: Node can't. Where there is no such program nothing happens,
 * as nothing tells whether the file has any. Null, or the problem that kept a GNU `cp` from it.
 *
 * `cp` gets both files open, as somebody may put others in their places meanwhile.
 */
export function copyAttributes(from: string, to: number, cp = findCp()): FileProblem | null {
  if (cp === null) return null
  const opened = attempt(() => inFolder(from, it => openSync(it, READ)), reading(from))
  if (!opened.ok) return opened.error
  try {
    const open = [opened.value, to]
    const names = open.map((_, index) => pathOf(index + FIRST_FREE))
    const { status, error } = run(cp, [...ATTRIBUTES, '--', ...names], open)
    if (status === 0 || !isGnu(cp)) return null
    const errno = (error as NodeJS.ErrnoException | undefined)?.code ?? 'EIO'
    return { code: 'IO_ERROR', path: from, errno, syscall: 'cp' }
  } finally {
    tried(() => closeSync(opened.value))
  }
}

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
const ATTRIBUTES = ['--attributes-only', '--preserve=all']
/** What the first file that is handed over is called in the child. */
const FIRST_FREE = 3

function findCp(): string | null {
  return findProgram('cp', `${USUAL_PLACES}:${process.env.PATH ?? ''}`)
}

function isGnu(cp: string): boolean {
  return run(cp, ['--version']).stdout.includes('GNU coreutils')
}

function run(program: string, args: string[], open: number[] = []) {
  return spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore', ...open],
    timeout: 10_000
  })
}
