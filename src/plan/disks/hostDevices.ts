// The disks that a configuration uses for its host, as its text names them.

import { innerModule } from '../../configuration/bootEntries.ts'
import type { SourceFile } from '../../configuration/files.ts'
import type { PassedDisk } from '../../guests/needs/disks.ts'
import type { PlacedUse } from '../../machine/disks.ts'
import { devicePath, filePath, udevName } from '../../machine/disks.ts'
import type { Machine } from '../../machine/machine.ts'
import type { NixDocument, SyntaxNode } from '../../nix/index.ts'
import { bindingsOf, isSet, namesOf, unparenthesised } from '../../nix/syntax/nodes.ts'
import { letValueOf } from '../../nix/syntax/scope.ts'
import { stringValue } from '../../nix/syntax/strings.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { StoragePool } from './sharedFolders.ts'

/** A disk, or a pool of ZFS, that a configuration uses. */
export interface HostDevice {
  /** `disk` is one that disko manages as a whole, `boot` one that the boot loader is written to. */
  kind: 'mount' | 'swap' | 'luks' | 'resume' | 'boot' | 'disko' | 'pool'
  /** The mount point, the name of the mapping or of the disk for disko; blank where that is unknown. */
  name: string
  /** As `devicePath` gives it, or `filePath` for a file that is swap or an image; of a pool its name. */
  device: string
  at: { path: string; line: number }
  /** The specialisation that uses it; blank for every boot entry. */
  entry: string
}

type Found = Pick<HostDevice, 'kind' | 'name'> & { device: string | undefined; start: number }

/**
 * All disks that the files of a configuration mount, unlock, swap or resume from, install a boot loader to, or
 * have disko manage, and the pools that they import; in the order of the files. What counts only under a
 * condition is among them, also what is not mounted at the start. A device that has to be computed is left out.
 */
export function hostDevices(files: readonly SourceFile[]): HostDevice[] {
  return files.flatMap(({ path, text, doc }) => {
    const leaves = withEntries(doc)
      .leaves()
      .map(it => ({ ...split(it.path), value: it.value }))
    const off = leaves
      .filter(it => it.option.length === 3 && it.option[2] === 'enable')
      .filter(it => it.value.text === 'false')
      .map(it => `${it.entry} ${it.option[1]}`)
    const mountsWith = (option: string, pattern: RegExp) =>
      leaves
        .filter(it => it.option[0] === 'fileSystems' && it.option[2] === option)
        .filter(it => stringsInValue(it.value).some(at => pattern.test(at.text)))
        .map(it => it.option[1])
    const mounts = {
      zfs: mountsWith('fsType', /^zfs$/),
      bound: mountsWith('options', /^r?bind$/)
    }
    return leaves
      .filter(
        it => !(it.option[0] === 'fileSystems' && off.includes(`${it.entry} ${it.option[1]}`))
      )
      .flatMap(({ entry, option, value }) => {
        const strings = () => stringsInValue(value)
        return devicesAt(option, strings, mounts).flatMap(({ start, device, ...it }) =>
          device === undefined
            ? []
            : [{ ...it, device, entry, at: { path, line: placeOf(text, start).line } }]
        )
      })
  })
}

/** The document with the modules of specialisations that are written as functions as if they were sets. */
function withEntries(doc: NixDocument): NixDocument {
  const entries = doc.leaves().filter(({ path }) => isEntry(path) && path.length === 3)
  return entries.reduce((now, { path }) => {
    const names = path.filter(it => it !== undefined)
    return names.length === path.length ? (innerModule(now, names)?.doc ?? now) : now
  }, doc)
}

type Names = readonly (string | undefined)[]

function isEntry(path: Names): boolean {
  return path[0] === 'specialisation' && path[2] === 'configuration'
}

function split(path: Names): { entry: string; option: Names } {
  return isEntry(path)
    ? { entry: path[1] ?? '', option: path.slice(3) }
    : { entry: '', option: path }
}

/** The mount points that are of one kind by another option: datasets of ZFS, and folders at a second place. */
interface Mounts {
  zfs: Names
  bound: Names
}

/** What one option says. */
function devicesAt(option: Names, strings: () => KeyedString[], mounts: Mounts): Found[] {
  const [first, second, third] = option
  const is = (...names: string[]) => names.every((it, i) => option[i] === it)
  if (is('fileSystems')) {
    return fileSystem(second ?? '', third, strings(), {
      isZfs: mounts.zfs.includes(second),
      isBound: mounts.bound.includes(second)
    })
  }
  if (is('swapDevices')) return swap(strings())
  if (is('boot', 'initrd', 'luks', 'devices')) return luks(option.slice(4), strings())
  if (is('boot', 'resumeDevice')) return strings().map(it => found('resume', '', it))
  if (is('boot', 'zfs', 'extraPools')) return strings().map(it => pool(it.text, it.start))
  if (is('boot', 'loader', 'grub')) return grub(option[3], strings)
  if (is('boot', 'kernelParams')) return strings().flatMap(parameter)
  if (is('disko', 'devices', 'disk')) return disko(option, strings())
  if (first === 'environment' && second === 'etc' && third === 'crypttab') {
    return strings().flatMap(crypttab)
  }
  const isUnits = is('systemd', 'mounts') || is('boot', 'initrd', 'systemd', 'mounts')
  return isUnits ? units(strings()) : []
}

