// The names, groups and patches of changed files.

import { createRequire } from 'node:module'
import { basename, dirname, relative } from 'node:path'
import type * as Diff from 'diff'
import { stampOf } from '../../configuration/stamp.ts'
// Not from nix/index.ts: undo has to work without the parser.
import { diffTexts } from '../../nix/text/diff.ts'
import type { PlannedFile } from '../../plan/changes.ts'
import type { TargetFile } from '../../storage/read.ts'
import { paint, reverse, type Screen } from './output.ts'

/** Whether a planned file is a module of vfio-patch, or was one. */
export function isInstalledModule({
  before,
  after
}: Pick<PlannedFile, 'before' | 'after'>): boolean {
  return [before, after].some(it => stampOf(it ?? '') !== 'none')
}

/** A path relative to the configuration's folder if it is inside, else the whole path. */
export function shortName(configuration: TargetFile, path: string): string {
  const folder = dirname(configuration.realpath)
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path
}

/** The name of a planned file in a patch: its path relative to the configuration's folder, else its base name. */
export function nameIn(configuration: TargetFile, path: string): string {
  const folder = dirname(configuration.realpath)
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : basename(path)
}

/** A path relative to a folder if it is inside, else the whole path. */
export function pathIn(folder: string, path: string): string {
  const inside = relative(folder, path)
  return inside.startsWith('..') ? path : inside
}

// Modules are created and deleted together, so messages name their folder instead of each file.

/** A file, or all files of a folder with the same action. */
interface FileGroup<T> {
  /** The path of the file, or of the folder with a slash at its end. */
  name: string
  files: readonly T[]
}

/**
 * Groups the modules (`isModule`) by folder and by `kindOf`. Each group takes the place of its first file. Other
 * files, and a single module in a folder, keep their own names. Files in `_lib` belong to the parent folder.
 */
export function groupFiles<T>(
  files: readonly T[],
  pathOf: (file: T) => string,
  isModule: (file: T) => boolean,
  kindOf: (file: T) => string = () => ''
): FileGroup<T>[] {
  const groups = new Map<string, T[]>()
  for (const file of files) {
    const key = isModule(file)
      ? `${kindOf(file)} ${folderOfModule(pathOf(file))}/`
      : `file ${pathOf(file)}`
    groups.set(key, [...(groups.get(key) ?? []), file])
  }
  return [...groups.values()].map(group => {
    const [first] = group.map(pathOf)
    const name = first ?? ''
    return { name: group.length > 1 ? `${folderOfModule(name)}/` : name, files: group }
  })
}

/** The folder that a module belongs to. */
export function folderOfModule(path: string): string {
  const folder = dirname(path)
  return basename(folder) === '_lib' ? dirname(folder) : folder
}

/** The change of a file: `before` is undefined for a new file, `after` for a deleted one. */
interface ShownFile {
  /** The name in the patch, relative to the folder that it applies in. */
  name: string
  before: string | undefined
  after: string | undefined
}

/** A patch that `git apply` and `patch -p1` accept in the folder of the configuration. */
export function patchOf({ name, before, after }: ShownFile, context: number): string {
  // Like git: `patch` needs a tab after a name with a space.
  const file = name.includes(' ') ? `${name}\t` : name
  const patch = withQuotes(diffTexts(before ?? '', after ?? '', { file, context }), name)
  if (before === undefined) return patch.replace(/^--- .*/, '--- /dev/null')
  return after === undefined ? patch.replace(/^(--- .*\n)\+\+\+ .*/, '$1+++ /dev/null') : patch
}

/** Quotes a name with a control character, a quote or a backslash as git does. */
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
 * A patch with colors. If one line replaces another, the changed words are in reverse. On a screen without colors,
 * the patch itself.
 */
export function paintPatch(patch: string, screen: Screen): string {
  if (!screen.color || patch === '') return patch
  // With CRLF line endings a style has to end before the CR.
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

/** The other line of a pair: if exactly one line is removed and one is added at this place, the two form a pair. */
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
