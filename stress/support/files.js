// What the runs over real files share: finding them, and asking Nix about many texts.
import { spawn, spawnSync } from 'node:child_process'
import { lstatSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** The files below the folders that the command line names whose names end that way, sorted. */
export function filesFromArguments(ending = '.nix') {
  return process.argv.slice(2).flatMap(it => filesBelow(it, ending))
}

function filesBelow(path, ending) {
  const stat = lstatSync(path)
  if (stat.isFile()) return path.endsWith(ending) ? [path] : []
  if (!stat.isDirectory()) return []
  return readdirSync(path)
    .sort()
    .filter(name => name !== '.git')
    .flatMap(name => filesBelow(join(path, name), ending))
}

export const hasNix = spawnSync('nix-instantiate', ['--version']).status === 0

/** tree-sitter frees a tree only after a turn of the event loop. */
export function turn() {
  return new Promise(resolve => setImmediate(resolve))
}

/**
 * Asks nix-instantiate about jobs `{ before, after }`, as many at once as there are cores. `tell`
 * gets each job with `accepted`, `rejected` or `rejected before, too`, and what Nix said.
 */
export async function askNix(jobs, tell) {
  const known = new Map()
  const parses = text => {
    if (!known.has(text)) known.set(text, nixParses(text))
    return known.get(text)
  }
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (let job = jobs.pop(); job; job = jobs.pop()) {
      const after = await nixParses(job.after)
      if (after.ok) tell(job, 'accepted', '')
      else if ((await parses(job.before)).ok) tell(job, 'rejected', after.output)
      else tell(job, 'rejected before, too', '')
    }
  })
  await Promise.all(workers)
}

function nixParses(text) {
  return new Promise(resolve => {
    const nix = spawn('nix-instantiate', ['--store', 'dummy://', '--parse', '-'], {
      stdio: ['pipe', 'ignore', 'pipe']
    })
    let output = ''
    nix.stderr.on('data', chunk => {
      output += chunk
    })
    // A parser that stops early closes its input; its exit code says what counts.
    nix.stdin.on('error', () => {})
    nix.on('close', code => resolve({ ok: code === 0, output: output.trim() }))
    nix.stdin.end(text)
  })
}

/** A line of a table: a name, and values to the right. */
export function row(name, ...values) {
  console.log(name.padEnd(44) + values.map(it => String(it).padStart(10)).join(''))
}
