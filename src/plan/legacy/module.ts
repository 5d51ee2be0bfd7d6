// What a module of somebody else comes to that declares options of ours: what would be lost without it.

import { isString, MASK, stringsIn } from '../../lints/values.ts'
import {
  type AttrPath,
  formatPath,
  type NixDocument,
  type Range,
  SKIP,
  type SyntaxNode,
  visit
} from '../../nix/index.ts'
import { startsWith } from '../../nix/path.ts'

/** A module that declares options of ours, beside what our modules do. */
export interface OldModule {
  /** The options that it declares and ours don't. */
  others: AttrPath[]
  /** What else it does. */
  extras: Extra[]
}

/** Something that a module does and ours don't, in a clause. */
export interface Extra {
  range: Range
  what: string
  /** The option of ours that it is a default for; it counts only where nobody sets that. */
  unless?: AttrPath
}

/** `declared` are the options that our modules declare, each as a whole path. */
export function judgeModule(doc: NixDocument, declared: readonly AttrPath[]): OldModule {
  const leaves = doc.leaves()
  const module: OldModule = { others: [], extras: [] }
  for (const { path, value } of leaves) {
    const [first] = path
    if (first === 'options') {
      const names = namesOf(path).slice(1)
      const isWhole = names.length === path.length - 1
      if (!isWhole || declared.some(it => it.length > names.length && startsWith(it, names))) {
        module.extras.push({ range: value, what: 'declares options that are not written out here' })
      } else if (declared.some(it => it.length === names.length && startsWith(names, it))) {
        if (isOnByDefault(doc, value) && names.at(-1) !== 'clearEmulationCapabilities') {
          const what = `has ${formatPath(names)} on by default`
          module.extras.push({ range: value, what, unless: names })
        }
      } else module.others.push(names)
    } else if (first !== 'imports' && !PASSIVE.includes(first ?? '')) {
      module.extras.push(...extrasOf(doc, path, value))
    }
  }
  module.extras.push(...writtenInside(doc))
  return { ...module, extras: withoutEchoes(module.extras) }
}

/** Several settings of one thing are one. */
function withoutEchoes(extras: readonly Extra[]): Extra[] {
  const thingOf = ({ what }: Extra) => /^sets (?:[^.]+\.){3}[^.]+(?=\.)/.exec(what)?.[0]
  return extras.flatMap((it, i) => {
    const thing = thingOf(it)
    if (thing === undefined) return [it]
    const isFirst = extras.findIndex(other => thingOf(other) === thing) === i
    const isOnly = extras.filter(other => thingOf(other) === thing).length === 1
    return isOnly ? [it] : isFirst ? [{ ...it, what: thing }] : []
  })
}

/** Whether a module only passes on what it imports by fixed paths. */
export function isPassingOn(doc: NixDocument): boolean {
  const module = doc.module()
  if (!module.ok) return false
  const isAll = doc.itemsIn('imports').length === doc.imports().length
  return isAll && doc.leaves().every(it => ['imports', ...PASSIVE].includes(it.path[0] ?? ''))
}

// Attributes of a module that do nothing.
const PASSIVE = ['_class', '_file', 'key', 'meta', 'assertions', 'warnings']

interface Rule {
  path: AttrPath
  /** What each of its strings, or each line of its text, may be. */
  may?: RegExp
  /** Whether options below it are another matter. */
  isExact?: boolean
}

const of = (path: string, may?: RegExp): Rule => ({
  path: path.split(' '),
  ...(may === undefined ? {} : { may })
})

const PARAMETER =
  /^(?:intel_iommu=(?:on|igfx_off)|.*amd_iommu=on|iommu=(?:pt|1)|vfio[-_]pci\.ids=.*|pcie_acs_override=[\w,]*|pci=nomsi|video=(?:efifb|vesafb|simplefb):off|initcall_blacklist=sysfb_init|kvm\.(?:ignore_msrs=1|report_ignored_msrs=0)|(?:default_)?hugepagesz=.*|hugepages=.*|.+_iommu=on)$/
const MODULE = /^(?:vfio|vfio[-_]pci|vfio_iommu_type1|vfio_virqfd|kvmfr)$/
const LINE_FOR_MODPROBE =
  /^(?:options\s+(?:vfio[-_]pci\s+ids=|kvmfr\s+static_size_mb=|kvm\s+(?:ignore_msrs|report_ignored_msrs)=)\S*|softdep\s+\S+\s+pre:\s*vfio[-_]pci)$/
const LINE_FOR_QEMU = /^(?:clear_emulation_capabilities\s*=\s*\S*|namespaces\s*=\s*\[\s*\])$/
const RULE_FOR_UDEV = /^SUBSYSTEM=="(?:vfio|kvmfr)"/
const ACCOUNT = /^(?:kvm|input|qemu-libvirtd)$/

