import { type SyntaxNode, visit } from '../nix/index.ts'
import type { LintFile, View } from './configuration.ts'
import type { Finding } from './finding.ts'
import { isString, stringsIn, textOf } from './values.ts'

/** Disks of guests that QEMU can not reach, as it does not run as root. */
export function lintImages(view: View): Finding[] {
  const options = ['qemu.runAsRoot', 'qemuRunAsRoot'].map(it => `virtualisation.libvirtd.${it}`)
  if (options.every(it => view.says(it, false).length === 0)) return []
  return view.files.flatMap(file =>
    imagesIn(file).map(({ start, end }) => ({
      code: 'IMAGE_IN_HOME',
      level: 'note',
      path: file.path,
      range: { start, end },
      message: "a disk of a guest lies in somebody's home, where QEMU may not look",
      why: 'with runAsRoot = false it runs as the user qemu-libvirtd, and a home is closed to other users. libvirt gives it the file, but not the folders on the way.',
      remedy: 'move the disk to /var/lib/libvirt/images, or let others pass: chmod o+x the folders'
    }))
  )
}

const HOME = /^\/(?:home\/[^/]+|root)\/./
const IN_XML = /<source\b[^>]*\bfile\s*=\s*(["'])((?:\/home\/[^/"']+|\/root)\/[^"']+)\1/g

/** Where paths in homes stand as the file of a disk: in XML, or in a domain that is written in Nix. */
function imagesIn({ doc }: LintFile): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = []
  visit(doc, (node, ancestors) => {
    if (!isString(node)) return undefined
    const [string] = stringsIn(doc.text, node)
    if (!string) return undefined
    for (const it of string.text.matchAll(IN_XML)) {
      const start = string.start + it.index + it[0].lastIndexOf(it[2] ?? '')
      found.push({ start, end: start + (it[2] ?? '').length })
    }
    if (HOME.test(string.text) && isSourceFile(doc.text, ancestors)) {
      found.push({ start: node.start, end: node.end })
    }
    return undefined
  })
  return found
}

/** Whether a value is that of `source.file`, in one binding or in two. */
function isSourceFile(text: string, ancestors: readonly SyntaxNode[]): boolean {
  const names = ancestors
    .filter(it => it.type === 'binding')
    .map(it => it.field('attrpath'))
    .map(it => (it ? textOf(text, it) : ''))
  return ancestors.at(-1)?.type === 'binding' && /(?:^|\.)source\.file$/.test(names.join('.'))
}
