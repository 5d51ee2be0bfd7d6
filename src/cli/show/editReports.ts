import { type Edit, type NixDocument, parseDocument } from '../../nix/index.ts'
import { spellPath } from '../../nix/path.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { EditReport } from '../report.ts'
import { rulesOf, type Wishes } from './rules.ts'

/**
 * The edits of a plan with what they are there for: the options that each touches, and what asked
 * for these, as `rulesOf` tells it.
 */
export function reportEdits(
  before: string,
  after: string,
  edits: readonly Edit[],
  wishes: Wishes
): EditReport[] {
  if (edits.length === 0) return []
  const [old, fresh] = [parseDocument(before), parseDocument(after)]
  // A new name touches no value.
  const renamed = (line: number) =>
    (wishes.replaced ?? [])
      .filter(it => it.at.line === line)
      .map(it => ({ option: it.options[0] ?? '', rule: it.code }))
  let shift = 0
  return edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    const options = unique([
      ...optionsAt(old, offset, length),
      ...optionsAt(fresh, start, content.length)
    ])
    const reasons = options.flatMap(option =>
      rulesOf(option, wishes).map(rule => ({ option, rule }))
    )
    const { line } = placeOf(before, offset)
    return { line, offset, length, content, reasons: reasons.length > 0 ? reasons : renamed(line) }
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
