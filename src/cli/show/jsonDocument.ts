import { visibleJson } from '../../nix/text/visible.ts'
import type { Message } from '../message.ts'
import { emptyBody, type Report } from '../report.ts'
import { VERSION } from '../version.ts'

const SCHEMA_VERSION = 1

/** What a command does, so that also its failures have the fields of its document. */
export type DocumentKind = 'scan' | 'plan' | 'runs' | 'option' | 'domain' | 'check' | 'error'

const EMPTY = {
  plan: { ...emptyBody('/'), root: null },
  runs: { kind: 'runs', runs: [], damaged: [] },
  option: { kind: 'option', path: null, definitions: [] },
  scan: { kind: 'scan' },
  domain: {
    ...{ kind: 'domain', path: null, to: null, guest: null, text: null },
    ...{ changes: [], remarks: [] }
  },
  check: { kind: 'check', release: null, files: [], findings: [], running: null },
  error: { kind: 'error' }
} as const

/**
 * The document that `--json` prints, and a line end. Its fields are described in docs/json.md; they
 * only ever become more. What could control a terminal is escaped.
 */
export function jsonDocument(report: Report, command: string | null, kind: DocumentKind): string {
  const { exit, outcome, error, warnings = [], earlierRuns = [], body } = report
  const { kind: schema, ...facts } = body ?? EMPTY[kind]
  const document = {
    schema: `vfio-patch/${schema}`,
    schemaVersion: SCHEMA_VERSION,
    tool: VERSION,
    command,
    outcome,
    exit,
    ...facts,
    earlierRuns,
    warnings: warnings.map(plain),
    error: error === undefined ? null : plain(error)
  }
  return `${visibleJson(JSON.stringify(document, null, 2))}\n`
}

function plain({ code, exit, what, why, remedy, at, excerpt }: Message) {
  return {
    code,
    exit,
    message: what,
    excerpt: excerpt ?? null,
    why: why ?? null,
    hint: remedy ?? null,
    at: at ?? null
  }
}