function found(kind: HostDevice['kind'], name: string, { text, start }: KeyedString): Found {
  return { kind, name, device: devicePath(text), start }
}

/** The same, also for a file, such as one for swap or an image that is mounted. */
function foundFile(kind: HostDevice['kind'], name: string, it: KeyedString): Found {
  const { device = filePath(it.text), ...more } = found(kind, name, it)
  return { ...more, device }
}

function pool(dataset: string, start: number): Found {
  const [name = ''] = dataset.split('/')
  return { kind: 'pool', name, device: name, start }
}

function labelled(kind: HostDevice['kind'], name: string, { text, start }: KeyedString): Found {
  return { kind, name, device: `/dev/disk/by-label/${udevName(text)}`, start }
}

/**
 * `option` is the one of the mount point, where it is not a whole set. A dataset is one of ZFS (`isZfs`), and
 * what is bound is no file system of its own.
 */
function fileSystem(
  point: string,
  option: string | undefined,
  strings: readonly KeyedString[],
  { isZfs, isBound }: { isZfs: boolean; isBound: boolean }
): Found[] {
  const isOnZfs = isZfs || strings.some(it => it.key === 'fsType' && it.text === 'zfs')
  return strings.flatMap((it): Found[] => {
    const key = it.key ?? option
    if (key === 'label') return [labelled('mount', point, it)]
    if (key === 'mountPoint' || key === 'fsType' || key === 'keyFile') return []
    if (key === 'options') {
      const device = /^device=(.+)$/.exec(it.text)?.[1]
      return device === undefined ? [] : [found('mount', point, { ...it, text: device })]
    }
    if (isOnZfs && !it.text.startsWith('/')) return [pool(it.text, it.start)]
    // bcachefs names all its members at once; paths of udev have colons of their own.
    const isFile = key === 'device' && !isBound
    const name = isFile ? foundFile : found
    return it.text.split(/:(?=\/dev\/)/).map(part => name('mount', point, { ...it, text: part }))
  })
}

function swap(strings: readonly KeyedString[]): Found[] {
  // What is encrypted has the name of its mapping as a label there.
  const encrypted = strings.filter(it => it.key === 'blkDev').map(it => it.within)
  return strings.flatMap((it): Found[] => {
    if (it.key === 'label') {
      return encrypted.includes(it.within) ? [] : [labelled('swap', '', it)]
    }
    const isDevice = it.key === undefined || it.key === 'device' || it.key === 'blkDev'
    return isDevice ? [foundFile('swap', '', it)] : []
  })
}

function luks(rest: Names, strings: readonly KeyedString[]): Found[] {
  const nameIn = (within: number) =>
    strings.find(it => it.key === 'name' && it.within === within)?.text
  return strings
    .filter(it => it.key !== 'name')
    .map(it => found('luks', rest[0] ?? nameIn(it.within) ?? '', it))
}

function grub(option: string | undefined, strings: () => KeyedString[]): Found[] {
  if (!['device', 'devices', 'mirroredBoots'].includes(option ?? '')) return []
  return strings()
    .filter(it => it.key === undefined || it.key === 'devices')
    .map(it => found('boot', '', it))
}

function parameter(it: KeyedString): Found[] {
  const [, name, device = ''] = /^(resume|root)=(.+)$/.exec(it.text) ?? []
  if (name === undefined) return []
  const kind = name === 'root' ? 'mount' : 'resume'
  return [found(kind, name === 'root' ? '/' : '', { ...it, text: device })]
}

function disko(option: Names, strings: readonly KeyedString[]): Found[] {
  const isDevice = option.length === 5 && option[4] === 'device'
  return strings
    .filter(it => (isDevice ? it.key === undefined : option.length < 5 && it.key === 'device'))
    .map(it => found('disko', option[3] ?? '', it))
}

/** A line is a name, a device, and more. */
function crypttab({ text, start, ...rest }: KeyedString): Found[] {
  return text
    .split('\n')
    .filter(it => !it.trim().startsWith('#'))
    .flatMap(line => {
      const [name = '', device] = line.trim().split(/\s+/)
      return device === undefined ? [] : [found('luks', name, { ...rest, text: device, start })]
    })
}

function units(strings: readonly KeyedString[]): Found[] {
  const whereIn = (within: number) =>
    strings.find(it => it.key === 'where' && it.within === within)?.text
  return strings
    .filter(it => it.key === 'what')
    .map(it => found('mount', whereIn(it.within) ?? '', it))
}

// What the disks of a guest are held against, and what comes of that.

/** What is known of the host. */
export interface DiskHost {
  /** Undefined where the configuration is another machine's. */
  machine: Machine | undefined
  /** Whether the machine was read from a dump, which lacks names that would tell it from others. */
  isDump: boolean
  /** Where the links of a path lead to. */
  follow(path: string): string
  /** A storage pool of libvirt; undefined where nobody says. */
  poolCalled(name: string): StoragePool | undefined
  /** The disks that the configuration uses. */
  devices: readonly HostDevice[]
  /** The specialisation that the guest is for; blank for every boot entry. */
  entry: string
}