/** What the modules that went round do, and ours do as well, or on purpose no more. */
const RULES: readonly Rule[] = [
  of('boot kernelParams', PARAMETER),
  of('boot kernelModules', MODULE),
  of('boot initrd kernelModules', MODULE),
  of('boot initrd availableKernelModules', MODULE),
  of('boot blacklistedKernelModules', /^(?:nvidia|nova_|nouveau)\w*$/),
  of('boot extraModprobeConfig', LINE_FOR_MODPROBE),
  of('boot extraModulePackages', /^$/),
  of('services udev extraRules', RULE_FOR_UDEV),
  of('services udev packages', /^$/),
  of('systemd tmpfiles rules', /^f \/dev\/shm\/.*/),
  of('system activationScripts sharedMemoryFiles'),
  of('users users qemu-libvirtd', ACCOUNT),
  of('users groups qemu-libvirtd', ACCOUNT),
  of('virtualisation libvirtd enable'),
  of('virtualisation libvirtd onShutdown', /^shutdown$/),
  of('virtualisation libvirtd deviceACL', /^\/dev\/kvmfr.*/),
  { ...of('virtualisation libvirtd hooks', /^$/), isExact: true },
  of('virtualisation libvirtd qemu verbatimConfig', LINE_FOR_QEMU),
  of('virtualisation libvirtd qemuVerbatimConfig', LINE_FOR_QEMU),
  of('environment etc modules-load.d/kvmfr.conf text', /^kvmfr$/),
  of('environment etc modprobe.d/kvmfr.conf text', LINE_FOR_MODPROBE),
  of('environment etc apparmor.d/local/abstractions/libvirt-qemu')
]

// What strings hold that put others together.
const GLUE = /^[\s,]*$|^\d+(?:\.\d+)*$|^(?:intel|amd|both)$|^\W*rw$/

function extrasOf(
  doc: NixDocument,
  path: readonly (string | undefined)[],
  value: SyntaxNode
): Extra[] {
  const names = namesOf(path)
  const name = formatPath(names)
  if (names.length < path.length) return [{ range: value, what: `sets options below ${name}` }]
  if (name === 'boot.kernelPatches') return patchesIn(doc, value)
  const rule = RULES.find(
    it => startsWith(names, it.path) && (!it.isExact || names.length === it.path.length)
  )
  if (!rule) return [{ range: value, what: `sets ${name}` }]
  const { may } = rule
  if (may === undefined) return []
  return stringsIn(doc.text, value).flatMap(({ text, start }) =>
    piecesOf(text).flatMap(({ piece, index }) =>
      GLUE.test(piece.replaceAll(MASK, '')) || may.test(piece)
        ? []
        : [
            {
              range: { start: start + index, end: start + index + piece.length },
              what: `puts ${shorten(piece)} into ${name}`
            }
          ]
    )
  )
}

/** The ACS override goes with its kernel; that of another is wanted by somebody. */
function patchesIn({ text }: NixDocument, value: SyntaxNode): Extra[] {
  const source = text.slice(value.start, value.end)
  const names = [...source.matchAll(/\bname\s*=\s*"([^"]*)"/g)].map(it => it[1] ?? '')
  const isKnown = names.length > 0 && names.every(it => /acs|i915-vga|\.patch$/i.test(it))
  return isKnown ? [] : [{ range: value, what: 'patches the kernel (boot.kernelPatches)' }]
}

/** The lines of a text, without a list of devices that only holds what is computed. */
function piecesOf(text: string): { piece: string; index: number }[] {
  const list = /^[ \t]*cgroup_device_acl\s*=\s*\[[\s,\ue000]*\]/gm
  const rest = text.replace(list, it => it.replace(/[^\n]/g, ' '))
  return [...rest.matchAll(/\S(?:[^\n]*\S)?/g)].map(it => ({ piece: it[0], index: it.index }))
}

/** Devices that stand in the module itself, and values behind its variables. */
function writtenInside(doc: NixDocument): Extra[] {
  const found: Extra[] = []
  visit(doc, (node, ancestors) => {
    const name = node.type === 'binding' ? node.field('attrpath') : undefined
    const isLore =
      name && /^(?:example|description|defaultText)$/.test(doc.text.slice(name.start, name.end))
    if (isLore) return SKIP
    if (!isString(node)) return undefined
    const text = doc.text.slice(node.start, node.end)
    const isDevice = /\b[0-9a-f]{4}:[0-9a-f]{4}\b|\b[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b/i.test(text)
    const isParameter = /^"[\w.-]+=[^\s"]*"$/.test(text) && !PARAMETER.test(text.slice(1, -1))
    const isInLet = ancestors.some(
      (it, i) => it.type === 'binding' && ancestors[i - 2]?.type === 'let_expression'
    )
    if (isDevice || (isInLet && isParameter)) {
      found.push({ range: node, what: `has ${shorten(text)} written into it` })
    }
    return undefined
  })
  return found
}

function isOnByDefault({ text }: NixDocument, value: SyntaxNode): boolean {
  const source = text.slice(value.start, value.end)
  return /\bdefault\s*=\s*true\b/.test(source) || /^[\w.']+\s+true\b/.test(source)
}

function namesOf(path: readonly (string | undefined)[]): string[] {
  const computed = path.indexOf(undefined)
  return path.slice(0, computed === -1 ? undefined : computed).filter(it => it !== undefined)
}

function shorten(piece: string): string {
  const line = piece.replaceAll(/\ue000+/g, '…').replace(/\s+/g, ' ')
  return line.length > 40 ? `${line.slice(0, 39)}…` : line
}
