import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { err, ok, type Result } from '../nix/result.ts'
import { findProgram, isRootOnly } from '../storage/access.ts'
import { type CopyProblem, copyTree } from '../storage/folders.ts'
import { findWorkTree, listFiles } from '../storage/git.ts'
import type { PlannedFile } from './changes.ts'
import type { ApplyProblem } from './problem.ts'

const NOT_FOUND = 'nix-instantiate was not found'

/** What `nix-instantiate` printed, and whether it took the text; or why it could not be asked. */
type NixRun =
  | { status: 'ok'; stdout: string }
  | { status: 'failed'; stderr: string }
  | { status: 'missing'; detail: string }

/**
 * Runs `nix-instantiate` with a text on its standard input, for which `-` is the argument: everybody can read
 * the arguments of a program. It needs no store and writes nothing; after `seconds` it is given up. For root
 * it is one that only root can have put in place (`findProgram`).
 */
function runNix(args: readonly string[], text: string, seconds: number): NixRun {
  const program = findProgram('nix-instantiate')
  if (program === null) return { status: 'missing', detail: NOT_FOUND }
  const run = spawnSync(program, ['--store', 'dummy://', ...args], {
    input: text,
    encoding: 'utf8',
    timeout: seconds * 1000,
    maxBuffer: 256 * 1024 * 1024
  })
  if (run.error) {
    const { code } = run.error as NodeJS.ErrnoException
    const detail = code === 'ENOENT' ? NOT_FOUND : run.error.message
    return { status: 'missing', detail }
  }
  return run.status === 0
    ? { status: 'ok', stdout: run.stdout }
    : { status: 'failed', stderr: run.stderr }
}

/** What Nix itself says of a text. */
export type ParseCheck =
  | { status: 'ok' }
  /** Nix rejects the new text and accepts the old one. */
  | { status: 'rejected'; output: string }
  /** The check says nothing: there is no Nix, or it rejects the old text too. */
  | { status: 'skipped'; detail: string }

/**
 * Asks `nix-instantiate`, if there is one, whether it parses a text. Nothing is evaluated and no
 * file is made. Where it does not accept the text before (newer syntax than it knows), its word on
 * the text after is worth nothing.
 */
function parseCheck(before: string | undefined, after: string): ParseCheck {
  const result = nixParses(after)
  if (result.status !== 'rejected') return result
  // A Nix that can't even parse this has trouble of its own, such as a home it can't enter.
  if (nixParses('{ }').status !== 'ok') {
    return { status: 'skipped', detail: 'nix-instantiate does not work here' }
  }
  return before !== undefined && nixParses(before).status === 'rejected'
    ? { status: 'skipped', detail: 'nix-instantiate does not accept the file as it is' }
    : result
}

function nixParses(text: string): ParseCheck {
  const run = runNix(['--parse', '-'], text, 10)
  switch (run.status) {
    case 'ok':
      return { status: 'ok' }
    case 'failed':
      return { status: 'rejected', output: run.stderr.trim() }
    case 'missing':
      return { status: 'skipped', detail: run.detail }
  }
}

// Runs a command of the user over a copy of the configuration with the change in it.

/** How it ended. `output` is all that the command printed, or the end of it. */
type EvalCheck =
  | { status: 'ok' }
  /** It failed; `before` is whether it also does without the change. */
  | { status: 'failed'; output: string; before: boolean }
  /** A signal came; nothing of it is left. */
  | { status: 'stopped'; signal: NodeJS.Signals }
  | { status: 'not-copied'; problem: CopyProblem }

