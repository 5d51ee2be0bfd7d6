import type { NixError } from './errors.ts'
import type { Module } from './module/module.ts'
import type { Result } from './result.ts'
import type { ParserWorkaround } from './syntax/parser.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import type { Edit } from './text/edits.ts'

/** The read-only view of a document that planning and verifying an edit need. */
export interface Source {
  readonly text: string
  /** Why the text can't be edited, in source order; empty if it can. */
  readonly errors: readonly NixError[]
  /** The root of the syntax tree (`source_code`). */
  readonly root: SyntaxNode
  /** Places where the parser read a replacement instead of the document's text. */
  readonly workarounds: readonly ParserWorkaround[]
  /** The module in the file, or why it can't be edited. */
  module(): Result<Module, NixError>
  /** The document after the edits; only the changed parts are parsed again. */
  edited(edits: readonly Edit[]): Source
}
