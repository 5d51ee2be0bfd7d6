import { type Finding, lint } from '../../src/lints/index.ts'
import type { LintFile, SystemFacts } from '../../src/lints/view.ts'
import { parseDocument } from '../../src/nix/index.ts'

/** The texts of files by path, the configuration first; or the text of a single file. */
export type Files = string | Record<string, string>

export function lintFiles(files: Files, facts: Partial<SystemFacts> = {}): Finding[] {
  return lint(filesOf(files), { importsModules: false, ...facts })
}

export function filesOf(files: Files): LintFile[] {
  const all = typeof files === 'string' ? { 'configuration.nix': files } : files
  return Object.entries(all).map(([path, text]) => ({ path, doc: parseDocument(text) }))
}

/** Each finding in short: its code, whether it is a note, and the text at its place. */
export function inShort(files: Files, findings: readonly Finding[]): string[] {
  const all = typeof files === 'string' ? { 'configuration.nix': files } : files
  return findings.map(({ code, level, path, range }) => {
    const mark = level === 'note' ? ' (note)' : ''
    const text = (all[path] ?? '').slice(range.start, range.end).replace(/\s+/g, ' ')
    return `${code}${mark}: ${text}`
  })
}
