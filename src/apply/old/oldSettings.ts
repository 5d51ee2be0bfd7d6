// What a person set for modules of somebody else, as ours read it.

import {
  type Entry,
  type EntryItem,
  spellingOf,
  type View,
  viewsOf
} from '../../lints/configuration.ts'
import { isPlain } from '../../lints/find.ts'
import { type AttrPath, formatPath, type NixDocument, type Range } from '../../nix/index.ts'
import { spellPath } from '../../nix/path.ts'
import { parseDevice, parseDeviceNode } from '../../vfio/parseSettings.ts'
import type { Wanted } from '../../vfio/wanted.ts'
import { beginsWith } from '../own/ownOptions.ts'
import { findOwnUses } from '../own/ownUses.ts'
import type { Obstacle } from '../problem.ts'

/** What becomes different where our modules take the place of others, and a person has to know. */
export type TakeOverNote =
  /** `disableEFIfb` writes another parameter, which has an effect. */
  | { code: 'DARK_BOOT' }
  /** `applyACSpatch` no longer patches the kernel. */
  | { code: 'NO_ACS_PATCH' }
  /** The group `kvm` may no longer open what is under /dev/vfio. */
  | { code: 'NO_DEVICE_GROUP' }
  /** QEMU's own user stays in the group `input`, where the other module had put it. */
  | { code: 'INPUT_GROUP' }
  /** These files in /dev/shm get another group and mode, as none was set. */
  | { code: 'SHARED_BY_KVM'; names: readonly string[] }

interface File {
  path: string
  text: string
  doc: NixDocument
}

interface Known {
  /** The options that only our modules declare. */
  own: readonly AttrPath[]
  /** All that our modules declare. */
  declared: readonly AttrPath[]
}

/**
 * The places that need options which are gone: `others`, that the modules of somebody else declare and
 * ours don't, and all below our options that nobody declares then.
 */
export function unknownOptions(
  files: readonly File[],
  known: Known,
  others: readonly AttrPath[]
): Obstacle[] {
  const all = [...others, ...HANDED_OUT]
  return files.flatMap(({ path, text, doc }) => {
    const uses = findOwnUses(doc, path, { options: all, files: new Set() })
    const found = new Map(
      uses.map(({ kind, name, node }) => [node.start, { kind, name, range: rangeOf(node) }])
    )
    for (const leaf of doc.leaves()) {
      const option = withoutBootEntry(leaf.path)
      if (!known.own.some(it => beginsWith(option, it)) || isKnown(option, known)) continue
      const [at] = [...doc.getIn(leaf.path as AttrPath), ...doc.getBelow(leaf.path as AttrPath)]
      const range = at ? rangeOf(at.binding) : rangeOf(leaf.value)
      const isSeen = [...found.values()].some(
        it => it.range.start <= range.start && range.end <= it.range.end
      )
      if (!isSeen) found.set(range.start, { kind: 'definition', name: spellPath(option), range })
    }
    return [...found.values()]
      .sort((a, b) => a.range.start - b.range.start)
      .map(({ kind, name, range }) => ({
        kind: 'option',
        path,
        text,
        range,
        what: `vfio-patch has no ${name}, which is ${kind === 'reading' ? 'read' : 'set'} here`,
        advice: adviceFor(name)
      }))
  })
}

/** Options outside ours that nixos-vfio has; where it comes from a flake, its declarations are not at hand. */
const HANDED_OUT: readonly AttrPath[] = [
  ['virtualisation', 'libvirtd', 'scopedHooks'],
  ['virtualisation', 'libvirtd', 'qemu', 'domains'],
  ['virtualisation', 'libvirtd', 'qemu', 'networks']
]

/** What a submodule of ours has. */
const INSIDE: ReadonlyMap<string, readonly string[]> = new Map([
  ['virtualisation.sharedMemoryFiles', ['name', 'user', 'group', 'mode']]
])

function isKnown(option: Names, { declared }: Known): boolean {
  // A set that is computed may hold what it likes; Nix will tell.
  if (
    declared.some(it =>
      beginsWith(
        it,
        option.filter(name => name !== undefined)
      )
    )
  )
    return true
  const found = declared.find(it => beginsWith(option, it))
  if (!found) return false
  const inside = INSIDE.get(formatPath(found))
  const name = option[found.length + 1]
  return inside === undefined || name === undefined || inside.includes(name)
}

