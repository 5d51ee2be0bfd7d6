// Replaces user-chosen names with placeholders. Keeps common names such as `enp5s0`, `nvme0n1p2` and `/home`.

import { type Recording, recordedText } from '../source.ts'

/** The kinds of names that placeholders replace. */
export type NameKind =
  | 'net'
  | 'bridge'
  | 'input'
  | 'luks'
  | 'vg'
  | 'lv'
  | 'map'
  | 'array'
  | 'block'
  | 'disk'
  | 'label'
  | 'partlabel'
  | 'path'
  | 'pool'
  | 'set'
  | 'mount'
  | 'swap'
  | 'entry'
  | 'profile'
  | 'driver'
  | 'value'
  | 'other'
  | 'number'

export interface Placeholders {
  /**
   * The placeholder for a name: `net1`, `net2` in the order of first use, unique for each kind. Returns a name in the
   * form of a placeholder unchanged, so that a dump of a dump is identical.
   */
  of(kind: NameKind, name: string): string
  /** The number that replaces a value in the same format, such as a UUID; `known` if it already is a placeholder. */
  number(name: string, known: string | undefined): number
  /** The number of replaced names of each kind. */
  counts(): ReadonlyMap<NameKind, number>
}

/** Creates placeholders that the recording doesn't contain yet. */
export function placeholdersFor(recording: Recording): Placeholders {
  const taken = takenIn(recording)
  const known = new Map<string, number>()
  const last = new Map<NameKind, number>()
  const counted = new Map<NameKind, number>()
  const next = (kind: NameKind, key: string): number => {
    const before = known.get(`${kind} ${key}`)
    if (before !== undefined) return before
    let number = (last.get(kind) ?? 0) + 1
    while (taken.has(`${kind}${number}`)) number++
    last.set(kind, number)
    known.set(`${kind} ${key}`, number)
    counted.set(kind, (counted.get(kind) ?? 0) + 1)
    return number
  }
  return {
    of: (kind, name) => (isPlaceholder(kind, name) ? name : placeholder(kind, next(kind, name))),
    number: (name, known) =>
      known === undefined ? next('number', name.toLowerCase()) : Number(known),
    counts: () => counted
  }
}

/** A placeholder is the kind and a number, except for mount points, swap files and the first input device. */
function placeholder(kind: NameKind, number: number): string {
  if (kind === 'mount') return `/mnt/${number}`
  if (kind === 'swap') return `/swap${number}`
  return kind === 'input' && number === 1 ? kind : `${kind}${number}`
}

/** True for a name in the form of a placeholder of this kind. */
export function isPlaceholder(kind: NameKind, name: string): boolean {
  if ((kind === 'input' || kind === 'pool') && name === kind) return true
  const number = /(?<![0-9])[1-9]\d{0,5}$/.exec(name)?.[0]
  return number !== undefined && placeholder(kind, Number(number)) === name
}

/** The placeholders in a recording, for example in the recording of a dump. */
function takenIn(recording: Recording): Set<string> {
  const taken = new Set<string>()
  const look = (text: string) => {
    for (const [, kind, number] of text.matchAll(/(?<![a-z])([a-z]+)([1-9]\d{0,5})(?!\d)/g)) {
      if (kind !== 'input') taken.add(`${kind}${number}`)
    }
    // The kernel's names of input devices have the same form, so look only at quoted names.
    for (const [, number] of text.matchAll(/"input(\d*)"/g)) taken.add(`input${number || 1}`)
    for (const [, number] of text.matchAll(/\/mnt\/([1-9]\d{0,5})(?!\d)/g)) {
      taken.add(`mount${number}`)
    }
    for (const [number] of text.matchAll(MASKED_IDENTIFIER)) {
      taken.add(`number${Number(/\d+$/.exec(number)?.[0])}`)
    }
  }
  for (const [path, entry] of recording) {
    look(path)
    if (typeof entry === 'object') look('link' in entry ? entry.link : entry.text)
  }
  return taken
}

const MASKED_IDENTIFIER =
  /00000000-0000-0000-0000-\d{12}|00:00:00:00:00:\d\d|\b0{20}\d{12}\b|x0{6}\d{6}\b/g

