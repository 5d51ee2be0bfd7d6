// What a module does that declares options of ours: whether it is a copy of a known one.

import { isStringNode, MASK, stringLiterals } from '../../lints/values.ts'
import {
  type AttrPath,
  BREAK,
  formatPath,
  type NixDocument,
  type Range,
  SKIP,
  visit
} from '../../nix/index.ts'
import { startsWith } from '../../nix/path.ts'

type Names = readonly (string | undefined)[]

// Attributes of a module that have no effect by themselves.
const PASSIVE = ['_class', '_file', 'key', 'meta', 'assertions', 'warnings']

const PARAMETER =
  /^(?:intel_iommu=(?:on|igfx_off)|.*amd_iommu=on|iommu=(?:pt|1)|vfio[-_]pci\.ids=.*|pcie_acs_override=[\w,]*|pci=nomsi|video=(?:efifb|vesafb|simplefb):off|initcall_blacklist=sysfb_init|kvm\.(?:ignore_msrs=1|report_ignored_msrs=0)|(?:default_)?hugepagesz=.*|hugepages=.*|.+_iommu=on)$/

/**
 * What the known modules set, the lines of its strings, and what the value has to mention; ours do the same,
 * or don't on purpose.
 */
const KNOWN: readonly [option: RegExp, line: RegExp, mentioned?: RegExp][] = [
  [/^boot\.kernelParams$/, PARAMETER],
  [
    /^boot\.(?:initrd\.)?(?:k|availableK)ernelModules$/,
    /^(?:vfio|vfio[-_]pci|vfio_iommu_type1|vfio_virqfd|kvmfr)$/
  ],
  [/^boot\.blacklistedKernelModules$/, /^(?:nvidia|nova_|nouveau)\w*$/],
  [
    /^boot\.kernelPatches$/,
    /(?:^|-)(?:acs|i915)(?:-|$)|^[\w-]+\.patch$|^https:|^[0-9a-z]{40,64}$/,
    /\bname\s*=\s*"[^"]*(?:acs|i915)/
  ],
  [/^boot\.extraModulePackages$/, /^$/, /kvmfr/],
  [
    /^(?:boot\.extraModprobeConfig|environment\.etc\."modprobe\.d\/kvmfr\.conf"\.text)$/,
    /^(?:options\s+(?:vfio[-_]pci\s+ids=|kvmfr\s+static_size_mb=|kvm\s+(?:ignore_msrs|report_ignored_msrs)=)\S*|softdep\s+\S+\s+pre:\s*vfio[-_]pci)$/
  ],
  [/^environment\.etc\."modules-load\.d\/kvmfr\.conf"\.text$/, /^kvmfr$/],
  [/^environment\.etc\."apparmor\.d\/local\/abstractions\/libvirt-qemu"\.text$/, /^/],
  [/^services\.udev\.extraRules$/, /^SUBSYSTEM=="(?:vfio|kvmfr)"/],
  [/^systemd\.tmpfiles\.rules$/, /^f \/dev\/shm\//],
  [/^users\.(?:users|groups)\.qemu-libvirtd(?:\.|$)/, /^(?:kvm|input|qemu-libvirtd)$/],
  [/^virtualisation\.libvirtd\.onShutdown$/, /^shutdown$/],
  [/^virtualisation\.libvirtd\.deviceACL$/, /^\/dev\/kvmfr/],
  [
    /^virtualisation\.libvirtd\.qemu(?:\.v|V)erbatimConfig$/,
    /^(?:clear_emulation_capabilities\s*=\s*\S*|namespaces\s*=\s*\[\s*\])$/
  ],
  [/^(?:services\.udev\.packages|virtualisation\.libvirtd\.(?:enable|hooks))$/, /^$/]
]

// What strings have that put others together.
const GLUE = /^[\s,]*$|^\d+(?:\.\d+)*$|^(?:intel|amd|both)$|^\W*rw$/

/**
 * The first thing that a module does and ours don't, as a clause. There is none in a copy of a known module:
 * those of the write-up "VFIO Setup on NixOS" and of nixos-vfio. `declared` are the options of our modules.
 */
