// Checks texts with real Nix, many at once: starting Nix takes longer than parsing a text.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { areAvailable, isQuickRun } from './needing.ts'

interface Collected {
  test: string
  text: string
  /** The text before the edit; undefined if Nix has to parse `text` in any case. */
  before: string | undefined
}

const collected: Collected[] = []

/**
 * Expects that Nix parses a text, unless it also rejects the text `before` the edit. All texts of a test file
 * are checked together after its last test; the failure names the test and shows the text. Without Nix, nothing
 * is checked, and a warning says so. A quick run checks nothing.
 */
export function expectNixParses(text: string, before?: string): void {
  if (isQuickRun || text === before) return
  collected.push({ test: expect.getState().currentTestName ?? '', text, before })
}

afterAll(() => {
  const all = collected.splice(0)
  if (all.length === 0) return
  const file = basename(expect.getState().testPath ?? '')
  if (!areAvailable(file, 'nix-instantiate')) return
  const errors = errorsByText(all.map(it => it.text))
  const rejected = all.filter(it => errors.has(it.text))
  const errorsBefore = errorsByText(rejected.flatMap(it => it.before ?? []))
  const failures = rejected.filter(it => it.before === undefined || !errorsBefore.has(it.before))
  if (failures.length === 0) return
  const report = failures.map(it => `${it.test}\n${errors.get(it.text)}\nin the text:\n${it.text}`)
  throw new Error(`Nix rejects the result of ${failures.length} checks:\n\n${report.join('\n\n')}`)
}, 120_000)

/** The errors that Nix prints, by the texts that it rejects. */
function errorsByText(texts: readonly string[]): Map<string, string> {
  const distinct = [...new Set(texts)]
  const errors = parseErrors(distinct)
  return new Map(
    distinct.flatMap((text, i): [string, string][] => {
      const error = errors[i]
      return error === undefined ? [] : [[text, error]]
    })
  )
}

/** Whether Nix parses each of the texts. */
export function parsedByNix(texts: readonly string[]): boolean[] {
  return parseErrors(texts).map(it => it === undefined)
}

/** The error that Nix prints for each text; undefined if it parses the text. Starts Nix once, and again per error. */
function parseErrors(texts: readonly string[]): (string | undefined)[] {
  return inFiles(texts, files => {
    const errors: (string | undefined)[] = files.map(() => undefined)
    // Nix stops at the first error, after it has printed one line for each file before.
    for (let from = 0; from < files.length; ) {
      const some = files.slice(from, from + 400)
      const run = spawnSync('nix-instantiate', ['--store', 'dummy://', '--parse', ...some], {
        encoding: 'utf8',
        maxBuffer: 2 ** 30
      })
      if (run.error) throw run.error
      if (run.status === 0) from += some.length
      else {
        from += run.stdout.split('\n').length - 1
        errors[from++] = run.stderr.trim()
      }
    }
    return errors
  })
}

/** Writes each text to a separate file while `use` runs. */
export function inFiles<T>(
  texts: readonly string[],
  use: (files: readonly string[], folder: string) => T
): T {
  const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-nix-'))
  try {
    const files = texts.map((text, i) => {
      const file = join(folder, `${i}.nix`)
      writeFileSync(file, text)
      return file
    })
    return use(files, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
