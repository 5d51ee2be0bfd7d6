import { expect } from 'vitest'
import {
  applyEdits,
  type Definition,
  type NixDocument,
  parseDocument,
  type SyntaxNode,
  type Transaction
} from '../../src/nix/index.ts'
import { expectNixParses } from '../support/nix.ts'

/** A text without the common indentation of its lines. */
export function nix(strings: TemplateStringsArray, ...values: string[]): string {
  const raw = String.raw(strings, ...values)
    .replace(/^\n/, '')
    .replace(/[ \t]*$/, '')
  const indents = raw.split('\n').filter(it => it.trim() !== '')
  const common = Math.min(...indents.map(it => it.length - it.trimStart().length))
  return raw
    .split('\n')
    .map(it => it.slice(common))
    .join('\n')
}

export type EditOf = (edit: Transaction) => Transaction

/**
 * The text after an edit. Also checks the guarantees of every edit: its form, that its inverse undoes
 * it, that doing it again changes nothing, and that Nix accepts the result if it accepts the original.
 */
export function edited(text: string, edit: EditOf): string {
  return editedIn(text, () => undefined, edit)
}

/** Finds the set to edit in a document; undefined for its module. */
export type SetIn = (doc: NixDocument) => SyntaxNode | Definition | undefined

function begin(text: string, find: SetIn): Transaction {
  const doc = parseDocument(text)
  const set = find(doc)
  return doc.edit(set ? { in: set } : {})
}

/** The same for an edit of another attribute set. */
export function editedIn(text: string, find: SetIn, edit: EditOf): string {
  const plan = edit(begin(text, find)).plan()
  if (!plan.ok) throw new Error(`refused:\n${plan.error.render()}`)
  const { edits, inverse, text: after, changed } = plan.value

  let end = -1
  for (const it of edits) {
    expect(it.offset).toBeGreaterThan(end)
    expect(text.slice(it.offset, it.offset + it.length)).not.toBe(it.content)
    end = it.offset + it.length
  }
  expect(applyEdits(text, edits)).toBe(after)
  expect(applyEdits(after, inverse)).toBe(text)
  expect(changed).toBe(after !== text)
  const again = edit(begin(after, find)).plan()
  expect(again.ok && again.value.edits).toEqual([])
  expectNixParses(after, text)
  return after
}

/** The rendered error of a refused edit. */
export function refused(text: string, edit: EditOf): string {
  return refusedIn(text, () => undefined, edit)
}

/** The same for an edit of another attribute set. */
export function refusedIn(text: string, find: SetIn, edit: EditOf): string {
  const plan = edit(begin(text, find)).plan()
  if (plan.ok) throw new Error(`not refused:\n${plan.value.text}`)
  return plan.error.render()
}

/** The error code of a refused edit. */
export function refusalOf(text: string, edit: EditOf): string {
  const plan = edit(parseDocument(text).edit()).plan()
  return plan.ok ? `not refused:\n${plan.value.text}` : plan.error.code
}
