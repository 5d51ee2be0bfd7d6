// Formats many texts with few processes of a formatter for Nix.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

const PER_PROCESS = 200
// Some nested functions take alejandra minutes.
const PATIENCE = 20_000
const PATIENCE_FOR_ONE = 5_000

/** The formatters in PATH, with their versions. Each formats the files that it is given in place. */
export function installedFormatters(names) {
  return names.flatMap(name => {
    const { error, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' })
    return error ? [] : [{ name, version: stdout.trim() }]
  })
}

/**
 * The formatted texts, in the same order; undefined for a text that the formatter refuses, or does not
 * format in 5 s.
 * @param {string} formatter
 * @param {string[]} texts
 * @returns {Promise<(string | undefined)[]>}
 */
export async function formatted(formatter, texts) {
  const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-formatted-'))
  const files = texts.map((text, i) => {
    const file = join(folder, `${i}.nix`)
    writeFileSync(file, text)
    return file
  })
  const refused = new Set()
  const waiting = chunksOf(files)
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (let some = waiting.pop(); some; some = waiting.pop()) await formatFiles(some)
  })
  try {
    await Promise.all(workers)
    return files.map(it => (refused.has(it) ? undefined : readFileSync(it, 'utf8')))
  } finally {
    rmSync(folder, { recursive: true })
  }

  // Which files a process refused is written differently by each formatter.
  async function formatFiles(some) {
    const outcome = await run(formatter, some)
    if (outcome === 'done') return
    if (some.length === 1) {
      refused.add(some[0])
      return
    }
    const parts = outcome === 'too slow' ? some.map(it => [it]) : halvesOf(some)
    for (const part of parts) await formatFiles(part)
  }
}

function halvesOf(all) {
  const half = all.length >> 1
  return [all.slice(0, half), all.slice(half)]
}

function chunksOf(files) {
  const count = Math.ceil(files.length / PER_PROCESS)
  return Array.from({ length: count }, (_, i) =>
    files.slice(i * PER_PROCESS, (i + 1) * PER_PROCESS)
  )
}

function run(formatter, files) {
  const timeout = files.length === 1 ? PATIENCE_FOR_ONE : PATIENCE
  return new Promise(resolve => {
    const process = spawn(formatter, files, { stdio: 'ignore', timeout, killSignal: 'SIGKILL' })
    process.on('error', () => resolve('failed'))
    process.on('close', (code, signal) => {
      if (signal !== null) resolve('too slow')
      else resolve(code === 0 ? 'done' : 'failed')
    })
  })
}
