import { type SyntaxNode, visit } from '../nix/index.ts'
import type { Finding } from './finding.ts'
import { isStringNode, stringLiterals } from './values.ts'
import type { LintFile, View } from './view.ts'

/** What stands in strings, such as pieces of a domain's XML. */
export function lintTexts({ files }: View): Finding[] {
  return files.flatMap(file =>
    stringsOf(file).flatMap(it => [...firmware(file, it), ...store(file, it)])
  )
}

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

const GONE = /\/run\/libvirt\/nix-ovmf\/(?:OVMF|AAVMF)_CODE[\w.]*/g

function firmware({ path }: LintFile, { text, start }: Text): Finding[] {
  return [...text.matchAll(GONE)].map(it => ({
    code: 'OVMF_FILE',
    level: 'problem',
    path,
    range: { start: start + it.index, end: start + it.index + it[0].length },
    message: `there is no ${it[0].split('/').at(-1)} since NixOS 25.11`,
    why: "the firmware files have QEMU's own names now, so a guest with this path does not start.",
    remedy: "write <os firmware='efi'> and leave the path out, or name edk2-x86_64-code.fd"
  }))
}

// Elements of a domain that name a file.
const IN_DOMAIN = /<(?:emulator|loader|nvram)\b[^>]*>\s*(\/nix\/store\/[^<\s]+)/g

function store({ path }: LintFile, { text, start }: Text): Finding[] {
  return [...text.matchAll(IN_DOMAIN)].map(it => {
    const at = start + it.index + it[0].length - (it[1]?.length ?? 0)
    return {
      code: 'STORE_PATH',
      level: 'problem',
      path,
      range: { start: at, end: at + (it[1]?.length ?? 0) },
      message: 'a path in the Nix store stands in a domain',
      why: 'it is gone after an update and a garbage collection, and then the guest does not start.',
      remedy: it[0].startsWith('<emulator')
        ? 'leave the emulator out, or write /run/libvirt/nix-emulators/qemu-system-x86_64'
        : "write <os firmware='efi'> and leave the path out"
    } as const
  })
}

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

/** Whether a value is that of `source.file`, in one binding or in two. */
function isSourceFile(ancestors: readonly SyntaxNode[]): boolean {
  const names = ancestors
    .filter(it => it.type === 'binding')
    .map(it => it.field('attrpath')?.text ?? '')
  return ancestors.at(-1)?.type === 'binding' && /(?:^|\.)source\.file$/.test(names.join('.'))
}