/** A function for each kind of name; the same name always gets the same replacement. */
export interface Masks {
  /** A network interface. */
  interface(name: string): string
  /** The kernel's name of a block device. */
  block(name: string): string
  /** The name of a mapping in `/dev/mapper`. */
  mapping(name: string): string
  /** A path below `/dev`. */
  device(path: string): string
  /** A ZFS pool or dataset: `pool/a/b`. */
  dataset(name: string): string
  mount(point: string): string
  swap(path: string): string
  input(name: string): string
  /** A specialisation. */
  entry(name: string): string
  /** A system profile. */
  profile(name: string): string
  driver(name: string): string
  /** A kernel without its local suffix: `6.18.2`, `6.19.0-rc3`. */
  kernel(version: string): string
  /** UUIDs, hardware addresses and store paths in any text. */
  identifiers(text: string): string
}

/** The masks for a recording, which shows, for example, which mapping is an LVM volume. */
export function masksFor(
  recording: Recording,
  names: Placeholders,
  drivers: ReadonlySet<string>
): Masks {
  const identifiers = identifierMask(names)
  const devices = deviceMasks(names, kindsOfMappings(recording), identifiers)
  return {
    ...devices,
    identifiers,
    interface: name => {
      if (INTERFACE_WITH_MAC.test(name)) return identifiers(name)
      if (KNOWN_INTERFACE.test(name)) return name
      const isBridge = recording.has(`/sys/class/net/${name}/bridge/stp_state`)
      return names.of(isBridge ? 'bridge' : 'net', name)
    },
    mount: point => (KNOWN_MOUNT_POINT.test(point) ? point : names.of('mount', point)),
    swap: path => (path.startsWith('/dev/') ? devices.device(path) : names.of('swap', path)),
    input: name => (isProduct(name) ? name : names.of('input', name)),
    profile: name => (name === 'system' ? name : names.of('profile', name)),
    entry: name => (KNOWN_ENTRY.test(name) ? name : names.of('entry', name)),
    driver: name => (drivers.has(name.replaceAll('-', '_')) ? name : names.of('driver', name)),
    kernel: version => /^\d+(?:\.\d+)*(?:-rc\d+)?/.exec(version)?.[0] ?? 'unknown'
  }
}

