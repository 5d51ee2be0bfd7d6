// Runs a command of the user over a copy of the configuration with the change in it.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { type CopyProblem, copyTree } from '../../files/copyTree.ts'
import { listFiles } from '../../git/listFiles.ts'
import { findWorkTree } from '../../git/workTree.ts'
import { findProgram } from '../../system/programs.ts'
import { isRootsAlone } from '../../system/way.ts'
import type { PlannedFile } from '../planApply.ts'

/** How it ended. `output` is all that the command printed, or the end of it. */
export type EvalCheck =
  | { status: 'ok' }
  /** It failed; `before` is whether it also does without the change. */
  | { status: 'failed'; output: string; before: boolean }
  /** A signal came; nothing of it is left. */
  | { status: 'stopped'; signal: NodeJS.Signals }
  | { status: 'not-copied'; problem: CopyProblem }

export interface EvalRequest {
  /** For `sh -c`. */
  command: string
  /** The configuration, without links. */
  path: string
  files: readonly PlannedFile[]
  /** New files that git will not know, so that a flake will not see them. */
  unseen: ReadonlySet<string>
  /** Takes what the command prints about the change, as it comes. */
  listen?: (part: string) => void
}

const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Copies the repository of the configuration (its folder where there is none) to a place of its
 * own, makes the change there, and runs the command in it, with the environment variables
 * VFIO_PATCH_TREE (the copy) and VFIO_PATCH_FILE (the configuration in it). Of a flake, what git
 * knows is copied and what it will know, as Nix sees no more; else all but the folders that git
 * ignores. The copy goes in any case, and with it all that the command has started.
 */
export async function evalCheck(request: EvalRequest): Promise<EvalCheck> {
  let stopped: NodeJS.Signals | undefined
  const stops: ((signal: NodeJS.Signals) => void)[] = []
  const stop = (signal: NodeJS.Signals) => {
    stopped ??= signal
    for (const it of stops) it(signal)
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  const copy = realpathSync(mkdtempSync(join(temporaryFolder(), 'vfio-patch-eval-')))
  try {
    const { from, names, isFlake } = sourceOf(request.path)
    const copied = await copyTree(from, copy, names, () => stopped !== undefined)
    if (!copied.ok) return { status: 'not-copied', problem: copied.error }
    // What lies outside of what is copied has no place in the copy.
    const isInside = (path: string) => !relative(from, path).startsWith('..')
    const isUnseen = (path: string) => isFlake && request.unseen.has(path)
    const seen = request.files.filter(it => isInside(it.path) && !isUnseen(it.path))
    const put = (side: 'before' | 'after') => {
      for (const it of seen) putText(join(copy, relative(from, it.path)), it[side])
    }
    const file = join(copy, relative(from, request.path))
    const { command } = request
    put('after')
    const first = stopped ? undefined : await runIn(copy, file, request, stops)
    if (stopped) return { status: 'stopped', signal: stopped }
    if (first === undefined || first.code === 0) return { status: 'ok' }
    put('before')
    const second = await runIn(copy, file, { command }, stops)
    if (stopped) return { status: 'stopped', signal: stopped }
    return { status: 'failed', output: first.output, before: second.code !== 0 }
  } finally {
    rmSync(copy, { recursive: true, force: true })
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}

/** Not a folder of somebody else's for root, in which its copy could be exchanged. */
function temporaryFolder(): string {
  const isSafe = process.geteuid?.() !== 0 || isRootsAlone(tmpdir())
  return isSafe ? tmpdir() : '/tmp'
}

/** What is copied; all below `from` where there are no names. */
function sourceOf(path: string): { from: string; names?: string[]; isFlake: boolean } {
  const tree = findWorkTree(path)
  if (!tree) return { from: dirname(path), isFlake: false }
  const isFlake = hasFlake(dirname(path), tree.top)
  const listed = listFiles(tree, isFlake ? 'known' : 'all')
  // Where git can't be asked, too much is copied rather than too little.
  return listed.ok
    ? { from: tree.top, names: listed.value, isFlake }
    : { from: tree.top, isFlake: false }
}

function hasFlake(folder: string, top: string): boolean {
  if (existsSync(join(folder, 'flake.nix'))) return true
  return folder !== top && hasFlake(dirname(folder), top)
}

function putText(path: string, text: string | undefined): void {
  rmSync(path, { force: true })
  if (text === undefined) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** As much of the output as anybody will read. */
const MOST_OUTPUT = 64 * 1024

function runIn(
  tree: string,
  file: string,
  { command, listen = () => {} }: Pick<EvalRequest, 'command' | 'listen'>,
  stops: ((signal: NodeJS.Signals) => void)[]
): Promise<{ code: number | null; output: string }> {
  return new Promise((done, reject) => {
    // In a group of its own, so that all that it starts can be ended with it.
    const child = spawn(findProgram('sh') ?? '/bin/sh', ['-c', command], {
      cwd: tree,
      detached: true,
      env: { ...process.env, VFIO_PATCH_TREE: tree, VFIO_PATCH_FILE: file },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const signalAll = (signal: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal)
      } catch {
        // It has ended.
      }
    }
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        output = (output + part).slice(-MOST_OUTPUT)
        listen(part)
      })
    }
    const stop = (signal: NodeJS.Signals) => {
      signalAll(signal)
      setTimeout(() => signalAll('SIGKILL'), 2_000).unref()
    }
    stops.push(stop)
    child.on('error', reject)
    child.on('exit', () => signalAll('SIGKILL'))
    child.on('close', code => {
      stops.splice(stops.indexOf(stop), 1)
      done({ code, output })
    })
  })
}
