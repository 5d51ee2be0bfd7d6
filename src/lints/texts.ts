import { type SyntaxNode, visit } from '../nix/index.ts'
import { type Finding, findingAt } from './finding.ts'
import { diskInHome, firmwareFileRemoved, storePathInDomain } from './messages/libvirt.ts'
import { isStringNode, stringLiterals } from './values.ts'
import type { BootEntryView, LintFile } from './view.ts'

/** Findings in strings, such as parts of a domain's XML. */
export function lintTexts({ files }: BootEntryView): Finding[] {
  return files
    .filter(it => LINTED_PATH.test(it.doc.text))
    .flatMap(file => stringsOf(file).flatMap(it => [...firmware(file, it), ...store(file, it)]))
}

// Every finding contains one of these paths. Searching the text is much faster than visiting the tree.
const LINTED_PATH = /\/run\/libvirt\/nix-ovmf\/|\/nix\/store\//

interface Text {
  text: string
  start: number
}

function stringsOf({ doc }: LintFile): Text[] {
  const found: Text[] = []
  visit(doc, node => {
    if (isStringNode(node)) found.push(...stringLiterals(node).slice(0, 1))
    return undefined
  })
  return found
}

const REMOVED_FIRMWARE = /\/run\/libvirt\/nix-ovmf\/(?:OVMF|AAVMF)_CODE[\w.]*/g

function firmware({ path }: LintFile, { text, start }: Text): Finding[] {
  return [...text.matchAll(REMOVED_FIRMWARE)].map(it => {
    const range = { start: start + it.index, end: start + it.index + it[0].length }
    return findingAt({ path, range }, firmwareFileRemoved(it[0].split('/').at(-1) ?? ''))
  })
}

// The elements of a domain that contain a path.
const STORE_PATH = /<(emulator|loader|nvram)\b[^>]*>\s*(\/nix\/store\/[^<\s]+)/g

function store({ path }: LintFile, { text, start }: Text): Finding[] {
  return [...text.matchAll(STORE_PATH)].map(it => {
    const [all, element = '', value = ''] = it
    const end = start + it.index + all.length
    const place = { path, range: { start: end - value.length, end } }
    return findingAt(place, storePathInDomain(element))
  })
}

/** Disks of guests that QEMU may not reach because it does not run as root. */
export function lintImages(view: BootEntryView): Finding[] {
  const options = ['qemu.runAsRoot', 'qemuRunAsRoot'].map(it => `virtualisation.libvirtd.${it}`)
  if (options.every(it => view.definitionsWith(it, false).length === 0)) return []
  return view.files.flatMap(file =>
    imagesIn(file).map(range => findingAt({ path: file.path, range }, diskInHome()))
  )
}

const HOME = /^\/(?:home\/[^/]+|root)\/./
const IN_XML = /<source\b[^>]*\bfile\s*=\s*(["'])((?:\/home\/[^/"']+|\/root)\/[^"']+)\1/g

/** Paths of disk files in home folders, in XML or in a domain written in Nix. */
function imagesIn({ doc }: LintFile): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = []
  visit(doc, (node, ancestors) => {
    if (!isStringNode(node)) return undefined
    const [string] = stringLiterals(node)
    if (!string) return undefined
    for (const it of string.text.matchAll(IN_XML)) {
      const start = string.start + it.index + it[0].lastIndexOf(it[2] ?? '')
      found.push({ start, end: start + (it[2] ?? '').length })
    }
    if (HOME.test(string.text) && isSourceFile(ancestors)) {
      found.push({ start: node.start, end: node.end })
    }
    return undefined
  })
  return found
}

/** Whether a value is that of `source.file`, written as one binding or as two. */
function isSourceFile(ancestors: readonly SyntaxNode[]): boolean {
  const names = ancestors
    .filter(it => it.type === 'binding')
    .map(it => it.field('attrpath')?.text ?? '')
  return ancestors.at(-1)?.type === 'binding' && /(?:^|\.)source\.file$/.test(names.join('.'))
}