/** What the host does with a disk: the machine says it, or the configuration at a place. */
export type DiskUse = ({ by: 'machine' } & PlacedUse) | ({ by: 'configuration' } & HostDevice)

/** A disk that the host uses. */
export interface UsedDisk {
  disk: PassedDisk
  /** What names it: a path, or an address. */
  name: string
  /** Never empty, but for a shared folder of the system (`folder`). */
  uses: readonly DiskUse[]
  folder?: string
}

/** A disk that the host may use, or one that is used and can only be read. */
export type DiskNote = { disk: PassedDisk; name: string } & DiskDoubt

export type DiskDoubt =
  | { code: 'DISK_READ'; uses: readonly DiskUse[] }
  | { code: 'DISK_IN_FLOPPY'; uses: readonly DiskUse[] }
  /** Another boot entry uses it. */
  | { code: 'DISK_OF_ENTRY'; uses: readonly DiskUse[] }
  /** The configuration is another machine's; or the machine tells nothing of its disks. */
  | { code: 'DISK_UNSEEN' }
  /** The dump does not say which disk that is, or which one the configuration means by `devices`. */
  | { code: 'DISK_NOT_IN_DUMP'; devices: readonly HostDevice[] }
  | { code: 'DISK_MISSING' }
  | { code: 'DISK_REMOVABLE' }
  /** It holds something that the host may open, in the words of libblkid. */
  | { code: 'DISK_DORMANT'; content: string }
  /** The host has a pool of ZFS, and nobody says on which disks. */
  | { code: 'DISK_MAY_BE_POOL' }
  /** Its name may be that of one of the host's disks after the next start; `link` is a name that stays. */
  | { code: 'DISK_RENUMBERED'; link: string | undefined; others: readonly string[] }
  /** Nobody says what the storage pool is made of. */
  | { code: 'VOLUME_UNSEEN' }

export interface JudgedDisks {
  used: UsedDisk[]
  notes: DiskNote[]
}

// The strings in the value of an option, with the name of the attribute that each is the value of.

/** A string in a value. */
interface KeyedString {
  /** The innermost attribute around it inside the value; undefined where it is in none. */
  key: string | undefined
  text: string
  /** Its offset in the file. */
  start: number
  /** The set or list item that it is in, to tell what belongs together; its offset. */
  within: number
}

// As deep as variables that stand for each other are followed.
const MOST_STEPS = 5

/**
 * Every string in a value, in source order, also those in lists, sets and arguments of functions, under a
 * condition or not. Variables of a `let` in the same file count with their value, alone, in `a + b` and in
 * `"${a}…"`. What can't be known without evaluation is left out.
 */
function stringsInValue(value: SyntaxNode): KeyedString[] {
  return collect(value, { key: undefined, within: value.start, opened: new Set() })
}

/** Where a value is: the name and the set or item that it is in, and the variables that led to it. */
interface Surroundings extends Pick<KeyedString, 'key' | 'within'> {
  opened: Set<number>
}

function collect(value: SyntaxNode, around: Surroundings): KeyedString[] {
  const { key, within, opened } = around
  const node = unparenthesised(value)
  const known = computed(node, MOST_STEPS)
  if (known !== undefined) return [{ key, text: known, start: node.start, within }]
  if (isSet(node)) {
    return bindingsOf(node).flatMap(it => {
      const inner = it.type === 'binding' ? it.field('expression') : undefined
      const key = namesOf(it).at(-1)
      return inner ? collect(inner, { key, within: node.start, opened }) : []
    })
  }
  if (node.type === 'variable_expression') {
    const given = letValueOf(node)
    // A value can hold its own variable.
    if (!given || opened.has(given.start)) return []
    opened.add(given.start)
    return collect(given, around)
  }
  return node.children.flatMap(it => collect(it, around))
}

/** The text that a value comes to; undefined for what is no text, or can't be known here. */
function computed(value: SyntaxNode, steps: number): string | undefined {
  const node = unparenthesised(value)
  if (steps === 0) return undefined
  const plain = stringValue(node)
  if (plain !== undefined) return plain
  if (node.type === 'variable_expression') {
    const given = letValueOf(node)
    return given && computed(given, steps - 1)
  }
  if (node.type === 'binary_expression' && node.field('operator')?.type === '+') {
    const [left, right] = [node.field('left'), node.field('right')].map(
      it => it && computed(it, steps)
    )
    return left === undefined || right === undefined ? undefined : left + right
  }
  return node.type === 'string_expression' ? interpolated(node, steps) : undefined
}

function interpolated(node: SyntaxNode, steps: number): string | undefined {
  const text = node.documentText
  let result = ''
  let at = node.start + 1
  for (const it of node.children.filter(child => child.type === 'interpolation')) {
    const inner = it.field('expression')
    const value = inner && computed(inner, steps)
    if (value === undefined) return undefined
    result += text.slice(at, it.start) + value
    at = it.end
  }
  return result + text.slice(at, node.end - 1)
}
