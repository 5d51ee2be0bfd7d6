import { createRequire } from 'node:module'
import type * as Diff from 'diff'
import { diffTexts } from '../nix/index.ts'
import { paint, type Screen } from './terminal.ts'

/** A file's change for the reader: `before` undefined for a new file, `after` for one that goes. */
export interface ShownFile {
  /** As the patch names it, relative to the folder that it applies in. */
  name: string
  before: string | undefined
  after: string | undefined
}

/** A patch that `git apply` and `patch -p1` take in the folder of the configuration. */
export function patchOf(files: readonly ShownFile[], context: number): string {
  return files.map(it => patchOfFile(it, context)).join('')
}

function patchOfFile({ name, before, after }: ShownFile, context: number): string {
  const patch = diffTexts(before ?? '', after ?? '', { file: name, context })
  if (before === undefined) return patch.replace(/^--- .*/, '--- /dev/null')
  return after === undefined ? patch.replace(/^(--- .*\n)\+\+\+ .*/, '$1+++ /dev/null') : patch
}

/**
 * A patch with colours, and in reverse the words that changed where one line took the place of
 * another. Without colours it is the patch itself.
 */
export function paintPatch(patch: string, screen: Screen): string {
  if (!screen.color || patch === '') return patch
  const lines = patch.split('\n')
  const painted = lines.map((line, i) => {
    if (/^(?:---|\+\+\+) /.test(line) && isHeader(lines, i)) return paint(screen, 'bold', line)
    if (line.startsWith('@@')) return paint(screen, 'cyan', line)
    if (line.startsWith('-')) {
      return pairsWith(lines, i, 1)
        ? paintWords(line, lines[i + 1] ?? '', 'removed', screen)
        : paint(screen, 'red', line)
    }
    if (line.startsWith('+')) {
      return pairsWith(lines, i, -1)
        ? paintWords(line, lines[i - 1] ?? '', 'added', screen)
        : paint(screen, 'green', line)
    }
    return line
  })
  return painted.join('\n')
}

function isHeader(lines: readonly string[], i: number): boolean {
  const line = lines[i] ?? ''
  const next = lines[i + 1] ?? ''
  const last = lines[i - 1] ?? ''
  return line.startsWith('---') ? next.startsWith('+++ ') : last.startsWith('--- ')
}

/** Whether exactly one removed line stands before exactly one added line here. */
function pairsWith(lines: readonly string[], i: number, step: 1 | -1): boolean {
  const [own, other] = step === 1 ? ['-', '+'] : ['+', '-']
  const at = (k: number) => (lines[k] ?? ' ')[0]
  return at(i + step) === other && at(i - step) !== own && at(i + 2 * step) !== other
}

function paintWords(
  line: string,
  other: string,
  kind: 'removed' | 'added',
  screen: Screen
): string {
  const { diffWordsWithSpace } = createRequire(import.meta.url)('diff') as typeof Diff
  const [before, after] = kind === 'removed' ? [line, other] : [other, line]
  const parts = diffWordsWithSpace(before.slice(1), after.slice(1))
  const color = kind === 'removed' ? '31' : '32'
  const body = parts
    .filter(it => (kind === 'removed' ? !it.added : !it.removed))
    .map(it => (it.added || it.removed ? `\x1b[7m${it.value}\x1b[27m` : it.value))
    .join('')
  return screen.color ? `\x1b[${color}m${line[0]}${body}\x1b[0m` : line
}
