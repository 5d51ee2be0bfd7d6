import { type Facts, type Finding, type LintFile, lint } from '../lints/index.ts'
import { parseDocument } from '../nix/index.ts'
import { type ReadModule, type UnreadImport, walkImports } from './read/importClosure.ts'
import { isInFlake } from './read/repository.ts'

/** What was looked at, the configuration first, and what was found in it. */
export interface Faults {
  files: LintFile[]
  /** By file in their order, then by place. */
  findings: Finding[]
  /** What was known besides. */
  facts: Facts
  /** Imports that were not followed. */
  unread: readonly UnreadImport[]
}

/**
 * Looks through a configuration and all files that fixed paths in its `imports` lead to; our own
 * modules are left out. `release` is the one of NixOS that is built next, where that is known.
 */
export function findFaults(
  configuration: { path: string; text: string },
  read: ReadModule,
  release: string | undefined
): Faults {
  const { modules, ours, unread } = walkImports(configuration, read)
  const files = modules.map(({ path, text }) => ({ path, doc: parseDocument(text) }))
  const isPartial = unread.length > 0 || isInFlake(configuration.path)
  const facts = {
    ours: ours.length > 0,
    ...(release === undefined ? {} : { release }),
    ...(isPartial ? { isPartial } : {})
  }
  return { files, findings: lint(files, facts), facts, unread }
}

/** The same with findings that were made elsewhere. */
export function withFindings(faults: Faults, more: readonly Finding[]): Faults {
  const order = new Map(faults.files.map((it, i) => [it.path, i]))
  const findings = [...faults.findings, ...more].sort(
    (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.range.start - b.range.start
  )
  return { ...faults, findings }
}