/** What to do about options that went round with copies. */
const ADVICE: readonly [RegExp, string][] = [
  [/\.deviceDomains$/, 'name the devices in virtualisation.vfio.addresses instead'],
  [/\.(?:gpuIDs|pciIds|gpuPciIds|gpuIds)$/, 'write virtualisation.vfio.devices instead'],
  [/\.iommuType$/, 'write virtualisation.vfio.IOMMUType instead'],
  [/\.enableNestedVirt$/, 'take it out: KVM lets guests have guests by itself since Linux 4.20'],
  [/\.blacklistAMD$/, 'take it out: vfio-pci comes before amdgpu and radeon without a blacklist'],
  [/\.disablePCIeASPM$/, 'write boot.kernelParams = [ "pcie_aspm=off" ]; instead'],
  [
    /\.(?:scopedHooks|hook)$/,
    'write virtualisation.vfio.guests.<name>.prepare, started, stopped or release instead'
  ],
  [
    /\.qemu\.domains$/,
    'keep the XML of the guest in a file, and name it in virtualisation.vfio.guests.<name>.xml'
  ],
  [
    /\.sharedMemoryFiles\.[^.]+\.size$/,
    'take it out: the <shmem> of the guest says how big the file is'
  ],
  [/\.kvmfr\.shm(?:\..*)?$/, 'write virtualisation.kvmfr.devices = [ { size = …; } ]; instead'],
  [
    /\.(?:kernelParams|kernelModules)$/,
    'write them into boot.kernelParams or boot.kernelModules instead'
  ]
]

function adviceFor(name: string): string {
  const found = ADVICE.find(([pattern]) => pattern.test(name))
  return found?.[1] ?? 'take it out, or declare it in a module of your own under another name'
}

type Names = readonly (string | undefined)[]

/** The option as a boot entry of its own has it, too. */
function withoutBootEntry(path: Names): Names {
  return path[0] === 'specialisation' && path[2] === 'configuration' ? path.slice(3) : path
}

export interface OldValues {
  obstacles: Obstacle[]
  wanted: Wanted[]
  notes: TakeOverNote[]
}

/**
 * What the values come to that are set: those that our options don't take, what has to be added so that
 * the rest says the same, and what becomes different. `theirs` are the modules that go.
 */
export function oldValues(
  files: readonly File[],
  configuration: File,
  theirs: readonly File[]
): OldValues {
  const views = viewsOf(files, { ours: true })
  const at = (option: string) => unique(views.flatMap(it => it.at(option)))
  const below = (option: string) => unique(views.flatMap(it => it.below(option)))
  const items = (option: string) => uniqueItems(views.flatMap(it => it.items(option)))
  const says = (option: string) => views.some(it => it.says(option, true).length > 0)
  const obstacles: Obstacle[] = []
  const refuse = (
    { path, doc }: Pick<File, 'path' | 'doc'>,
    range: Range,
    what: string,
    advice: string
  ) => obstacles.push({ kind: 'value', path, text: doc.text, range, what, advice })
  const wanted: Wanted[] = []

  for (const it of at('virtualisation.vfio.IOMMUType')) {
    const literal = literalOf(it)
    if (literal === undefined || /^(?:intel|amd)$/.test(literal)) continue
    refuse(
      it.file,
      rangeOf(it.value),
      `IOMMUType takes "intel" or "amd"`,
      'write one of these, or take it out'
    )
  }
  for (const it of items('virtualisation.vfio.devices')) {
    if (it.text === undefined || !isPlain(it.text) || parseDevice(it.text).ok) continue
    refuse(
      it.entry.file,
      rangeOf(it.node),
      `"${it.text}" is not a PCI ID`,
      'write it like 10de:1b80'
    )
  }
  for (const it of items('virtualisation.libvirtd.deviceACL')) {
    if (it.text === undefined || !isPlain(it.text) || parseDeviceNode(it.text).ok) continue
    refuse(
      it.entry.file,
      rangeOf(it.node),
      `"${it.text}" is not a device node`,
      'write it like /dev/kvmfr0, or take it out'
    )
  }
  for (const it of below('virtualisation.sharedMemoryFiles')) {
    const name = it.path.at(-1) ?? ''
    const literal = literalOf(it)
    const may = MEMORY_FILE.get(name)
    if (literal === undefined || may === undefined || may.test(literal)) continue
    refuse(
      it.file,
      rangeOf(it.value),
      `"${literal}" can't be the ${name} of a file in /dev/shm`,
      'write it plainly, such as alice, kvm, 0660'
    )
  }
  for (const name of ['defaultPageSize', 'pageSize']) {
    for (const it of at(`virtualisation.hugepages.${name}`)) {
      const size = literalOf(it)
      const right = size === undefined ? undefined : pageSizeOf(size)
      if (size === undefined || size === right) continue
      const isHere = it.file.path === configuration.path
      // What is 1M is mended with the rest of what is obsolete, where the number can be told.
      if (/^1m$/i.test(size) && isHere && at(NUM_PAGES).every(hasNumber)) continue
      if (right !== undefined && isHere)
        wanted.push({ kind: 'value', path: it.fullPath, value: right })
      else
        refuse(
          it.file,
          rangeOf(it.value),
          `there are no huge pages of ${size}`,
          'write "2M" or "1G", and see to numPages'
        )
    }
  }
  if (at(NUM_PAGES).length === 0) {
    const enabled = unique(views.flatMap(it => it.says('virtualisation.hugepages.enable', true)))
    for (const { fullPath } of enabled) {
      wanted.push({ kind: 'default', path: [...fullPath.slice(0, -1), 'numPages'], value: 1 })
    }
  }
  const inputs = items('virtualisation.libvirtd.deviceACL').filter(it =>
    it.text?.startsWith('/dev/input/')
  )
  const runsAsUser = ['qemu.runAsRoot', 'qemuRunAsRoot'].some(it =>
    at(`virtualisation.libvirtd.${it}`).some(entry => spellingOf(entry) === 'false')
  )
  const opensInput = inputs.length > 0
  for (const { fullPath, path } of runsAsUser ? inputs.map(it => it.entry) : []) {
    const option = ['users', 'users', 'qemu-libvirtd', 'extraGroups']
    const around = fullPath.slice(0, fullPath.length - path.length)
    wanted.push({ kind: 'items', path: [...around, ...option], items: ['input'] })
  }
  const input: TakeOverNote[] = opensInput && runsAsUser ? [{ code: 'INPUT_GROUP' }] : []
  return { obstacles, wanted, notes: [...notesOn(says, below, theirs), ...input] }
}

