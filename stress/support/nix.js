// Runs Nix: parses many texts, and evaluates many expressions.
import { spawn, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseDocument } from '../../dist/nix/index.js'

const PATIENCE = 20_000

export const hasNix = spawnSync('nix-instantiate', ['--version']).status === 0

/**
 * Parses jobs `{ before, after }` with nix-instantiate, in parallel on all cores. Reports if it is
 * missing. `report` gets each job with `accepted`, `rejected` or `rejected before, too`, and Nix's output.
 */
export async function askNix(jobs, report) {
  if (!hasNix) return console.log('nix-instantiate is missing: nothing was parsed with it')
  const known = new Map()
  const parses = text => {
    if (!known.has(text)) known.set(text, nixParses(text))
    return known.get(text)
  }
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (let job = jobs.pop(); job; job = jobs.pop()) {
      const after = await nixParses(job.after)
      if (after.ok) report(job, 'accepted', '')
      else if ((await parses(job.before)).ok) report(job, 'rejected', after.output)
      else report(job, 'rejected before, too', '')
    }
  })
  await Promise.all(workers)
}

const printed = new Map()

/**
 * The expression as Nix prints it after parsing, without comments and layout; undefined if it does not
 * parse. Equal for texts that Nix reads as the same.
 */
export async function printedByNix(text) {
  if (printed.size > 100) printed.clear()
  if (!printed.has(text)) printed.set(text, nixParses(text))
  const { ok, expression } = await printed.get(text)
  return ok ? sorted(expression) : undefined
}

/** Nix prints the names of `let` and of formals in an order that depends on its memory. */
function sorted(expression) {
  const doc = parseDocument(expression)
  return doc.errors.length > 0 ? expression : sortedText(doc.root)
}

function sortedText(node) {
  if (node.children.length === 0) return node.text
  const parts = node.children.map(sortedText)
  if (node.type === 'binding_set') parts.sort()
  if (node.type === 'formals') parts.splice(1, parts.length - 2, ...parts.slice(1, -1).sort())
  return parts.join(node.type.endsWith('string_expression') ? '' : ' ')
}

function nixParses(text) {
  return new Promise(resolve => {
    const nix = spawn('nix-instantiate', ['--store', 'dummy://', '--parse', '-'], {
      stdio: ['pipe', 'pipe', 'pipe']
    })
    let output = ''
    let expression = ''
    nix.stdout.setEncoding('utf8').on('data', chunk => {
      expression += chunk
    })
    nix.stderr.on('data', chunk => {
      output += chunk
    })
    // A parser that stops early closes its input, which is an error here; its exit code has the result.
    nix.stdin.on('error', () => {})
    nix.on('close', code => resolve({ ok: code === 0, output: output.trim(), expression }))
    nix.stdin.end(text)
  })
}

/**
 * Starts `nix repl` with a prelude of lines. `ask(expression)` returns the string that an expression
 * evaluates to, or `{ error }` with Nix's output. If Nix crashes or takes longer than 20 s, it is
 * restarted. `store` is the folder of the store, to which expressions may copy files.
 */
export function nixRepl(store, prelude) {
  let nix
  let answer
  let asked = 0
  let forget = () => {}

  function start() {
    let out = ''
    let errors = ''
    const command =
      'ulimit -v 6000000; exec nix --extra-experimental-features nix-command repl "$@"'
    nix = spawn('sh', ['-c', command, 'nix', '--store', store], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', TERM: 'dumb' }
    })
    nix.stdout.setEncoding('utf8').on('data', chunk => {
      out += chunk
      for (let end = out.indexOf('\n'); end !== -1; end = out.indexOf('\n')) {
        take(out.slice(0, end))
        out = out.slice(end + 1)
      }
    })
    nix.stderr.setEncoding('utf8').on('data', chunk => {
      errors += chunk
    })
    nix.stdin.on('error', () => {})
    const mine = nix
    nix.on('close', () => {
      if (mine === nix) answer?.({ error: `ended: ${errors.slice(-300)}` })
    })
    let value
    // biome-ignore lint/suspicious/noControlCharactersInRegex: color escape sequences
    const colors = /\u001b\[[\d;]*m/g
    function take(raw) {
      const line = raw.replace(colors, '').replace(/^(?:nix-repl> )+/, '')
      if (line.startsWith('"=done ')) {
        if (line !== `"=done ${asked}"`) return
        const result = value
        value = undefined
        if (result !== undefined) answer?.(result)
        // Errors are on stderr and may arrive later.
        else setTimeout(() => answer?.({ error: errors.replace(colors, '').trim() }), 5)
      } else if (line.startsWith('"=value ')) value = unescaped(line.slice(8, -1))
    }
    forget = () => {
      errors = ''
    }
    nix.stdin.write(`${prelude.join('\n')}\n`)
  }

  async function ask(expression) {
    if (nix === undefined) start()
    asked++
    forget()
    let timer
    const result = await new Promise(resolve => {
      answer = resolve
      timer = setTimeout(() => resolve({ error: 'took too long' }), PATIENCE)
      // Nix may echo its input, which must not look like an answer.
      nix.stdin.write(`"=" + "value " + (${expression})\n"=" + "done ${asked}"\n`)
    })
    clearTimeout(timer)
    answer = undefined
    if (typeof result !== 'string' && /^(?:took|ended)/.test(result.error)) stop()
    return result
  }

  function stop() {
    const old = nix
    nix = undefined
    old?.kill('SIGKILL')
  }

  return { ask, stop }
}

function unescaped(text) {
  const letters = { n: '\n', r: '\r', t: '\t' }
  return text.replace(/\\([\s\S])/g, (_, letter) => letters[letter] ?? letter)
}
