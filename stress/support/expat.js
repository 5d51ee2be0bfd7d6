// Asks another XML parser for the canonical forms of texts.
import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('canonicalXml.py', import.meta.url))

export const hasPython = spawnSync('python3', ['--version']).status === 0

/**
 * Begins to ask expat, by a process of Python: `canonical(text)` gives the form of a text as JSON, or
 * `{ error }`; `stop()` ends the process.
 */
export function expat() {
  const python = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = []
  createInterface(python.stdout).on('line', line => waiting.shift()(line))
  return {
    canonical(text) {
      return new Promise(resolve => {
        waiting.push(line => resolve(line.startsWith('{') ? JSON.parse(line) : { form: line }))
        python.stdin.write(`${JSON.stringify(text)}\n`)
      })
    },
    stop: () => python.stdin.end()
  }
}
