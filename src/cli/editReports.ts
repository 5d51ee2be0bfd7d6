import { type Edit, type NixDocument, parseDocument } from '../nix/index.ts'
import { spellPath } from '../nix/path.ts'
import { placeOf } from '../nix/text/lines.ts'
import type { EditReport } from './report.ts'
import { ruleOf } from './rules.ts'

/**
 * The edits of a plan with what they are there for: the options that each touches, and what asked
 * for these. `command` is what is named where no flag did; `byCard` as for `ruleOf`.
 */
export function reportEdits(
  before: string,
  after: string,
  edits: readonly Edit[],
  command: string,
  byCard: readonly string[] = []
): EditReport[] {
  if (edits.length === 0) return []
  const [old, fresh] = [parseDocument(before), parseDocument(after)]
  let shift = 0
  return edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    const options = unique([
      ...optionsAt(old, offset, length),
      ...optionsAt(fresh, start, content.length)
    ])
    const reasons = options.map(option => ({ option, rule: ruleOf(option, command, byCard) }))
    return { line: placeOf(before, offset).line, offset, length, content, reasons }
  })
}

/** The options whose values lie in a piece of the text, or around it. */
function optionsAt(document: NixDocument, start: number, length: number): string[] {
  const end = start + length
  return document
    .leaves()
    .filter(({ value }) =>
      length === 0
        ? value.start < start && start < value.end
        : value.start < end && start < value.end
    )
    .map(it => spellPath(it.path))
}

function unique(all: string[]): string[] {
  return [...new Set(all)]
}
