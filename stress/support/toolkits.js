// Other programs that edit Nix, and vfio-patch itself, with one interface: `edit(task)` resolves to
// `{ text }`, `{ refused }` or `{ crashed }`, and to undefined for a kind of task that it has no way to do.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expr, parseDocument } from '../../dist/nix/index.js'
import { bumped } from './fetchCalls.js'

const PATIENCE = 5_000

/** All toolkits, with their `name` and `version`; those that are not installed have no `version`. */
export function toolkits() {
  return [vfioPatch(), vfioPatchChosen(), nixEditor(), nixManipulator(), flakeEdit()]
}

/** Edits an option by its path. */
function vfioPatch() {
  return {
    name: 'vfio-patch',
    version: versionOfPackage(),
    edit: async task => ownEdit(task, task.path),
    stop: () => {}
  }
}

/** Edits the definition that was found by its path, so that its condition does not matter. */
function vfioPatchChosen() {
  const kinds = ['set', 'add to list', 'remove']
  return {
    name: 'vfio-patch, definition',
    version: versionOfPackage(),
    edit: async task => (kinds.includes(task.kind) ? ownEdit(task, undefined) : undefined),
    stop: () => {}
  }
}

function ownEdit({ kind, text, path, value, call }, option) {
  try {
    const doc = parseDocument(text)
    const target = option ?? doc.getIn(path)[0]
    const edit = doc.edit()
    if (kind === 'add to list') edit.addIn(target, [expr(value)])
    else if (kind === 'remove') edit.removeIn(target)
    else if (kind !== 'bump') edit.setIn(target, expr(value))
    const plan = kind === 'bump' ? bumped(doc, call) : edit.plan()
    if (plan === undefined) return undefined
    if (!plan.ok) return { refused: plan.error.code }
    return { text: plan.value.text }
  } catch (error) {
    return { crashed: String(error) }
  }
}

function nixEditor() {
  const flags = { set: '-v', 'new option': '-v', 'flake input': '-v', 'add to list': '-a' }
  return {
    name: 'nix-editor',
    ...installed('nix-editor'),
    edit: async ({ kind, text, fullPath, value }) => {
      if (kind === 'bump') return undefined
      const how = kind === 'remove' ? ['-d'] : [flags[kind], value]
      const run = file => [file, fullPath.join('.'), '-i', ...how]
      return editedFile('nix-editor', text, run)
    },
    stop: () => {}
  }
}

function flakeEdit() {
  return {
    name: 'flake-edit',
    ...installed('flake-edit'),
    edit: async ({ kind, text, path, value }) => {
      if (kind !== 'flake input') return undefined
      const quiet = ['--no-lock', '--non-interactive', '--no-cache']
      const uri = value.slice(1, -1)
      return editedFile('flake-edit', text, file => [
        '--flake',
        file,
        ...quiet,
        'add',
        path[1],
        uri
      ])
    },
    stop: () => {}
  }
}

function editedFile(command, text, args) {
  const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-toolkits-'))
  const file = join(folder, 'flake.nix')
  try {
    writeFileSync(file, text)
    // Writing the backtrace of a panic takes longer than the edit.
    const env = { ...process.env, RUST_BACKTRACE: '0' }
    const run = spawnSync(command, args(file), { encoding: 'utf8', timeout: PATIENCE, env })
    const said = `${run.stdout}${run.stderr}`.trim()
    // A panic of Rust has the exit code 101.
    if (run.signal !== null) return { crashed: 'took too long' }
    if (run.status === 101) return { crashed: said }
    return run.status === 0 ? { text: readFileSync(file, 'utf8') } : { refused: said }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** nix-manipulator in one process, since Python takes longer to start than an edit. */
function nixManipulator() {
  const name = 'nix-manipulator'
  const python = interpreterOf('nima')
  if (python === undefined)
    return { name, version: undefined, edit: async _ => undefined, stop() {} }
  const script = fileURLToPath(new URL('nixManipulator.py', import.meta.url))
  const server = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
  return {
    name,
    version: versionOfModule(python),
    edit: async ({ kind, text, fullPath, value, call }) => {
      const values = Object.fromEntries(
        (call?.replacements ?? []).map(it => [it.name, JSON.stringify(it.to)])
      )
      const request = { kind, text, path: fullPath.join('.'), names: fullPath, value, values }
      server.stdin.write(`${JSON.stringify(request)}\n`)
      const { value: line, done } = await answers.next()
      return done ? { crashed: 'ended' } : JSON.parse(line)
    },
    stop: () => server.stdin.end()
  }
}

function installed(command) {
  const { error, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' })
  return { version: error ? undefined : (stdout.trim().split('\n')[0] ?? '') }
}

/** The interpreter in the first line of a script in PATH. */
function interpreterOf(command) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    try {
      const [first] = readFileSync(realpathSync(join(folder, command)), 'utf8').split('\n')
      return first?.replace(/^#!\s*/, '')
    } catch {}
  }
  return undefined
}

function versionOfModule(python) {
  const ask = 'from importlib.metadata import version; print(version("nix-manipulator"))'
  return `nix-manipulator ${spawnSync(python, ['-c', ask], { encoding: 'utf8' }).stdout.trim()}`
}

function versionOfPackage() {
  const file = new URL('../../package.json', import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8')).version
}
