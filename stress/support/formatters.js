// Formats many texts with few processes of a formatter for Nix.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

const PER_PROCESS = 200
const PATIENCE = 120_000

/** The formatters in PATH, with their versions. Each formats the files that it is given in place. */
export function installedFormatters(names) {
  return names.flatMap(name => {
    const { error, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' })
    return error ? [] : [{ name, version: stdout.trim() }]
  })
}

/**
 * The formatted texts, in the same order; undefined for a text that the formatter refuses.
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
    if (await succeeds(formatter, some)) return
    if (some.length === 1) {
      refused.add(some[0])
      return
    }
    const half = some.length >> 1
    await formatFiles(some.slice(0, half))
    await formatFiles(some.slice(half))
  }
}

function chunksOf(files) {
  const count = Math.ceil(files.length / PER_PROCESS)
  return Array.from({ length: count }, (_, i) =>
    files.slice(i * PER_PROCESS, (i + 1) * PER_PROCESS)
  )
}

function succeeds(formatter, files) {
  return new Promise(resolve => {
    const run = spawn(formatter, files, { stdio: 'ignore', timeout: PATIENCE })
    run.on('error', () => resolve(false))
    run.on('close', code => resolve(code === 0))
  })
}