function deviceMasks(
  names: Placeholders,
  kinds: ReadonlyMap<string, MappingKind>,
  identifiers: Masks['identifiers']
): Pick<Masks, 'block' | 'mapping' | 'dataset' | 'device'> {
  const block = (name: string) => {
    if (KNOWN_BLOCK_DEVICE.test(name)) return name
    // An array is called `md_NAME`, where NAME is its name in /dev/md.
    const array = /^md_(.+)$/.exec(name)?.[1]
    return array === undefined ? names.of('block', name) : `md_${names.of('array', array)}`
  }
  const volume = (group: string, name: string) => {
    const isMasked = /^vg[1-9]\d* lv[1-9]\d*$/.test(`${group} ${name}`)
    return `${names.of('vg', group)}-${names.of('lv', isMasked ? name : `${group}/${name}`)}`
  }
  const mapping = (name: string): string => {
    if (LUKS_MAPPING_WITH_UUID.test(name)) return identifiers(name)
    const [, group, inner] = /^((?:[^-]|--)+)-((?:[^-]|--)+)$/.exec(name) ?? []
    const kind = kinds.get(name) ?? (group !== undefined ? 'lvm' : 'other')
    if (kind === 'luks') return names.of('luks', name)
    if (kind === 'lvm' && group !== undefined && inner !== undefined) {
      return volume(group.replaceAll('--', '-'), inner.replaceAll('--', '-'))
    }
    return names.of('map', name)
  }
  const dataset = (name: string) => {
    const [pool = '', ...rest] = name.split('/')
    const inner = rest.map((it, i) =>
      names.of('set', /^set[1-9]\d*$/.test(it) ? it : [pool, ...rest.slice(0, i + 1)].join('/'))
    )
    return [names.of('pool', pool), ...inner].join('/')
  }
  const array = (name: string) => (/^(?:md)?\d+$/.test(name) ? name : names.of('array', name))
  const link = linkMask(names, { mapping, array, identifiers })
  const device = (path: string): string => {
    const [first = '', ...rest] = path.replace(/^\/dev\//, '').split('/')
    const [second, ...more] = rest
    if (second === undefined) {
      return `/dev/${kinds.has(first) ? mapping(first) : block(first)}`
    }
    if (first === 'disk') return `/dev/disk/${second}/${link(second, more.join('/'))}`
    if (first === 'mapper') return `/dev/mapper/${mapping(second)}`
    if (first === 'md') return `/dev/md/${array(second)}`
    if (first === 'zvol') return `/dev/zvol/${dataset(rest.join('/'))}`
    if (first === 'block' || first === 'cciss') return `/dev/${first}/${block(second)}`
    return `/dev/${volume(first, rest.join('/')).replace('-', '/')}`
  }
  return { block, mapping, dataset, device }
}

/** The mask for a name in `/dev/disk/FOLDER`, where `folder` is `by-id`, `by-uuid`, etc. */
function linkMask(
  names: Placeholders,
  {
    mapping,
    array,
    identifiers
  }: Record<'mapping' | 'array' | 'identifiers', (name: string) => string>
): (folder: string, name: string) => string {
  return (folder, name) => {
    const [, base = name, part = ''] = /^(.*?)(-part\d+)?$/s.exec(name) ?? []
    const [, bus = ''] = LINK_PREFIX.exec(base) ?? []
    const rest = base.slice(bus.length)
    switch (folder) {
      case 'by-id':
        if (bus === 'dm-name-') return `${bus}${mapping(rest)}${part}`
        if (bus === 'md-name-') return `${bus}${array(rest)}${part}`
        return `${bus}${names.of('disk', rest)}${part}`
      case 'by-uuid':
      case 'by-partuuid':
        return UUID.test(name) ? identifiers(name) : names.of('disk', name)
      case 'by-label':
        return names.of('label', name)
      case 'by-partlabel':
        return names.of('partlabel', name)
      default:
        return KNOWN_PATH.test(base) ? name : `${names.of('path', base)}${part}`
    }
  }
}

type MappingKind = 'luks' | 'lvm' | 'other'

/** The kind of each mapping, which matters because an LVM volume's mapping also contains the name of its group. */
function kindsOfMappings(recording: Recording): Map<string, MappingKind> {
  const kinds = new Map<string, MappingKind>()
  const text = (path: string) => recordedText(recording.get(path))?.trim()
  const typeOf = (name: string) => {
    const facts = text(`/run/udev/data/b${text(`/sys/class/block/${name}/dev`)}`) ?? ''
    return /^E:ID_FS_TYPE=(.*)$/m.exec(facts)?.[1]
  }
  for (const path of recording.keys()) {
    const device = /^\/sys\/class\/block\/(dm-\d+)\/dm\/name$/.exec(path)?.[1]
    const name = device === undefined ? '' : text(path)
    if (name === undefined || name === '') continue
    const slaves = `/sys/class/block/${device}/slaves/`
    const below = [...recording.keys()].filter(it => it.startsWith(slaves))
    const types = below.map(it => typeOf(it.slice(slaves.length)))
    const id = text(`/sys/class/block/${device}/dm/uuid`) ?? ''
    if (types.includes('crypto_LUKS') || /^CRYPT\b/.test(id)) kinds.set(name, 'luks')
    else if (types.includes('LVM2_member') || /^LVM\b/.test(id)) kinds.set(name, 'lvm')
    // Without udev's data, the form of the name decides.
    else if (types.some(it => it !== undefined)) kinds.set(name, 'other')
    else kinds.delete(name)
  }
  return kinds
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const LUKS_MAPPING_WITH_UUID = /^luks-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const INTERFACE_WITH_MAC = /^(?:en|wl|ww)x[0-9a-f]{12}$/

/** Names of interfaces that udev derives from their place, and the usual names from the kernel and programs. */
const KNOWN_INTERFACE =
  /^(?:lo|(?:en|wl|ww|ib|sl)(?:o\d+|b\d+|v\d+|(?:P\d+)?(?:s\d+|p\d+s\d+)(?:f\d+)?(?:u\d+)*(?:c\d+)?(?:i\d+)?(?:v\d+)?(?:r\d+)?(?:d\d+|np?\d+)?)|(?:eth|wlan|wwan|usb|ifb|gre|gretap|erspan|sit|ip6tnl|ip_vti|ip6_vti|tunl|br|virbr|vnet|tap|tun|bond|team|dummy|wg|docker|lxcbr|lxdbr|macvtap|veth|ib)\d+)$/

const KNOWN_BLOCK_DEVICE =
  /^(?:(?:[shv]d|xvd)[a-z]{1,3}\d*|nvme\d+(?:c\d+)?n\d+(?:p\d+)?|mmcblk\d+(?:boot\d+|rpmb|p\d+)?|(?:dm-|sr|fd|zd|nbd|bcache|rbd|drbd|loop|ram|zram|disk|scd)\d+(?:p\d+)?|md_?d?\d+(?:p\d+)?|pmem\d+(?:\.\d+)?s?(?:p\d+)?|cciss!c\d+d\d+(?:p\d+)?|mtdblock\d+)$/

const LINK_PREFIX =
  /^(ata-|nvme-|scsi-|usb-|mmc-|wwn-|virtio-|ieee1394-|memstick-|dm-name-|dm-uuid-|md-name-|md-uuid-|lvm-pv-uuid-|nvme-eui\.|nvme-uuid\.)/

/** Paths of controllers and ports. Excludes iSCSI, where paths contain server names. */
const KNOWN_PATH =
  /^(?:platform-[0-9A-Za-z_.:]{1,20}-)?pci-[0-9a-f:.]+(?:-(?:ata|nvme|usb(?:v[23])?|scsi|sas|virtio|mmc|sd)[0-9a-fx:.-]*)*$/

const KNOWN_MOUNT_POINT =
  /^\/(?:boot(?:\/efi)?|efi|home|nix(?:\/store|\/persist)?|persist|root|srv|tmp|usr|var(?:\/(?:lib|log|tmp))?)?$/

/** Names of boot entries that vfio-patch proposes, and generic names. */
const KNOWN_ENTRY =
  /^(?:(?:no-?)?(?:vfio|gpu|vms?|guests?|passthrough|passthru|virtuali[sz]ation)(?:-?(?:passthrough|passthru|vfio|\d+))?)$/i

/** Words in the product names of keyboards and mice. A name with other words may be of a person or a phone. */
const PRODUCT_WORDS = new Set(
  `logitech logi microsoft dell hp hewlett-packard lenovo apple cherry keychron corsair razer steelseries asus
   asustek rog acer msi gigabyte roccat hyperx ducky das leopold filco varmilo glorious trust genius chicony
   holtek sino wealth sem sonix sunplus kensington a4tech yubico thinkpad trackpoint elite pro mini plus max lite
   usb ps/2 hid unifying nano optical laser wired wireless bluetooth gaming mechanical ergonomic multimedia
   media compact receiver dongle keyboard keyboards mouse touchpad trackball trackpad consumer system control
   device controller headset at translated set button power sleep lid switch video bus pc speaker inc inc. corp
   corp. corporation ltd ltd. co co. co., gmbh and for with g pro x k m`.split(/\s+/)
)

function isProduct(name: string): boolean {
  return name
    .split(/[\s,()]+/)
    .every(it => PRODUCT_WORDS.has(it.toLowerCase()) || /^(?:[A-Z]{0,3}\d{1,5}[A-Z]?|)$/.test(it))
}

/** Replaces unique values with numbers in the same format. */
function identifierMask(names: Placeholders): (text: string) => string {
  const digits = (it: string, form: RegExp, length: number) => {
    const plain = it.replaceAll(':', '')
    return String(names.number(plain, form.exec(plain)?.[1])).padStart(length, '0')
  }
  return text =>
    text
      .replace(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, it => {
        return `00000000-0000-0000-0000-${digits(it, /^[0-]{24}(\d{12})$/, 12)}`
      })
      .replace(/\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/gi, it => {
        return digits(it, /^(0{6}\d{6})$/, 12).replace(/..(?=.)/g, '$&:')
      })
      .replace(/\b(enx|wlx|wwx)([0-9a-f]{12})\b/g, (_, kind, it) => {
        return `${kind}${digits(it, /^(0{6}\d{6})$/, 12)}`
      })
      .replace(/\/nix\/store\/([0-9a-z]{32})-([^/\s]*)/g, (_, it, name) => {
        return `/nix/store/${digits(it, /^(0{20}\d{12})$/, 32)}-${storeName(name)}`
      })
}

/** The kind of a store path, without names of hosts and of the user's packages: `nixos-system`, `linux-6.18.2`. */
function storeName(name: string): string {
  if (name.startsWith('nixos-system')) return 'nixos-system'
  const [, what, version] =
    /^((?:initrd-)?linux)(?:-[a-z]+)*?-(\d+(?:\.\d+)*(?:-rc\d+)?)/.exec(name) ?? []
  const end = name.endsWith('-modules') ? '-modules' : ''
  if (what !== undefined) return `${what}-${version}${end}`
  return /^(?:initrd-)?linux/.test(name)
    ? `${name.startsWith('initrd') ? 'initrd-' : ''}linux${end}`
    : 'package'
}