interface EvalRequest {
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
  const isSafe = process.geteuid?.() !== 0 || isRootOnly(tmpdir())
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

/** What came of asking Nix for the XML of a domain. */
type Evaluated =
  | { status: 'ok'; xml: string }
  /** Nix says why not. */
  | { status: 'failed'; output: string }
  /** There is no Nix, or it does not answer. */
  | { status: 'missing'; detail: string }

/**
 * Has `nix-instantiate` compute the domain in a Nix file and render it as the modules do at build
 * time. `file` is the absolute path of the text, which is then read from there; without it, relative
 * paths lead from the current folder. Of the arguments of a module only `lib` is known, where there
 * is a `<nixpkgs>`. Nothing is built or written.
 */
export function evaluateDomain(domain: string, file: string | undefined): Evaluated {
  const renderer = fileURLToPath(new URL('../../nixos/_lib/domain.nix', import.meta.url))
  const source = file === undefined ? `(\n${domain}\n)` : `import ${nixPath(file)}`
  const text = expression(source, nixPath(renderer))
  const run = runNix(['--eval', '--strict', '--json', '-'], text, 30)
  if (run.status === 'failed') return { status: 'failed', output: shortened(run.stderr) }
  return run.status === 'ok' ? { status: 'ok', xml: JSON.parse(run.stdout) as string } : run
}

function expression(source: string, renderer: string): string {
  return `let
  toXML = import ${renderer};
  file = ${source};
  lib = builtins.tryEval (import <nixpkgs/lib>);
  known = if lib.success then { lib = lib.value; } else { };
  argumentsOf = function: builtins.mapAttrs
    (name: _: known.\${name} or (throw "the file needs \`\${name}', which is there only in a whole NixOS"))
    (removeAttrs (builtins.functionArgs function) (builtins.filter
      (name: (builtins.functionArgs function).\${name} && !(known ? \${name}))
      (builtins.attrNames (builtins.functionArgs function))));
  module = if builtins.isFunction file then file (argumentsOf file) else file;
  guests = (module.config or module).virtualisation.vfio.guests or { };
  names = builtins.filter (name: guests.\${name} ? domain) (builtins.attrNames guests);
in
if builtins.length names > 1 then
  throw "the file defines several guests (\${builtins.concatStringsSep ", " names}); give each a file of its own"
else if names != [ ] then
  toXML guests.\${builtins.head names}.domain
else if module ? name && module ? type then
  toXML module
else
  throw "the file has no virtualisation.vfio.guests.NAME.domain"
`
}

function nixPath(path: string): string {
  return `(/. + ${JSON.stringify(path).replaceAll('${', '\\${')})`
}

/** What went wrong without the trace of our own expression. */
function shortened(output: string): string {
  const [first = ''] = output.trim().split(/\n\s*\n/)
  return first.replace(/^error: /, '').replace(/\n\(use '--show-trace'.*/s, '')
}

/** Whether Nix is asked about the result if it is there (`auto`), always, or never. */
export type CheckMode = 'auto' | 'require' | 'off'

/**
 * Asks Nix about all files of a plan. `PARSE_REJECTED` where it does not accept one;
 * `PARSE_CHECK_MISSING` where it was required and says nothing, with `path`.
 */
export function checkWithNix(
  files: readonly PlannedFile[],
  mode: CheckMode,
  path: string
): Result<ParseCheck, ApplyProblem> {
  if (mode === 'off') return ok({ status: 'skipped', detail: 'switched off' })
  const modules = files.flatMap(({ path: each, before, after }) => {
    // What is kept aside of a module need not be one any more.
    const isModule = before !== undefined || each.endsWith('.nix')
    return after === undefined || !isModule ? [] : [{ before, after }]
  })
  // All at once, as items of a list. Each is an expression to the toolkit, so no bracket of one can close
  // that of another.
  const list = `[${modules.map(it => `\n(\n${it.after}\n)`).join('')}\n]\n`
  const all: ParseCheck | undefined = modules.length > 1 ? nixParses(list) : undefined
  let result: ParseCheck = all?.status === 'skipped' ? all : { status: 'ok' }
  // What is rejected may be one of them, or the Nix that is there.
  const isOpen = all === undefined || all.status === 'rejected'
  for (const { before, after } of isOpen ? modules : []) {
    const check = parseCheck(before, after)
    if (check.status === 'rejected') {
      return err({ code: 'PARSE_REJECTED', path, output: check.output })
    }
    if (check.status === 'skipped') result = check
  }
  return result.status === 'skipped' && mode === 'require'
    ? err({ code: 'PARSE_CHECK_MISSING', path, detail: result.detail })
    : ok(result)
}