const NUM_PAGES = 'virtualisation.hugepages.numPages'

const MEMORY_FILE: ReadonlyMap<string, RegExp> = new Map([
  ['name', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/],
  ['user', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/],
  ['group', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/],
  ['mode', /^[0-7]{3,4}$/]
])

/** A page size as our options spell it. */
function pageSizeOf(size: string): '2M' | '1G' | undefined {
  if (/^(?:2m|2048k)$/i.test(size)) return '2M'
  return /^(?:1g|1024m|1048576k)$/i.test(size) ? '1G' : undefined
}

function hasNumber(entry: Entry): boolean {
  return /^[1-9][0-9]*$/.test(spellingOf(entry))
}

function notesOn(
  says: (option: string) => boolean,
  below: View['below'],
  theirs: readonly File[]
): TakeOverNote[] {
  const notes: TakeOverNote[] = []
  const vfio = (name: string) => says(`virtualisation.vfio.${name}`)
  if (vfio('disableEFIfb')) notes.push({ code: 'DARK_BOOT' })
  if (vfio('applyACSpatch')) notes.push({ code: 'NO_ACS_PATCH' })
  const group = /SUBSYSTEM=="vfio"[^\n]*GROUP="/
  if (vfio('enable') && theirs.some(it => group.test(it.text)))
    notes.push({ code: 'NO_DEVICE_GROUP' })
  const option = 'virtualisation.sharedMemoryFiles'
  const entries = below(option)
  const names = [...new Set(entries.map(it => it.path[2] ?? ''))].filter(
    file =>
      !['group', 'mode'].every(it => entries.some(({ path }) => path[2] === file && path[3] === it))
  )
  if (names.length > 0) notes.push({ code: 'SHARED_BY_KVM', names })
  return notes
}

/** The text of a plain string. */
function literalOf(entry: Entry): string | undefined {
  return /^"([^"\\$]*)"$/.exec(spellingOf(entry))?.[1]
}

function unique(entries: readonly Entry[]): Entry[] {
  return [...new Map(entries.map(it => [`${it.file.path}\0${it.value.start}`, it])).values()]
}

function uniqueItems(items: readonly EntryItem[]): EntryItem[] {
  return [...new Map(items.map(it => [`${it.entry.file.path}\0${it.node.start}`, it])).values()]
}

function rangeOf({ start, end }: Range): Range {
  return { start, end }
}
