import { createRequire } from 'node:module'
import type * as Diff from 'diff'

let library: typeof Diff | undefined

/** jsdiff, loaded for the first diff: most users of the toolkit need none. */
function jsdiff(): typeof Diff {
  library ??= createRequire(import.meta.url)('diff') as typeof Diff
  return library
}

/**
 * The change from one text to another as a unified diff for `patch -p1` and `git apply`; empty if there
 * is none. `file` is the path in the header, `context` the number of unchanged lines around a change.
 */
export function diffTexts(
  before: string,
  after: string,
  options: { file?: string; context?: number } = {}
): string {
  if (before === after) return ''
  const { file = 'configuration.nix', context = 3 } = options
  const { structuredPatch } = jsdiff()
  const { hunks } = structuredPatch('', '', before, after, '', '', { context })
  const body = hunks.map(it => {
    const removed = span(it.oldStart, it.oldLines)
    const added = span(it.newStart, it.newLines)
    return [`@@ -${removed} +${added} @@`, ...it.lines].join('\n')
  })
  return [`--- a/${file}`, `+++ b/${file}`, ...body, ''].join('\n')
}

/** One side of a hunk's header. A side without lines has the number of the line above. */
function span(start: number, lines: number): string {
  return `${lines === 0 ? start - 1 : start},${lines}`
}
