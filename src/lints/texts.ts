import { formatPath, visit } from '../nix/index.ts'
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

/** A declaration that only adds options to those of each member of a set, as a second one may. */
const MORE_OF_SET = /^(?:lib\.)?mkOption\s*\{\s*type\s*=[^;{]*\bsubmodule\b[^;{]*;\s*\}$/

/** Options that two modules declare. */
export function lintDeclarations({ files }: View): Finding[] {
  const owners = new Map<string, LintFile>()
  const findings: Finding[] = []
  for (const file of files) {
    const declared = file.doc.leaves().flatMap(it => {
      const names = it.path.slice(1)
      const isOurs = /^(?:vfio|kvmfr|hugepages|sharedMemoryFiles)$/.test(names[1] ?? '')
      const isDeclared = it.path[0] === 'options' && names[0] === 'virtualisation'
      const source = file.doc.text.slice(it.value.start, it.value.end)
      if (!isDeclared || !isOurs || names.includes(undefined) || MORE_OF_SET.test(source)) return []
      return [{ option: formatPath(names.filter(name => name !== undefined)), value: it.value }]
    })
    for (const { option, value } of declared) {
      const other = owners.get(option)
      if (other === undefined) owners.set(option, file)
      else if (other.path !== file.path && !findings.some(it => it.path === file.path)) {
        findings.push({
          code: 'DECLARED_TWICE',
          level: 'problem',
          path: file.path,
          range: { start: value.start, end: value.end },
          message: `${option} is declared in ${other.path} too`,
          why: 'an option that two modules declare is an error, even where both are switched off.',
          remedy: 'take one of the two modules out of imports'
        })
      }
    }
  }
  return findings
}
