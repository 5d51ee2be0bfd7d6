import { type Finding, lint } from '../../src/lints/index.ts'
import type { Facts, LintFile } from '../../src/lints/view.ts'
import { parseDocument } from '../../src/nix/index.ts'

/** Texts of a configuration's files by path, the configuration first; a text alone is one file. */
export type Files = string | Record<string, string>

export function lintFiles(files: Files, facts: Partial<Facts> = {}): Finding[] {
  return lint(filesOf(files), { importsModules: false, ...facts })
}

export function filesOf(files: Files): LintFile[] {
  const all = typeof files === 'string' ? { 'configuration.nix': files } : files
  return Object.entries(all).map(([path, text]) => ({ path, doc: parseDocument(text) }))
}

/** Each finding in short: its code, `note` where it is one, and the text that it points at. */
export function inShort(files: Files, findings: readonly Finding[]): string[] {
  const all = typeof files === 'string' ? { 'configuration.nix': files } : files
  return findings.map(({ code, level, path, range }) => {
    const mark = level === 'note' ? ' (note)' : ''
    const text = (all[path] ?? '').slice(range.start, range.end).replace(/\s+/g, ' ')
    return `${code}${mark}: ${text}`
  })
}
