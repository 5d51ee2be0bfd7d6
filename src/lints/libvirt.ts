import { uniqueBy } from '../collections.ts'
import { expr } from '../nix/index.ts'
import { passesDevices } from './bindings.ts'
import { type Finding, type Fix, findingAt, placeWithin } from './finding.ts'
import {
  deviceListIncomplete,
  guestsWithoutNetwork,
  namespacesLost,
  optionRenamed,
  ovmfOption,
  storePathInQemuConf,
  suspendsAtShutdown
} from './messages/libvirt.ts'
import { MASK } from './values.ts'
import {
  type BootEntryView,
  canApplyTogether,
  type DefinitionString,
  hasRelease,
  type OptionDefinition,
  valueText
} from './view.ts'

const LIBVIRTD = 'virtualisation.libvirtd'
const VERBATIM = [`${LIBVIRTD}.qemu.verbatimConfig`, `${LIBVIRTD}.qemuVerbatimConfig`]

/** Options of libvirt and settings for QEMU. */
export function lintLibvirt(view: BootEntryView): Finding[] {
  return [
    ...ovmf(view),
    ...renamed(view),
    ...incompleteList(view),
    ...storePaths(view),
    ...namespaces(view),
    ...shutdown(view),
    ...network(view)
  ]
}

function ovmf(view: BootEntryView): Finding[] {
  if (!hasRelease(view, '25.11')) return []
  const option = `${LIBVIRTD}.qemu.ovmf`
  const oldNames = [`${LIBVIRTD}.qemuOvmf`, `${LIBVIRTD}.qemuOvmfPackage`]
  const definitions = [
    ...view.definitionsOf(option),
    ...view.definitionsBelow(option),
    ...oldNames.flatMap(view.definitionsOf)
  ]
  const set = definitions.filter(it => valueText(it) !== 'null')
  // One finding per set, at the first of its options.
  const parentOf = ({ fullPath, path }: OptionDefinition) =>
    fullPath.slice(0, fullPath.length - Math.max(0, path.length - 4))
  return uniqueBy(set, it => [it.file.path, ...parentOf(it)].join('\0')).map(it =>
    findingAt(it, { ...ovmfOption(), fix: [{ op: 'drop', path: parentOf(it) }] })
  )
}

/** Options of `virtualisation.libvirtd` by their old and new names. */
const RENAMED = [
  ['qemuPackage', 'qemu.package'],
  ['qemuRunAsRoot', 'qemu.runAsRoot'],
  ['qemuVerbatimConfig', 'qemu.verbatimConfig'],
  ['qemuSwtpm', 'qemu.swtpm.enable']
] as const

function renamed(view: BootEntryView): Finding[] {
  return RENAMED.flatMap(([name, newName]) =>
    view.definitionsOf(`${LIBVIRTD}.${name}`).map(it =>
      findingAt(it, {
        ...optionRenamed(name, newName),
        fix: [{ op: 'rename', path: it.fullPath, to: [...parentPath(it), ...newName.split('.')] }]
      })
    )
  )
}

/** The devices that QEMU needs and that libvirt allows by default in all releases. */
const NEEDED = ['/dev/null', '/dev/zero', '/dev/urandom', '/dev/ptmx']

/** Allowed by default up to libvirt 11 (NixOS 25.11); libvirt 12 adds it for guests that use KVM. */
const KVM = '/dev/kvm'

/** Further devices that some libvirt releases allow by default. Listing a missing device does no harm. */
const USUAL = ['/dev/full', '/dev/random', '/dev/userfaultfd']

/** `cgroup_device_acl` replaces libvirt's own list. */
function incompleteList(view: BootEntryView): Finding[] {
  const needed = [...NEEDED, ...(hasRelease(view, '26.05') ? [] : [KVM])]
  return VERBATIM.flatMap(view.stringsIn).flatMap(at => {
    const list = qemuConfList(at.text, 'cgroup_device_acl')
    if (!list) return []
    const { text } = at.definition.file.doc
    // If the list is computed, the devices may be anywhere in the file.
    const isListed = (it: string) =>
      list.items.includes(it) || (!list.isPlain && new RegExp(`${it}(?![\\w./-])`).test(text))
    const missing = needed.filter(it => !isListed(it))
    if (missing.length === 0) return []
    return findingAt(placeWithin(at, list.key, 'cgroup_device_acl'.length), {
      ...deviceListIncomplete(missing),
      fix: addDevices(at, list)
    })
  })
}

/**
 * The fix that adds all devices that some libvirt release allows by default, at the start of the list;
 * undefined if the value is more than this string, or the list is computed or not closed.
 */
function addDevices(
  { definition, node, text, start }: DefinitionString,
  list: ConfList
): Fix | undefined {
  const source = node.text
  const isWhole = definition.conditions.length === 0 && valueText(definition) === source
  if (!isWhole || !list.isPlain || !list.isClosed || !source.startsWith("''")) return undefined
  const [indent] = /^[ \t]*\n[ \t]*(?=\S)/.exec(text.slice(list.open + 1, list.end - 1)) ?? [' ']
  const missing = [...NEEDED, KVM, ...USUAL].filter(it => !list.items.includes(it))
  const devices = missing.map(it => `"${it}"`).join(', ')
  const at = start - node.start + list.open + 1
  const added = `${indent}${devices}${list.items.length === 0 ? '' : ','}`
  const value = expr(source.slice(0, at) + added + source.slice(at))
  return [{ op: 'set', path: definition.fullPath, value }]
}

