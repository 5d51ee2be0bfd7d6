// Plans an edit of an option, of the definitions that the flags choose.

import { dirname } from 'node:path'
import type { Files, SourceFile } from '../../configuration/files.ts'
import { walkImports } from '../../configuration/imports.ts'
import {
  canonicalOfValue,
  type Definition,
  expr,
  type NixDocument,
  type NixError,
  type Plan,
  type Result
} from '../../nix/index.ts'
import { partsOfDefinition, placeOfDefinition } from '../../nix/module/definitions.ts'
import type { OptionAction, OptionChoice } from '../args/optionArguments.ts'
import type { Context } from '../context.ts'
import { CommandError, orThrow } from '../message.ts'
import { alsoSetNote, notAtLine, planMessage, severalAtLine } from '../messages/option.ts'
import { pathIn } from '../output/diff.ts'

export type OptionChange = Exclude<OptionAction, { action: 'get' }>

/** The plan of a change; ends the command if it can't be made. */
export function planOption(doc: NixDocument, change: OptionChange, context: Context): Plan {
  return orThrow(planChange(doc, change, context), it => planMessage(it, context))
}

function planChange(
  doc: NixDocument,
  change: OptionChange,
  context: Context
): Result<Plan, NixError> {
  if (change.action === 'import') {
    const edit = doc.edit()
    return (change.isRemoval ? edit.removeImport(change.module) : edit.import(change.module)).plan()
  }
  if (change.action === 'rename') return doc.edit().renameIn(change.path, change.to).plan()
  const { line } = change.choice
  return line === undefined
    ? planFor(doc, change, change.path, change.choice)
    : planAtLine(doc, change, line, context)
}

type DefinitionChange = Extract<OptionChange, { choice: OptionChoice }>

/** The plan for an option, by its path or as one of its definitions. */
function planFor(
  doc: NixDocument,
  change: DefinitionChange,
  option: readonly string[] | Definition,
  { all, conditional }: Pick<OptionChoice, 'all' | 'conditional'>
): Result<Plan, NixError> {
  const edit = doc.edit()
  switch (change.action) {
    case 'set':
      return edit.setIn(option, change.value, { all, conditional }).plan()
    case 'add': {
      const { items, at, lines } = change
      return edit.addIn(option, items, { at, lines, all, conditional }).plan()
    }
    case 'remove':
      return edit.removeIn(option, change.items).plan()
  }
}

/** The plan for the definition at a line, or for a new one in a set at that line. */
function planAtLine(
  doc: NixDocument,
  change: DefinitionChange,
  line: number,
  context: Context
): Result<Plan, NixError> {
  const all = definitionsOf(doc, change)
  const own = all.filter(it => placeOfDefinition(it).line === line)
  const found = own.length > 0 ? own : all.filter(it => it.at.line === line)
  const [chosen, ...others] = found
  if (others.length > 0) throw new CommandError(severalAtLine(change.path, line, found.length))
  const isNew = all.length === 0 && change.action !== 'remove'
  if (chosen) return planFor(doc, change, chosen, { all: false, conditional: false })
  const only = { all: false, conditional: true }
  const refused = isNew
    ? planFor(doc, change, change.path, { ...only, conditional: false })
    : undefined
  const error = refused?.ok === false ? refused.error : undefined
  const lines = [error?.at.line, ...(error?.places ?? []).map(it => it.at.line)]
  if (error?.code === 'CONDITIONAL' && lines.includes(line)) {
    return planFor(doc, change, change.path, only)
  }
  const known = all.map(it => placeOfDefinition(it).line)
  throw new CommandError(notAtLine(change.path, line, known, context))
}

/** The definitions that a line can choose; only `remove` takes those with several values as a whole. */
function definitionsOf(doc: NixDocument, { action, path }: DefinitionChange): Definition[] {
  if (action !== 'remove') return doc.getIn(path).flatMap(partsOfDefinition)
  return [...doc.getIn(path), ...doc.getBelow(path)]
}

/**
 * Notes on other definitions of an option that is set: in the same file, and in files that it imports. The
 * module system may reject the values together, or merge them.
 */
export function notesOnOthers(
  source: SourceFile,
  sources: Files,
  plan: Plan,
  change: OptionChange
): string[] {
  if (change.action !== 'set') return []
  const { path, value } = change
  const wanted = canonicalOfValue(value)
  const own = source.doc.edited(plan.edits).getIn(path).flatMap(partsOfDefinition)
  const others = own.filter(it => own.length > 1 && canonicalOfValue(expr(it.source)) !== wanted)
  const [, ...imported] = walkImports(source, sources).files
  return [
    ...others.map(it => alsoSetNote(lineOf(it))),
    ...imported.flatMap(it => {
      const [first] = it.doc.getIn(path).flatMap(partsOfDefinition)
      if (!first) return []
      const name = pathIn(dirname(source.path), it.path)
      const shown = name.startsWith('/') ? name : `./${name}`
      return [alsoSetNote(lineOf(first), shown)]
    })
  ]
}

function lineOf(definition: Definition) {
  const { path, conditions } = definition
  return { path, conditions, line: placeOfDefinition(definition).line }
}
