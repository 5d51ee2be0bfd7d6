// Reads from the text of a configuration which disks the host uses.

import { innerModule } from '../../configuration/bootEntries.ts'
import type { SourceFile } from '../../configuration/files.ts'
import type { PassedDisk } from '../../guests/needs/disks.ts'
import type { BlockDeviceUse } from '../../machine/disks.ts'
import { devicePath, filePath, udevName } from '../../machine/disks.ts'
import type { Machine } from '../../machine/machine.ts'
import type { NixDocument, SyntaxNode } from '../../nix/index.ts'
import { bindingsOf, isSet, namesOf, unparenthesized } from '../../nix/syntax/nodes.ts'
import { letValueOf } from '../../nix/syntax/scope.ts'
import { stringValue } from '../../nix/syntax/strings.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { StoragePool } from './sharedFolders.ts'

/** A disk or a ZFS pool that a configuration uses. */
export interface ConfiguredDevice {
  /** `disko`: disko manages the whole disk. `boot`: the boot loader is installed to it. */
  kind: 'mount' | 'swap' | 'luks' | 'resume' | 'boot' | 'disko' | 'pool'
  /** The mount point, the name of the mapping, or disko's name of the disk; empty if unknown. */
  name: string
  /** The result of `devicePath`, or of `filePath` for a swap file or an image; the name of a pool. */
  device: string
  at: { path: string; line: number }
  /** The specialisation that uses it; empty for every boot entry. */
  entry: string
}

type Found = Pick<ConfiguredDevice, 'kind' | 'name'> & { device: string | undefined; start: number }

/**
 * The disks and pools that the files use, in the order of the files: mounted, unlocked, swap, resume device, target of
 * a boot loader, managed with disko, or an imported pool. Includes conditional definitions, and file systems that are
 * not mounted at boot. Omits computed devices.
 */
