import type { Finding, LintFile } from '../../lints/index.ts'
import { markedLines } from '../../nix/errors.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { visibleLine } from '../../nix/text/visible.ts'
import { detailsOf } from '../message.ts'
import type { FindingReport } from '../report.ts'
import { drawnByToolkit, paint, type Screen } from './terminal.ts'

/** What a finding comes to for a program; `nameOf` tells how the person knows a file. */
export function reportFinding(
  finding: Finding,
  files: readonly LintFile[],
  nameOf: (path: string) => string
): FindingReport {
  const { code, level, path, range, message, why, remedy, fix } = finding
  const text = textOf(path, files)
  const { line, column } = placeOf(text, range.start)
  const { start: offset, end } = range
  return {
    code,
    level,
    message,
    why,
    hint: remedy,
    at: { path: nameOf(path), line, column },
    offset,
    length: end - offset,
    fixable: fix !== undefined
  }
}

/** The lines that a person reads of a finding: place, what, the line with carets, why, what to do. */
export function showFinding(
  finding: Finding,
  files: readonly LintFile[],
  nameOf: (path: string) => string,
  screen: Screen
): string {
  const { code, level, path, range, message, why, remedy } = finding
  const text = textOf(path, files)
  const { line, column } = placeOf(text, range.start)
  const taken = 4 + `${line} | `.length + 2
  const excerpt = markedLines(text, range, { color: screen.color, width: screen.width - taken })
  const word = paint(screen, 'bold', level === 'note' ? `note ${code}` : code)
  const head = `${nameOf(path)}:${line}:${column}: ${word}: ${message}.`
  return [
    visibleLine(head),
    ...detailsOf({ excerpt: drawnByToolkit(excerpt.join('\n')), why, remedy })
  ].join('\n')
}

function textOf(path: string, files: readonly LintFile[]): string {
  return files.find(it => it.path === path)?.doc.text ?? ''
}
