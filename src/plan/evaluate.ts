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
import { missingArgument, NO_DOMAIN, SKIPPED, severalGuests } from './messages/nix.ts'
import type { ApplyProblem } from './problem.ts'

/** The output of `nix-instantiate`, or why it could not run. */
type NixRun =
  | { status: 'ok'; stdout: string }
  | { status: 'failed'; stderr: string }
  | { status: 'missing'; detail: string }

/**
 * Runs `nix-instantiate` with a text on standard input (argument `-`), because other users can read the arguments
 * of a process. It needs no store and writes nothing, and is killed after `seconds`. Root runs only a program that
 * nobody else can replace (`findProgram`).
 */
function runNix(args: readonly string[], text: string, seconds: number): NixRun {
  const program = findProgram('nix-instantiate')
  if (program === null) return { status: 'missing', detail: SKIPPED.notFound }
  const run = spawnSync(program, ['--store', 'dummy://', ...args], {
    input: text,
    encoding: 'utf8',
    timeout: seconds * 1000,
    maxBuffer: 256 * 1024 * 1024
  })
  if (run.error) {
    const { code } = run.error as NodeJS.ErrnoException
    const detail = code === 'ENOENT' ? SKIPPED.notFound : run.error.message
    return { status: 'missing', detail }
  }
  return run.status === 0
    ? { status: 'ok', stdout: run.stdout }
    : { status: 'failed', stderr: run.stderr }
}

/** Whether Nix itself parses a text. */
export type ParseCheck =
  | { status: 'ok' }
  /** Nix rejects the new text and accepts the original. */
  | { status: 'rejected'; output: string }
  /** There is no result: Nix is missing, or it rejects the original too. */
  | { status: 'skipped'; detail: string }

/**
 * Checks with `nix-instantiate`, if it is installed, whether a text can be parsed. Evaluates and writes nothing. If
 * Nix rejects the original text too, for example because of newer syntax, the check has no result.
 */
