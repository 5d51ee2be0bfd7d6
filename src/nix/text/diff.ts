import { createRequire } from 'node:module'
import type * as Diff from 'diff'

let library: typeof Diff | undefined

/** jsdiff, loaded when the first diff is made: most users of the toolkit never make one. */
function jsdiff(): typeof Diff {
  library ??= createRequire(import.meta.url)('diff') as typeof Diff
  return library
}

/**
 * The change from one text to another as a unified diff that `patch -p1` and `git apply` take;
 * empty if there is none. `file` is the path in the header, `context` the unchanged lines around.
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
    const old = span(it.oldStart, it.oldLines)
    const fresh = span(it.newStart, it.newLines)
    return [`@@ -${old} +${fresh} @@`, ...it.lines].join('\n')
  })
  return [`--- a/${file}`, `+++ b/${file}`, ...body, ''].join('\n')
}

/** A side of a hunk; one without lines names the line before it. */
function span(start: number, lines: number): string {
  return `${lines === 0 ? start - 1 : start},${lines}`
}
