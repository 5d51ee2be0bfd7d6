// Injects faults into correct edits.

import { applyEdits, type Edit } from '../../../src/nix/index.ts'
import type { Choices } from './choices.ts'
import { commentsAndStrings } from './lexer.ts'

export interface Corruption {
  name: string
  edits: Edit[]
}

/** One corruption of the edits of a text; undefined if it does not apply. */
export function corruptionOf(
  c: Choices,
  text: string,
  edits: readonly Edit[]
): Corruption | undefined {
  const at = c.count(edits.length - 1)
  const edit = edits[at]
  if (!edit) return undefined
  const changed = (name: string, change: Partial<Edit>) =>
    corruption(name, text, [...edits.slice(0, at), { ...edit, ...change }, ...edits.slice(at + 1)])
  const more = (name: string, other: Edit | undefined) =>
    other && corruption(name, text, [...edits, other])
  const offsets = Array.from(text, (_, i) => i)
  const anywhere = () => offsets[c.count(Math.max(0, text.length - 1))] ?? 0
  const { offset, length, content } = edit
  const part = c.count(content.length)
  const tokens = commentsAndStrings(text).filter(it => it.end > it.start)
  const token = (kind: 'comment' | 'string') => {
    const some = tokens.filter(it => it.kind === kind)
    return some[c.count(Math.max(0, some.length - 1))]
  }
  const found = (pattern: RegExp) => {
    const all = [...text.matchAll(pattern)]
    return all[c.count(Math.max(0, all.length - 1))]
  }
  const replaced = (pattern: RegExp, by: string) => {
    const it = found(pattern)
    return it && { offset: it.index, length: it[0].length, content: by }
  }
  const inserted = (pattern: RegExp, content: string) => {
    const it = found(pattern)
    return it && { offset: it.index + it[0].length, length: 0, content }
  }
  return c.pick<() => Corruption | undefined>(
    () => changed('shifted', { offset: offset + c.pick(1, -1, 2, -2, 5, -5) }),
    () => changed('moved', { offset: anywhere() }),
    () => changed('moved after a "{", "[" or ";"', { offset: inserted(/[{[;]/g, '')?.offset ?? 0 }),
    () => changed('moved before a "}" or "]"', { offset: found(/[}\]]/g)?.index ?? 0 }),
    () => corruption('dropped', text, [...edits.slice(0, at), ...edits.slice(at + 1)]),
    () => changed('doubled', { content: content + content }),
    () => changed('cut short', { content: content.slice(0, part) }),
    () => changed('beheaded', { content: content.slice(part) }),
    () => changed('holed', { content: content.slice(0, part) + content.slice(part + 1) }),
    () =>
      changed('another value', {
        content: content.replace(/"[^"]*"|\b(?:true|7|null)\b/, '"wrong"')
      }),
    () => changed('another name', { content: content.replace(/[a-z]+(?= =|\.)/i, 'wrong') }),
    () => changed('one more binding', { content: content.replace(/;/, '; wrong = 1;') }),
    () => changed('one more item', { content: content.replace(/"[^"]*"/, '$& "wrong"') }),
    () => changed('a comment in it', { content: content.replace(/;/, '; # wrong\n') }),
    () => changed('longer', { length: length + c.pick(1, 2, 5, 20, 60) }),
    () => changed('longer at its head', { offset: offset - 3, length: length + 3 }),
    () => changed('shorter', { length: Math.max(0, length - c.pick(1, 2, 5, 20)) }),
    () => more('a string is changed', replaced(/"quiet"|"b"/g, '"wrong"')),
    () => more('a value is changed', replaced(/= true;/g, '= null;')),
    () => more('a condition is changed', replaced(/If true/g, 'If false')),
    () => more('a list has one more item', inserted(/\[/g, ' "wrong"')),
    () => more('a set has one more binding', inserted(/\{/g, ' wrong = 1;')),
    () => more('a binding is removed', replaced(/[a-z.]+ = [^;{[]*;/gi, '')),
    () => more('an item is removed', replaced(/"quiet"/g, '')),
    () => more('items are swapped', replaced(/"a=1"\s+"quiet"/g, '"quiet" "a=1"')),
    () => more('a wrapper is removed', replaced(/(?:lib\.)?mk(?:Force|Default|After) /g, '')),
    () => {
      const it = token('comment')
      return more(
        'a comment is removed',
        it && { offset: it.start, length: it.end - it.start, content: '' }
      )
    },
    () => {
      const it = token('comment')
      return more(
        'a comment is changed',
        it && { offset: it.start + 2, length: 0, content: 'wrong' }
      )
    },
    () => {
      const it = token('string')
      return more('a string grows', it && { offset: it.start, length: 0, content: 'wrong' })
    },
    () => more('a comment is added', inserted(/[;[{]/g, ' /* wrong */')),
    () => more('a let is changed', replaced(/names = \[/g, 'names = [ "wrong"')),
    () => more('the formals are changed', replaced(/\.\.\. \}/g, '..., wrong ? 1 }')),
    () => more('spaces', inserted(/[;{[]/g, '  '))
  )()
}

/** The edits in order; undefined if they overlap, are outside the text or change nothing. */
function corruption(name: string, text: string, edits: readonly Edit[]): Corruption | undefined {
  const sorted = edits
    .filter(it => text.slice(it.offset, it.offset + it.length) !== it.content)
    .sort((a, b) => a.offset - b.offset)
  try {
    applyEdits(text, sorted)
  } catch {
    return undefined
  }
  return sorted.every(it => it.offset >= 0) ? { name, edits: sorted } : undefined
}
