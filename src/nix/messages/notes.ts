// What a plan does besides what was asked, or leaves out.

import type { Note } from '../notes.ts'

type Remark = Omit<Note, 'at'>

export function commentDropped(comment: string): Remark {
  return {
    code: 'COMMENT_DROPPED',
    message: `the comment ${JSON.stringify(comment)} is not written, because code follows on its line`
  }
}

export function formalAdded(name: string): Remark {
  return {
    code: 'FORMAL_ADDED',
    message: `"${name}" is added to the formals of outputs too: Nix calls outputs with every input`
  }
}

export function formalRemoved(name: string): Remark {
  return {
    code: 'FORMAL_REMOVED',
    message: `"${name}" is removed from the formals of outputs too: Nix would look it up elsewhere`
  }
}

const LONGEST = 60

/** `source` is what a removal of items leaves in place, and `item` the source of the item. */
export function leftInPlace(
  code: 'COMPUTED' | 'IN_STRING' | 'OTHER_NAME',
  source: string,
  item: string
): Remark {
  const line = source.trim().replace(/\s+/g, ' ')
  const left = line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line
  const reasons = {
    COMPUTED:
      left === item
        ? 'it is part of a computed value, not an item of the list itself'
        : `it is computed from ${item}`,
    IN_STRING: `it contains ${item}, but also other text`,
    OTHER_NAME: `it may be ${item}, but the text does not show which value the name has`
  }
  return { code, message: `${left} stays here: ${reasons[code]}` }
}
