import { parseDocument } from '../nix/index.ts'
import type { LintFile } from './configuration.ts'

/**
 * A file, and behind it the modules that are values in it, as files that list modules of NixOS by name
 * have them. Their offsets are those of the file.
 */
export function withParts(file: LintFile): LintFile[] {
  const { doc, path } = file
  const modules = doc.leaves().filter(it => it.value.type === 'function_expression')
  const parts = modules.flatMap(({ value }) => {
    const before = doc.text.slice(0, value.start).replace(/[^\n]/g, ' ')
    const part = parseDocument(before + doc.text.slice(value.start, value.end))
    return part.module().ok ? [{ path, doc: part, isPart: true }] : []
  })
  return [file, ...parts]
}