function storePaths(view: BootEntryView): Finding[] {
  return VERBATIM.flatMap(view.stringsIn).flatMap(at => {
    const found = /\/nix\/store\/[^"\s:]+/.exec(at.text)
    if (!found) return []
    return findingAt(placeWithin(at, found.index, found[0].length), storePathInQemuConf(found[0]))
  })
}

/** Any definition of verbatimConfig replaces its default, which sets `namespaces`. */
function namespaces(view: BootEntryView): Finding[] {
  const texts = VERBATIM.flatMap(view.stringsIn)
  const definitions = VERBATIM.flatMap(view.definitionsOf)
  const [first] = texts
  // A computed text may set `namespaces`.
  if (!first || definitions.length !== texts.length) return []
  if (texts.some(it => /^[ \t]*namespaces\b/m.test(it.text) || /^\W*$/.test(it.text))) return []
  const { path, fullPath } = first.definition
  // An option with its old name is renamed first.
  const isFixable =
    first.conditions.length === 0 && texts.length === 1 && path.at(-1) === 'verbatimConfig'
  return [
    findingAt(first.definition, {
      ...namespacesLost(),
      fix: isFixable ? [{ op: 'add-line', path: fullPath, line: 'namespaces = []' }] : undefined
    })
  ]
}

function shutdown(view: BootEntryView): Finding[] {
  if (!passesDevices(view)) return []
  const option = `${LIBVIRTD}.onShutdown`
  const wrong = view.definitionsOf(option).filter(it => valueText(it) === '"suspend"')
  if (wrong.length > 0) {
    return wrong.map(it =>
      findingAt(it, {
        ...suspendsAtShutdown(true),
        fix: [{ op: 'set', path: it.fullPath, value: 'shutdown' }]
      })
    )
  }
  const usesShippedModules =
    view.facts.importsModules && view.definitionsWith('virtualisation.vfio.enable', true).length > 0
  if (usesShippedModules || !view.isComplete || view.definitionsOf(option).length > 0) return []
  return view
    .definitionsWith(`${LIBVIRTD}.enable`, true)
    .slice(0, 1)
    .map(it =>
      findingAt(it, {
        ...suspendsAtShutdown(false),
        fix: [{ op: 'set', path: [...parentPath(it), 'onShutdown'], value: 'shutdown' }]
      })
    )
}

function parentPath({ fullPath }: OptionDefinition): string[] {
  return fullPath.slice(0, -1)
}

/** With nftables, NixOS' firewall drops the guests' DHCP and DNS requests to the host. */
function network(view: BootEntryView): Finding[] {
  const enabled = view.definitionsWith(`${LIBVIRTD}.enable`, true)
  const hasFirewall = view.definitionsWith('networking.firewall.enable', false).length === 0
  if (!view.isComplete || enabled.length === 0 || !hasFirewall) return []
  // With bridges or trusted interfaces, guests may use another network.
  const others = ['networking.bridges', 'networking.firewall.trustedInterfaces']
  if (others.some(it => view.definitionsOf(it).length + view.definitionsBelow(it).length > 0))
    return []
  if (view.files.some(it => it.doc.text.includes('virbr'))) return []
  const firewalls = view
    .definitionsWith('networking.nftables.enable', true)
    .filter(it => enabled.some(other => canApplyTogether(it, other)))
  return firewalls.map(it => findingAt(it, guestsWithoutNetwork()))
}

// Lists in the text of libvirt's qemu.conf.

/** The list that is the value of a key in qemu.conf. All offsets are in the text. */
interface ConfList {
  /** The offset of the key. */
  key: number
  /** The offset of the opening bracket. */
  open: number
  /** The offset after the closing bracket; the end of the text if there is none. */
  end: number
  isClosed: boolean
  /** The strings in the list, without quotation marks. */
  items: readonly string[]
  /** Whether it contains only strings, commas, comments and whitespace, so nothing is computed. */
  isPlain: boolean
}

const TOKEN = /#[^\n]*|\\?"([^"\n]*?)\\?"|'([^'\n]*)'|[\s,]+|\]|[\s\S]/y

/**
 * The list that is the value of `name` in a text of qemu.conf; undefined if there is none. If there are several,
 * libvirt uses the first. Quotation marks may be escaped, as in a Nix string on one line.
 */
export function qemuConfList(text: string, name: string): ConfList | undefined {
  const found = new RegExp(`^[ \\t]*(${name})[ \\t]*=\\s*\\[`, 'm').exec(text)
  if (!found) return undefined
  const key = found.index + found[0].indexOf(name)
  const open = found.index + found[0].length - 1
  const items: string[] = []
  let isPlain = true
  TOKEN.lastIndex = open + 1
  for (let token = TOKEN.exec(text); token; token = TOKEN.exec(text)) {
    const [all, double, single] = token
    const end = token.index + all.length
    if (all === ']') return { key, open, end, isClosed: true, items, isPlain }
    const item = double ?? single
    if (item?.includes(MASK)) isPlain = false
    else if (item !== undefined) items.push(item)
    else if (!/^[#\s,]/.test(all)) isPlain = false
  }
  return { key, open, end: text.length, isClosed: false, items, isPlain }
}
