// The refusals that several operations share.

import type { Definition } from './definitions.ts'
import type { NixDocument } from './document.ts'
import type { Edit } from './edits.ts'
import { type NixError, type NixErrorInit, nixError, type Range } from './errors.ts'
import type { SyntaxNode } from './parser.ts'
import { spellPath } from './path.ts'
import { printInline } from './print.ts'
import { err, type Result } from './result.ts'
import type { NixValue } from './values.ts'

/** What an operation works out: the edits, or why not. */
export type Edits = Result<Edit[], NixError>

export function refuse(text: string, range: Range, init: Omit<NixErrorInit, 'range'>): Refused {
  const { start, end } = range
  return err(nixError(text, { ...init, range: { start, end } }))
}

export type Refused = { ok: false; error: NixError }

/** Pipe operators bind differently in the tree than in Nix, so nothing below one is edited. */
export function blockedByPipe(doc: NixDocument, node: SyntaxNode): Refused | undefined {
  const pipes = doc.standIns.filter(it => it.kind === 'pipe')
  if (pipes.length === 0) return undefined
  for (let at: SyntaxNode | undefined = node; at; at = at.parent) {
    const operator = at.type === 'binary_expression' ? at.field('operator') : undefined
    const pipe = operator && pipes.find(it => it.start === operator.start)
    if (pipe) {
      return refuse(doc.text, pipe, {
        code: 'NO_TARGET',
        message: 'the place to edit lies inside an expression with a pipe operator',
        hint: 'write it without the pipe, or edit it by hand'
      })
    }
  }
  return undefined
}

export function conditional(text: string, definition: Definition): Refused {
  const condition = definition.conditions.join(' and ')
  return refuse(text, definition.binding, {
    code: 'NO_TARGET',
    message: `${spellPath(definition.path)} is defined here only if ${condition}`,
    hint: 'define it in a module of its own and import that, or choose this definition'
  })
}

export function ambiguous(text: string, all: readonly Definition[]): Refused {
  const second = all[1] as Definition
  const lines = all.map(it => it.at.line).join(', ')
  return refuse(text, second.binding, {
    code: 'AMBIGUOUS_TARGET',
    message: `${spellPath(second.path)} is defined ${all.length} times (lines ${lines})`,
    hint: 'leave one definition, or choose one of them'
  })
}

export function inherited(text: string, definition: Definition): Refused {
  return refuse(text, definition.binding, {
    code: 'INHERITED',
    message: `${spellPath(definition.path)} is inherited here, so there is no value to edit`,
    hint: 'write it out as name = value;'
  })
}

export function notFound(path: readonly (string | undefined)[]): Refused {
  return err(
    nixError('', {
      code: 'STALE',
      message: `the definition of ${spellPath(path)} that was chosen is not in this document`,
      hint: 'take it from getIn of the document that is edited'
    })
  )
}

export function badValue(value: NixValue, why?: string): Refused {
  return err(
    nixError('', {
      code: 'BAD_VALUE',
      message: why ?? `this is not a value that can be written in Nix: ${describe(value)}`,
      hint: 'give null, a boolean, a finite number, a string, a list, a set, or expr("…") with one whole expression'
    })
  )
}

function describe(value: NixValue): string {
  try {
    return printInline(value)
  } catch {
    return String(value)
  }
}
