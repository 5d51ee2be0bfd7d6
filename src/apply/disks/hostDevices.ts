// The disks that a configuration uses for its host, as its text names them.

import { devicePath, filePath, udevName } from '../../host/devicePath.ts'
import { type NixDocument, parseDocument } from '../../nix/index.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { innerModule } from '../innerModule.ts'
import { type KeyedString, stringsInValue } from './valueStrings.ts'

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

/** A file of a configuration. */
interface ConfigurationFile {
  path: string
  text: string
}

type Found = Pick<HostDevice, 'kind' | 'name'> & { device: string | undefined; start: number }

/**
 * All disks that the files of a configuration mount, unlock, swap or resume from, install a boot loader to, or
 * have disko manage, and the pools that they import; in the order of the files. What counts only under a
 * condition is among them, also what is not mounted at the start. A device that has to be computed is left out.
 */
export function hostDevices(files: readonly ConfigurationFile[]): HostDevice[] {
  return files.flatMap(({ path, text }) => {
    const leaves = withEntries(parseDocument(text))
      .leaves()
      .map(it => ({ ...split(it.path), value: it.value }))
    const off = leaves
      .filter(it => it.option.length === 3 && it.option[2] === 'enable')
      .filter(it => text.slice(it.value.start, it.value.end) === 'false')
      .map(it => `${it.entry} ${it.option[1]}`)
    const mountsWith = (option: string, pattern: RegExp) =>
      leaves
        .filter(it => it.option[0] === 'fileSystems' && it.option[2] === option)
        .filter(it => stringsInValue(text, it.value).some(at => pattern.test(at.text)))
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
        const strings = () => stringsInValue(text, value)
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