function parseCheck(before: string | undefined, after: string): ParseCheck {
  const result = nixParses(after)
  if (result.status !== 'rejected') return result
  // If Nix can't parse an empty set, it does not work here, for example because it can't access the home folder.
  if (nixParses('{ }').status !== 'ok') return { status: 'skipped', detail: SKIPPED.notWorking }
  return before !== undefined && nixParses(before).status === 'rejected'
    ? { status: 'skipped', detail: SKIPPED.rejectsOriginal }
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

// Runs the user's command on a copy of the changed configuration.

/** The result of the command. `output` is what it printed, or the end of it. */
type EvalCheck =
  | { status: 'ok' }
  /** The command failed; `before` is true if it also fails without the change. */
  | { status: 'failed'; output: string; before: boolean }
  /** A signal stopped it; the copy is deleted. */
  | { status: 'stopped'; signal: NodeJS.Signals }
  | { status: 'not-copied'; problem: CopyProblem }

interface EvalRequest {
  /** For `sh -c`. */
  command: string
  /** The configuration, with symlinks resolved. */
  path: string
  files: readonly PlannedFile[]
  /** New files that git will not track, so that a flake will not see them. */
  unseen: ReadonlySet<string>
  /** Receives the output of the command with the change as it arrives. */
  listen?: (part: string) => void
}

const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Copies the configuration's repository (or its folder) to a temporary folder, makes the change there, and runs the
 * command in it with the environment variables VFIO_PATCH_TREE (the copy) and VFIO_PATCH_FILE (the configuration in
 * the copy). For a flake, copies only files that git tracks or will track, because Nix sees no others; otherwise
 * everything except folders that git ignores. Afterwards kills all processes of the command and deletes the copy.
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
    // Files outside the copied folder can't be in the copy.
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

/** For root, a temporary folder where no other user can replace the copy. */
function temporaryFolder(): string {
  const isSafe = process.geteuid?.() !== 0 || isRootOnly(tmpdir())
  return isSafe ? tmpdir() : '/tmp'
}

/** The files to copy: `names` below `from`, or everything below it. */
function sourceOf(path: string): { from: string; names?: string[]; isFlake: boolean } {
  const tree = findWorkTree(path)
  if (!tree) return { from: dirname(path), isFlake: false }
  const isFlake = hasFlake(dirname(path), tree.top)
  const listed = listFiles(tree, isFlake ? 'known' : 'all')
  // If git fails, everything is copied.
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

/** Maximum length of the stored output, in UTF-16 code units. */
const MAX_OUTPUT = 64 * 1024

function runIn(
  tree: string,
  file: string,
  { command, listen = () => {} }: Pick<EvalRequest, 'command' | 'listen'>,
  stops: ((signal: NodeJS.Signals) => void)[]
): Promise<{ code: number | null; output: string }> {
  return new Promise((done, reject) => {
    // In a separate process group, so that all processes of the command can be killed.
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
        // The process group no longer exists.
      }
    }
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        output = (output + part).slice(-MAX_OUTPUT)
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

/** The XML of a domain that Nix computed. */
type Evaluated =
  | { status: 'ok'; xml: string }
  /** The evaluation failed; `output` is Nix's error. */
  | { status: 'failed'; output: string }
  /** Nix is not installed, or did not finish in time. */
  | { status: 'missing'; detail: string }

/**
 * Computes the domain in a Nix file with `nix-instantiate` and renders it as the modules do at build time. With
 * `file`, an absolute path, reads the file instead of the text; without it, relative paths start at the current
 * folder. The only available module argument is `lib`, if there is a `<nixpkgs>`. Builds and writes nothing.
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
    (name: _: known.\${name} or (throw "${missingArgument(`\${name}`)}"))
    (removeAttrs (builtins.functionArgs function) (builtins.filter
      (name: (builtins.functionArgs function).\${name} && !(known ? \${name}))
      (builtins.attrNames (builtins.functionArgs function))));
  module = if builtins.isFunction file then file (argumentsOf file) else file;
  guests = (module.config or module).virtualisation.vfio.guests or { };
  names = builtins.filter (name: guests.\${name} ? domain) (builtins.attrNames guests);
in
if builtins.length names > 1 then
  throw "${severalGuests(`\${builtins.concatStringsSep ", " names}`)}"
else if names != [ ] then
  toXML guests.\${builtins.head names}.domain
else if module ? name && module ? type then
  toXML module
else
  throw "${NO_DOMAIN}"
`
}

function nixPath(path: string): string {
  return `(/. + ${JSON.stringify(path).replaceAll('${', '\\${')})`
}

/** Nix's error without the trace through `expression`. */
function shortened(output: string): string {
  const [first = ''] = output.trim().split(/\n\s*\n/)
  return first.replace(/^error: /, '').replace(/\n\(use '--show-trace'.*/s, '')
}

/** Whether the result is checked with Nix: if it is installed (`auto`), always, or never. */
export type CheckMode = 'auto' | 'require' | 'off'

/**
 * Checks all files of a plan with Nix. `PARSE_REJECTED` if Nix rejects a file; `PARSE_CHECK_MISSING` if the check is
 * required and has no result. `path` is the path in both errors.
 */
export function checkWithNix(
  files: readonly PlannedFile[],
  mode: CheckMode,
  path: string
): Result<ParseCheck, ApplyProblem> {
  if (mode === 'off') return ok({ status: 'skipped', detail: SKIPPED.isOff })
  const modules = files.flatMap(({ path: each, before, after }) => {
    // Saved copies of modules have other names and are not checked.
    const isModule = before !== undefined || each.endsWith('.nix')
    return after === undefined || !isModule ? [] : [{ before, after }]
  })
  // One run of Nix checks all files, as items of one list. The toolkit parsed each file as an expression, so no bracket
  // in one file can close a bracket in another.
  const list = `[${modules.map(it => `\n(\n${it.after}\n)`).join('')}\n]\n`
  const all: ParseCheck | undefined = modules.length > 1 ? nixParses(list) : undefined
  let result: ParseCheck = all?.status === 'skipped' ? all : { status: 'ok' }
  // If Nix rejects the list, check each file: one of them is wrong, or Nix does not work here.
  const checksEach = all === undefined || all.status === 'rejected'
  for (const { before, after } of checksEach ? modules : []) {
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
