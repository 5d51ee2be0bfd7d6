import { uniqueBy } from '../collections.ts'
import { expr } from '../nix/index.ts'
import { passesDevices } from './bindings.ts'
import { type Finding, type Fix, findingAt, placeWithin } from './finding.ts'
import { MASK } from './values.ts'
import { type Entry, type EntryText, isSince, spellingOf, together, type View } from './view.ts'

const LIBVIRTD = 'virtualisation.libvirtd'
const VERBATIM = [`${LIBVIRTD}.qemu.verbatimConfig`, `${LIBVIRTD}.qemuVerbatimConfig`]

/** What libvirt and QEMU are told. */
export function lintLibvirt(view: View): Finding[] {
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

function ovmf(view: View): Finding[] {
  if (!isSince(view, '25.11')) return []
  const option = `${LIBVIRTD}.qemu.ovmf`
  const gone = [`${LIBVIRTD}.qemuOvmf`, `${LIBVIRTD}.qemuOvmfPackage`]
  const entries = [...view.at(option), ...view.below(option), ...gone.flatMap(view.at)]
  const set = entries.filter(it => spellingOf(it) !== 'null')
  // Once for each set, with the first of its options.
  const parentOf = ({ fullPath, path }: Entry) =>
    fullPath.slice(0, fullPath.length - Math.max(0, path.length - 4))
  return uniqueBy(set, it => [it.file.path, ...parentOf(it)].join('\0')).map(it =>
    findingAt(it, {
      code: 'OVMF_OPTION',
      level: 'problem',
      message: 'NixOS has no options for OVMF any more',
      why: 'since 25.11 all firmware that comes with QEMU is there by itself, and the build stops where one of these is set.',
      remedy: "take it out; in the domain, <os firmware='efi'> finds the firmware without a path",
      fix: [{ op: 'drop', path: parentOf(it) }]
    })
  )
}

const RENAMED: readonly (readonly [string, string])[] = [
  ['qemuPackage', 'package'],
  ['qemuRunAsRoot', 'runAsRoot'],
  ['qemuVerbatimConfig', 'verbatimConfig'],
  ['qemuSwtpm', 'swtpm.enable']
]

function renamed(view: View): Finding[] {
  return RENAMED.flatMap(([old, now]) =>
    view.at(`${LIBVIRTD}.${old}`).map(it =>
      findingAt(it, {
        code: 'RENAMED_OPTION',
        level: 'note',
        message: `${LIBVIRTD}.${old} is called qemu.${now} now`,
        why: 'NixOS still understands the old name, and warns at each build.',
        remedy: `write ${LIBVIRTD}.qemu.${now}`,
        fix: [
          { op: 'rename', path: it.fullPath, to: [...parentPath(it), 'qemu', ...now.split('.')] }
        ]
      })
    )
  )
}

/** What QEMU can not do without, of the list that every libvirt has. */
const NEEDED = ['/dev/null', '/dev/zero', '/dev/urandom', '/dev/ptmx']

/** In the list up to libvirt 11, so up to NixOS 25.11; libvirt 12 adds it to a guest that uses KVM. */
const KVM = '/dev/kvm'

/** What the list of some libvirt has besides. A device that does not exist does no harm in it. */
const USUAL = ['/dev/full', '/dev/random', '/dev/userfaultfd']

/** `cgroup_device_acl` replaces libvirt's own list. */
function incompleteList(view: View): Finding[] {
  const needed = [...NEEDED, ...(isSince(view, '26.05') ? [] : [KVM])]
  return VERBATIM.flatMap(view.texts).flatMap(at => {
    const list = listIn(at.text, 'cgroup_device_acl')
    if (!list) return []
    const { text } = at.entry.file.doc
    // Where the list is computed, the devices may stand anywhere in the file.
    const areAvailable = (it: string) =>
      list.items.includes(it) || (!list.isPlain && new RegExp(`${it}(?![\\w./-])`).test(text))
    const missing = needed.filter(it => !areAvailable(it))
    if (missing.length === 0) return []
    return findingAt(placeWithin(at, list.key, 'cgroup_device_acl'.length), {
      code: 'ACL_INCOMPLETE',
      level: 'problem',
      message: `cgroup_device_acl leaves out ${missing.join(', ')}`,
      why: "this list takes the place of libvirt's own, so QEMU may not open what is missing, and guests do not start.",
      remedy:
        'put only your own devices into virtualisation.libvirtd.deviceACL (vfio-patch apply --device-acl …), and take this out; or add what is missing',
      fix: completing(at, list)
    })
  })
}

/**
 * The fix that writes what a list lacks of the devices of any libvirt right after its bracket; none where
 * the value is more than that text, or the list is computed or has no end.
 */
function completing({ entry, node, text, start }: EntryText, list: ConfList): Fix | undefined {
  const spelling = node.text
  const isWhole = entry.conditions.length === 0 && spellingOf(entry) === spelling
  if (!isWhole || !list.isPlain || !list.isClosed || !spelling.startsWith("''")) return undefined
  const [indent] = /^[ \t]*\n[ \t]*(?=\S)/.exec(text.slice(list.open + 1, list.end - 1)) ?? [' ']
  const missing = [...NEEDED, KVM, ...USUAL].filter(it => !list.items.includes(it))
  const devices = missing.map(it => `"${it}"`).join(', ')
  const behind = start - node.start + list.open + 1
  const written = `${indent}${devices}${list.items.length === 0 ? '' : ','}`
  const value = expr(spelling.slice(0, behind) + written + spelling.slice(behind))
  return [{ op: 'set', path: entry.fullPath, value }]
}

function storePaths(view: View): Finding[] {
  return VERBATIM.flatMap(view.texts).flatMap(at => {
    const found = /\/nix\/store\/[^"\s:]+/.exec(at.text)
    if (!found) return []
    return findingAt(placeWithin(at, found.index, found[0].length), {
      code: 'STORE_PATH',
      level: 'problem',
      message: 'a path in the Nix store stands in qemu.conf',
      why: 'it is gone after an update and a garbage collection, and then the guest does not start.',
      remedy: /ovmf/i.test(found[0])
        ? 'take it out: libvirt finds the firmware that comes with QEMU by itself'
        : 'name the package instead, for example ${pkgs.qemu}'
    })
  })
}

/** The first definition of this option takes the place of a default that has this setting. */
function namespaces(view: View): Finding[] {
  const texts = VERBATIM.flatMap(view.texts)
  const entries = VERBATIM.flatMap(view.at)
  const [first] = texts
  // Of what is computed nobody knows what it says.
  if (!first || entries.length !== texts.length) return []
  if (texts.some(it => /^[ \t]*namespaces\b/m.test(it.text) || /^\W*$/.test(it.text))) return []
  const { path, fullPath } = first.entry
  // Under the old name it is fixed once it has the new one.
  const isFixable =
    first.conditions.length === 0 && texts.length === 1 && path.at(-1) === 'verbatimConfig'
  return [
    findingAt(first.entry, {
      code: 'NAMESPACES',
      level: 'problem',
      message: 'this loses the setting namespaces = [] that NixOS has for QEMU',
      why: 'its default is discarded where the option is set. Then each QEMU gets a /dev of its own, without devices that come later or that libvirt does not know.',
      remedy: 'add a line: namespaces = []',
      fix: isFixable ? [{ op: 'add-line', path: fullPath, line: 'namespaces = []' }] : undefined
    })
  ]
}

function shutdown(view: View): Finding[] {
  if (!passesDevices(view)) return []
  const option = `${LIBVIRTD}.onShutdown`
  const said = {
    code: 'SHUTDOWN_SUSPENDS',
    message:
      'guests are to be saved when the host shuts down, which one with a passed device can not be',
    why: 'the host waits for it in vain, and then the guest is killed.',
    remedy: `set ${option} = "shutdown";`
  } as const
  const wrong = view.at(option).filter(it => spellingOf(it) === '"suspend"')
  if (wrong.length > 0) {
    return wrong.map(it =>
      findingAt(it, {
        ...said,
        level: 'problem',
        fix: [{ op: 'set', path: it.fullPath, value: 'shutdown' }]
      })
    )
  }
  const isOurs = view.facts.ours && view.says('virtualisation.vfio.enable', true).length > 0
  if (isOurs || !view.isWhole || view.at(option).length > 0) return []
  return view
    .says(`${LIBVIRTD}.enable`, true)
    .slice(0, 1)
    .map(it =>
      findingAt(it, {
        ...said,
        level: 'note',
        message:
          'when the host shuts down, guests are saved unless onShutdown says otherwise; one with a passed device can not be',
        fix: [{ op: 'set', path: [...parentPath(it), 'onShutdown'], value: 'shutdown' }]
      })
    )
}

function parentPath({ fullPath }: Entry): string[] {
  return fullPath.slice(0, -1)
}

/** With nftables the firewall of NixOS drops what guests ask the host's DHCP and DNS. */
function network(view: View): Finding[] {
  const enabled = view.says(`${LIBVIRTD}.enable`, true)
  const hasFirewall = view.says('networking.firewall.enable', false).length === 0
  if (!view.isWhole || enabled.length === 0 || !hasFirewall) return []
  // Who names bridges or interfaces has a network of their own for guests.
  const own = ['networking.bridges', 'networking.firewall.trustedInterfaces']
  if (own.some(it => view.at(it).length + view.below(it).length > 0)) return []
  if (view.files.some(it => it.doc.text.includes('virbr'))) return []
  const firewalls = view
    .says('networking.nftables.enable', true)
    .filter(it => enabled.some(other => together(it, other)))
  return firewalls.map(it =>
    findingAt(it, {
      code: 'GUEST_NETWORK',
      level: 'note',
      message: "guests on libvirt's default network may get no address",
      why: 'with nftables the firewall of NixOS does not let through what guests ask the host for.',
      remedy: 'if a guest has no network: networking.firewall.trustedInterfaces = [ "virbr0" ];'
    })
  )
}

// Lists in the text of libvirt's qemu.conf.

/** A list that a key of qemu.conf has. All offsets are those of the text. */
interface ConfList {
  /** The offset of the key. */
  key: number
  /** The offset of the opening bracket. */
  open: number
  /** The offset after the closing bracket, or the end of the text if there is none. */
  end: number
  isClosed: boolean
  /** The strings in it, without quotation marks. Comments are left out. */
  items: readonly string[]
  /** Whether it consists of strings, commas, comments and blanks only, so that nothing of it is computed. */
  isPlain: boolean
}

const TOKEN = /#[^\n]*|\\?"([^"\n]*?)\\?"|'([^'\n]*)'|[\s,]+|\]|[\s\S]/y

/**
 * The first list that `name` has in a text of qemu.conf, of which libvirt takes the first; undefined where
 * there is none. A quotation mark may be spelled with a backslash, as in a Nix string on one line.
 */
export function listIn(text: string, name: string): ConfList | undefined {
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
