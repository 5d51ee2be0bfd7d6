// Checks whether a module that declares vfio-patch's options is a copy of a known module, or does more.

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
import { literalNames, startsWith } from '../../nix/path.ts'
import {
  adds,
  computedDeclarations,
  hardCodes,
  onByDefault,
  sets,
  setsBelow
} from '../messages/takeOver.ts'

type Names = readonly (string | undefined)[]

// Attributes of a module that have no effect of their own.
const PASSIVE_ATTRIBUTES = ['_class', '_file', 'key', 'meta', 'assertions', 'warnings']

const KNOWN_PARAMETER =
  /^(?:intel_iommu=(?:on|igfx_off)|.*amd_iommu=on|iommu=(?:pt|1)|vfio[-_]pci\.ids=.*|pcie_acs_override=[\w,]*|pci=nomsi|video=(?:efifb|vesafb|simplefb):off|initcall_blacklist=sysfb_init|kvm\.(?:ignore_msrs=1|report_ignored_msrs=0)|(?:default_)?hugepagesz=.*|hugepages=.*|.+_iommu=on)$/

/**
 * The options that known modules set, the permitted lines of their strings, and text that the value must contain.
 * vfio-patch's modules set the same, or omit it on purpose.
 */
const KNOWN_DEFINITIONS: readonly [option: RegExp, line: RegExp, mentioned?: RegExp][] = [
  [/^boot\.kernelParams$/, KNOWN_PARAMETER],
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

// Literal parts of strings that only separate or complete computed values.
const SEPARATING_TEXT = /^[\s,]*$|^\d+(?:\.\d+)*$|^(?:intel|amd|both)$|^\W*rw$/

/** Something that a module does and vfio-patch's modules do not. */
interface Extra {
  range: Range
  what: string
}

/**
 * The first thing that a module does and vfio-patch's modules do not. Undefined for copies of the modules in
 * "VFIO Setup on NixOS" and nixos-vfio. `declared` are the options of vfio-patch's modules.
 */
export function firstExtra(doc: NixDocument, declared: readonly AttrPath[]): Extra | undefined {
  for (const { path, value } of doc.leaves()) {
    const [first = '', ...option] = path
    if (first === 'imports' || PASSIVE_ATTRIBUTES.includes(first)) continue
    const strings = stringLiterals(value).map(it => it.text)
    const extra =
      first === 'options'
        ? otherDeclaration(option, value.text, declared)
        : unknownSetting(path, value.text, strings)
    if (extra !== undefined) return { range: value, ...extra }
  }
  return hardCodedValue(doc)
}

/** How the declaration of an option differs from vfio-patch's: the option is on by default, or its name is computed. */
function otherDeclaration(
  path: Names,
  value: string,
  declared: readonly AttrPath[]
): Pick<Extra, 'what'> | undefined {
  const names = literalNames(path)
  const isWhole = names.length === path.length
  if (!isWhole || declared.some(it => it.length > names.length && startsWith(it, names)))
    return computedDeclarations()
  const isOnByDefault = /\bdefault\s*=\s*true\b/.test(value) || /^[\w.']+\s+true\b/.test(value)
  const isDeclared = declared.some(it => it.length === names.length && startsWith(names, it))
  return isOnByDefault && isDeclared && names.at(-1) !== 'clearEmulationCapabilities'
    ? onByDefault(formatPath(names))
    : undefined
}

/** A setting that no known module has. */
function unknownSetting(
  path: Names,
  value: string,
  strings: readonly string[]
): Pick<Extra, 'what'> | undefined {
  const names = literalNames(path)
  const name = formatPath(names)
  if (names.length < path.length) return setsBelow(name)
  const [, isKnown, mentioned = /^/] = KNOWN_DEFINITIONS.find(([option]) => option.test(name)) ?? []
  if (!isKnown || !mentioned.test(value)) return sets(name)
  // A device list in which all items are computed.
  const list = /^[ \t]*cgroup_device_acl\s*=\s*\[[\s,\ue000]*\]/gm
  const line = strings
    .flatMap(it => it.replace(list, '').split('\n'))
    .map(it => it.trim())
    .find(it => !SEPARATING_TEXT.test(it.replaceAll(MASK, '')) && !isKnown.test(it))
  return line === undefined ? undefined : adds(shorten(line), name)
}

/** The first literal device or kernel parameter in the module, for example in a variable. */
function hardCodedValue(doc: NixDocument): Extra | undefined {
  let found: Extra | undefined
  visit(doc, node => {
    const name = node.type === 'binding' ? node.field('attrpath') : undefined
    if (name && /^(?:example|description|defaultText)$/.test(name.text)) return SKIP
    if (!isStringNode(node)) return undefined
    const source = node.text
    const isDevice = /\b[0-9a-f]{4}:[0-9a-f]{4}\b|\b[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b/i.test(source)
    const isParameter =
      /^"[\w.-]+=[^\s"]*"$/.test(source) && !KNOWN_PARAMETER.test(source.slice(1, -1))
    if (!isDevice && !isParameter) return undefined
    found = { range: node, ...hardCodes(shorten(source)) }
    return BREAK
  })
  return found
}

function shorten(source: string): string {
  const line = source.replaceAll(/\ue000+/g, '…').replace(/\s+/g, ' ')
  return line.length > 40 ? `${line.slice(0, 39)}…` : line
}

/** Whether a module only imports others, all by literal paths. */
export function isOnlyImports(doc: NixDocument): boolean {
  const isPassive = doc
    .leaves()
    .every(it => ['imports', ...PASSIVE_ATTRIBUTES].includes(it.path[0] ?? ''))
  return isPassive && doc.module().ok && doc.itemsIn('imports').length === doc.imports().length
}

/** The options that a module declares but vfio-patch's modules do not. */
export function additionalOptions(doc: NixDocument, declared: readonly AttrPath[]): AttrPath[] {
  return doc
    .leaves()
    .filter(({ path }) => path[0] === 'options' && !path.includes(undefined))
    .map(it => literalNames(it.path).slice(1))
    .filter(names => !declared.some(it => startsWith(names, it) || startsWith(it, names)))
}
