import { createRequire } from 'node:module'
import type * as Diff from 'diff'
// Not by the index: undo has to work where the parser can't be loaded.
import { diffTexts } from '../../nix/text/diff.ts'
import { paint, reverse, type Screen } from './terminal.ts'

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
  // With a blank in it, patch takes a name to end at a tab, as git writes it.
  const file = name.includes(' ') ? `${name}\t` : name
  const patch = withQuotes(diffTexts(before ?? '', after ?? '', { file, context }), name)
  if (before === undefined) return patch.replace(/^--- .*/, '--- /dev/null')
  return after === undefined ? patch.replace(/^(--- .*\n)\+\+\+ .*/, '$1+++ /dev/null') : patch
}

/** A name with a control character, a quote or a backslash in it, in quotes as git reads and writes it. */
function withQuotes(patch: string, name: string): string {
  if (patch === '' || !/["\\\p{Cc}]/u.test(name)) return patch
  const quoted = name.replace(/["\\\p{Cc}]/gu, it => {
    if (it === '\n') return '\\n'
    if (it === '"' || it === '\\') return `\\${it}`
    return [...Buffer.from(it)].map(byte => `\\${byte.toString(8).padStart(3, '0')}`).join('')
  })
  return `--- "a/${quoted}"\n+++ "b/${quoted}"\n${patch.slice(patch.indexOf('\n@@ ') + 1)}`
}

/**
 * A patch with colours, and in reverse the words that changed where one line took the place of
 * another. Without colours it is the patch itself.
 */
export function paintPatch(patch: string, screen: Screen): string {
  if (!screen.color || patch === '') return patch
  // With Windows line ends a style has to end before that of its line.
  const lines = patch.split(/\r?\n/)
  const ends = patch.match(/\r?\n/g) ?? []
  const painted = lines.map((line, i) => {
    if (/^(?:---|\+\+\+) /.test(line) && isHeader(lines, i)) return paint(screen, 'bold', line)
    if (line.startsWith('@@')) return paint(screen, 'cyan', line)
    if (line.startsWith('-')) return paintLine(line, pairOf(lines, i, 1), 'red', screen)
    if (line.startsWith('+')) return paintLine(line, pairOf(lines, i, -1), 'green', screen)
    return line
  })
  return painted.map((line, i) => line + (ends[i] ?? '')).join('')
}

function isHeader(lines: readonly string[], i: number): boolean {
  const line = lines[i] ?? ''
  const next = lines[i + 1] ?? ''
  const last = lines[i - 1] ?? ''
  return line.startsWith('---') ? next.startsWith('+++ ') : last.startsWith('--- ')
}

/** The line that took this one's place, or had it, if exactly one was removed and one added here. */
function pairOf(lines: readonly string[], i: number, step: 1 | -1): string | undefined {
  const [own, other] = step === 1 ? ['-', '+'] : ['+', '-']
  const at = (k: number) => (lines[k] ?? ' ')[0]
  const isPair = at(i + step) === other && at(i - step) !== own && at(i + 2 * step) !== other
  return isPair ? lines[i + step] : undefined
}

function paintLine(
  line: string,
  pair: string | undefined,
  style: 'red' | 'green',
  screen: Screen
): string {
  if (pair === undefined) return paint(screen, style, line)
  const { diffWordsWithSpace } = createRequire(import.meta.url)('diff') as typeof Diff
  const [before, after] = style === 'red' ? [line, pair] : [pair, line]
  const words = diffWordsWithSpace(before.slice(1), after.slice(1))
    .filter(it => (style === 'red' ? !it.added : !it.removed))
    .map(it => (it.added || it.removed ? reverse(it.value) : it.value))
  return paint(screen, style, `${line[0]}${words.join('')}`)
}
