import type { NixError } from './errors.ts'
import type { Module } from './module/module.ts'
import type { Result } from './result.ts'
import type { ParserWorkaround } from './syntax/parser.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import type { Edit } from './text/edits.ts'

/** What planning and verifying an edit need of a document: its text, read and never changed. */
export interface Source {
  readonly text: string
  /** Why the text can't be edited, in source order; empty for a text that can. */
  readonly errors: readonly NixError[]
  /** The root of the syntax tree (`source_code`). */
  readonly root: SyntaxNode
  /** Places where the parser was shown other text than the document has. */
  readonly workarounds: readonly ParserWorkaround[]
  /** The module in the file, or why there is none to edit. */
  module(): Result<Module, NixError>
  /** The document that edits make of this one, parsed only where they changed it. */
  edited(edits: readonly Edit[]): Source
}
