// Reads texts with another XML parser.
import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('canonicalXml.py', import.meta.url))

export const hasPython = spawnSync('python3', ['--version']).status === 0

/**
 * Starts expat in a Python process. `read(text)` returns the tree and the canonical form of a text as
 * `{ tree, form }`, or `{ error }`; see canonicalXml.py. `stop()` ends the process.
 */
export function expat() {
  const python = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = []
  createInterface(python.stdout).on('line', line => waiting.shift()(line))
  return {
    read(text) {
      return new Promise(resolve => {
        waiting.push(line => resolve(JSON.parse(line)))
        python.stdin.write(`${JSON.stringify(text)}\n`)
      })
    },
    stop: () => python.stdin.end()
  }
}