export function extraOf(
  doc: NixDocument,
  declared: readonly AttrPath[]
): { range: Range; what: string } | undefined {
  for (const { path, value } of doc.leaves()) {
    const [first = '', ...option] = path
    if (first === 'imports' || PASSIVE.includes(first)) continue
    const strings = stringLiterals(value).map(it => it.text)
    const what =
      first === 'options'
        ? unlikeOurs(option, value.text, declared)
        : unknownSetting(path, value.text, strings)
    if (what !== undefined) return { range: value, what }
  }
  return writtenInside(doc)
}

/** What is unlike ours in the declaration of an option: that it is on by default, or can't be read. */
function unlikeOurs(path: Names, value: string, declared: readonly AttrPath[]): string | undefined {
  const names = writtenNames(path)
  const isWhole = names.length === path.length
  if (!isWhole || declared.some(it => it.length > names.length && startsWith(it, names)))
    return 'declares options that are not written out here'
  const isOn = /\bdefault\s*=\s*true\b/.test(value) || /^[\w.']+\s+true\b/.test(value)
  const isOurs = declared.some(it => it.length === names.length && startsWith(names, it))
  return isOn && isOurs && names.at(-1) !== 'clearEmulationCapabilities'
    ? `has ${formatPath(names)} on by default`
    : undefined
}

/** What is set that no known module sets. */
function unknownSetting(
  path: Names,
  value: string,
  strings: readonly string[]
): string | undefined {
  const names = writtenNames(path)
  const name = formatPath(names)
  if (names.length < path.length) return `sets options below ${name}`
  const [, isKnown, mentioned = /^/] = KNOWN.find(([option]) => option.test(name)) ?? []
  if (!isKnown || !mentioned.test(value)) return `sets ${name}`
  // A list of devices that only holds what is computed.
  const list = /^[ \t]*cgroup_device_acl\s*=\s*\[[\s,\ue000]*\]/gm
  const line = strings
    .flatMap(it => it.replace(list, '').split('\n'))
    .map(it => it.trim())
    .find(it => !GLUE.test(it.replaceAll(MASK, '')) && !isKnown.test(it))
  return line === undefined ? undefined : `puts ${shorten(line)} into ${name}`
}

/** A device or a kernel parameter that is written into the module, such as in a variable. */
function writtenInside(doc: NixDocument): { range: Range; what: string } | undefined {
  let found: { range: Range; what: string } | undefined
  visit(doc, node => {
    const name = node.type === 'binding' ? node.field('attrpath') : undefined
    if (name && /^(?:example|description|defaultText)$/.test(name.text)) return SKIP
    if (!isStringNode(node)) return undefined
    const source = node.text
    const isDevice = /\b[0-9a-f]{4}:[0-9a-f]{4}\b|\b[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b/i.test(source)
    const isParameter = /^"[\w.-]+=[^\s"]*"$/.test(source) && !PARAMETER.test(source.slice(1, -1))
    if (!isDevice && !isParameter) return undefined
    found = { range: node, what: `has ${shorten(source)} written into it` }
    return BREAK
  })
  return found
}

function shorten(source: string): string {
  const line = source.replaceAll(/\ue000+/g, '…').replace(/\s+/g, ' ')
  return line.length > 40 ? `${line.slice(0, 39)}…` : line
}

/** Whether a module has no effect but what it imports, all of it by fixed paths. */
export function isOnlyImports(doc: NixDocument): boolean {
  const isPassive = doc.leaves().every(it => ['imports', ...PASSIVE].includes(it.path[0] ?? ''))
  return isPassive && doc.module().ok && doc.itemsIn('imports').length === doc.imports().length
}

/** The names of a path up to the first computed one. */
export function writtenNames(path: Names): string[] {
  const computed = path.indexOf(undefined)
  return path.slice(0, computed === -1 ? undefined : computed).filter(it => it !== undefined)
}

/** The options of a module that ours don't have. */
export function otherOptions(doc: NixDocument, declared: readonly AttrPath[]): AttrPath[] {
  return doc
    .leaves()
    .filter(({ path }) => path[0] === 'options' && !path.includes(undefined))
    .map(it => writtenNames(it.path).slice(1))
    .filter(names => !declared.some(it => startsWith(names, it) || startsWith(it, names)))
}
