import { visit } from '../nix/index.ts'
import type { LintFile, View } from './configuration.ts'
import type { Finding } from './finding.ts'
import { isString, stringsIn } from './values.ts'

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
    if (isString(node)) found.push(...stringsIn(doc.text, node).slice(0, 1))
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