export function configuredDevices(files: readonly SourceFile[]): ConfiguredDevice[] {
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

/** The document in which every specialisation that is a function is replaced with the attribute set that it returns. */
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

/** The mount points whose kind is set by another option: ZFS datasets and bind mounts. */
interface Mounts {
  zfs: Names
  bound: Names
}

/** The devices in the value of one option. */
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

function found(kind: ConfiguredDevice['kind'], name: string, { text, start }: KeyedString): Found {
  return { kind, name, device: devicePath(text), start }
}

/** Like `found`, but also for files, such as swap files and mounted images. */
function foundFile(kind: ConfiguredDevice['kind'], name: string, it: KeyedString): Found {
  const { device = filePath(it.text), ...more } = found(kind, name, it)
  return { ...more, device }
}

function pool(dataset: string, start: number): Found {
  const [name = ''] = dataset.split('/')
  return { kind: 'pool', name, device: name, start }
}

function labelled(
  kind: ConfiguredDevice['kind'],
  name: string,
  { text, start }: KeyedString
): Found {
  return { kind, name, device: `/dev/disk/by-label/${udevName(text)}`, start }
}

/**
 * The devices of a mount point. `option` is the option below the mount point, undefined for a whole set. Bind mounts
 * (`isBound`) are not file systems of their own.
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
    // bcachefs separates its members with colons, but udev's paths contain colons too.
    const isFile = key === 'device' && !isBound
    const name = isFile ? foundFile : found
    return it.text.split(/:(?=\/dev\/)/).map(part => name('mount', point, { ...it, text: part }))
  })
}

function swap(strings: readonly KeyedString[]): Found[] {
  // The label of encrypted swap is the name of its mapping, not a file system label.
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

/** A line has a name, a device and further fields. */
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

// What a guest's disks are compared with, and the result.

/** The host, as far as it is known. */
export interface DiskHost {
  /** Undefined if the configuration is for another machine. */
  machine: Machine | undefined
  /** Whether the machine was read from a dump, which lacks names that identify a machine. */
  isDump: boolean
  /** The path with symlinks resolved. */
  follow(path: string): string
  /** The libvirt storage pool of this name; undefined if unknown. */
  poolCalled(name: string): StoragePool | undefined
  /** The disks that the configuration uses. */
  devices: readonly ConfiguredDevice[]
  /** The specialisation of the guest; empty for every boot entry. */
  entry: string
}

/** A use of a disk by the host, found on the machine or in the configuration. */
export type DiskUse =
  | ({ by: 'machine' } & BlockDeviceUse)
  | ({ by: 'configuration' } & ConfiguredDevice)

/** A disk that the host uses. */
export interface UsedDisk {
  disk: PassedDisk
  /** The disk as messages name it. */
  name: string
  /** Empty only for a shared system folder (`folder`). */
  uses: readonly DiskUse[]
  folder?: string
}

/** A disk that the host uses or may use, but that the plan does not refuse. */
export type DiskNote = { disk: PassedDisk; name: string } & DiskDoubt

export type DiskDoubt =
  /** The host uses it, but the guest can only read it. */
  | { code: 'DISK_READ'; uses: readonly DiskUse[] }
  /** The host uses it, and it is a floppy disk of the guest, which can overwrite it. */
  | { code: 'DISK_IN_FLOPPY'; uses: readonly DiskUse[] }
  /** Another boot entry uses it. */
  | { code: 'DISK_OF_ENTRY'; uses: readonly DiskUse[] }
  /** The configuration is for another machine, or the machine's data has no disks. */
  | { code: 'DISK_UNSEEN' }
  /** The dump does not show which disk it is, or which disks the `devices` in the configuration are. */
  | { code: 'DISK_NOT_IN_DUMP'; devices: readonly ConfiguredDevice[] }
  | { code: 'DISK_MISSING' }
  | { code: 'DISK_REMOVABLE' }
  /** The host may open its content, which is named as in libblkid. */
  | { code: 'DISK_DORMANT'; content: string }
  /** The host has a ZFS pool on unknown disks. */
  | { code: 'DISK_MAY_BE_POOL' }
  /** After the next boot, one of the host's disks (`others`) may have this name; `link` is a persistent name. */
  | { code: 'DISK_RENUMBERED'; link: string | undefined; others: readonly string[] }
  /** The devices of the storage pool are unknown. */
  | { code: 'VOLUME_UNSEEN' }

export interface JudgedDisks {
  used: UsedDisk[]
  notes: DiskNote[]
}

// The strings in the value of an option, each with the name of its attribute.

/** A string in a value. */
interface KeyedString {
  /** The innermost attribute around it inside the value; undefined if there is none. */
  key: string | undefined
  text: string
  /** Its offset in the file. */
  start: number
  /** The offset of the set or list item around it: strings with the same offset belong together. */
  within: number
}

// Maximum number of variables to follow in a row.
const MAX_STEPS = 5

/**
 * Every string in a value in source order, also in lists, sets, function arguments and conditions. A variable of a
 * `let` in the same file is replaced with its value if it is alone, in `a + b` or in `"${a}…"`. Omits strings that
 * can't be known without evaluation.
 */
function stringsInValue(value: SyntaxNode): KeyedString[] {
  return collect(value, { key: undefined, within: value.start, opened: new Set() })
}

/** The attribute and the set around a value, and the offsets of the variables that were followed to it. */
interface Surroundings extends Pick<KeyedString, 'key' | 'within'> {
  opened: Set<number>
}

function collect(value: SyntaxNode, around: Surroundings): KeyedString[] {
  const { key, within, opened } = around
  const node = unparenthesized(value)
  const known = computed(node, MAX_STEPS)
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
    // A value may contain its own variable.
    if (!given || opened.has(given.start)) return []
    opened.add(given.start)
    return collect(given, around)
  }
  return node.children.flatMap(it => collect(it, around))
}

/** The string that a value evaluates to; undefined for other values, or if it can't be known here. */
function computed(value: SyntaxNode, steps: number): string | undefined {
  const node = unparenthesized(value)
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
