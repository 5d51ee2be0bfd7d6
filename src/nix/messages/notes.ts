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
