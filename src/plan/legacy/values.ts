// What the values that a person set for modules of somebody else come to with ours.

import { isPlain } from '../../lints/bindings.ts'
import { type Entry, type EntryItem, plainStringOf, spellingOf, viewsOf } from '../../lints/view.ts'
import { type AttrPath, formatPath, type NixDocument, type Range } from '../../nix/index.ts'
import { spellPath, startsWith } from '../../nix/path.ts'
import type { Result } from '../../nix/result.ts'
import type { Wanted } from '../../settings/options.ts'
import { parseDevice, parseDeviceNode } from '../../settings/parse.ts'
import type { Obstacle } from '../problem.ts'
import { findOwnUses } from '../removal/uses.ts'

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
  files: readonly StayingFile[],
  configuration: StayingFile,
  theirs: readonly StayingFile[]
): OldValues {
  const values = valuesIn(files)
  const pages = pageSizes(values, configuration)
  const groups = inputGroup(values)
  return {
    obstacles: [
      ...wrongTypes(values),
      ...wrongItems(values),
      ...wrongMemoryFiles(values),
      ...pages.obstacles
    ],
    wanted: [...pages.wanted, ...pageCounts(values), ...groups],
    notes: [
      ...takeOverNotes(values, theirs),
      ...(groups.length > 0 ? [{ code: 'INPUT_GROUP' as const }] : [])
    ]
  }
}

/** What is set in any boot entry, each place once though every entry has what the system says. */
export interface SetValues {
  at(option: string): Entry[]
  below(option: string): Entry[]
  items(option: string): EntryItem[]
  /** The definitions that say true. */
  on(option: string): Entry[]
}

function valuesIn(files: readonly StayingFile[]): SetValues {
  const views = viewsOf(files, { ours: true })
  const unique = (entries: Entry[]) => uniqueBy(entries, it => `${it.file.path}\0${it.value.start}`)
  return {
    at: option => unique(views.flatMap(it => it.at(option))),
    below: option => unique(views.flatMap(it => it.below(option))),
    items: option =>
      uniqueBy(
        views.flatMap(it => it.items(option)),
        it => `${it.entry.file.path}\0${it.node.start}`
      ),
    on: option => unique(views.flatMap(it => it.says(option, true)))
  }
}

/** Of those with the same key the last one, in the place of the first. */
function uniqueBy<T>(all: readonly T[], keyOf: (it: T) => string): T[] {
  return [...new Map(all.map(it => [keyOf(it), it])).values()]
}

function refusal(at: Entry | EntryItem, what: string, advice: string): Obstacle {
  const [{ path, doc }, { start, end }] =
    'entry' in at ? [at.entry.file, at.node] : [at.file, at.value]
  return { kind: 'value', path, text: doc.text, range: { start, end }, what, advice }
}

function wrongTypes({ at }: SetValues): Obstacle[] {
  return at('virtualisation.vfio.IOMMUType')
    .filter(it => {
      const type = plainStringOf(it)
      return type !== undefined && type !== 'intel' && type !== 'amd'
    })
    .map(it =>
      refusal(it, 'IOMMUType takes "intel" or "amd"', 'write one of these, or take it out')
    )
}

function wrongItems({ items }: SetValues): Obstacle[] {
  const wrong = (
    option: string,
    parse: (text: string) => Result<unknown, unknown>,
    what: string,
    advice: string
  ) =>
    items(option).flatMap(it =>
      it.text === undefined || !isPlain(it.text) || parse(it.text).ok
        ? []
        : [refusal(it, `"${it.text}" is not a ${what}`, advice)]
    )
  return [
    ...wrong('virtualisation.vfio.devices', parseDevice, 'PCI ID', 'write it like 10de:1b80'),
    ...wrong(
      'virtualisation.libvirtd.deviceACL',
      parseDeviceNode,
      'device node',
      'write it like /dev/kvmfr0, or take it out'
    )
  ]
}

const MEMORY_FILE: ReadonlyMap<string, RegExp> = new Map([
  ['name', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/],
  ['user', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/],
  ['group', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/],
  ['mode', /^[0-7]{3,4}$/]
])

function wrongMemoryFiles({ below }: SetValues): Obstacle[] {
  return below('virtualisation.sharedMemoryFiles').flatMap(it => {
    const name = it.path.at(-1) ?? ''
    const literal = plainStringOf(it)
    if (literal === undefined || (MEMORY_FILE.get(name)?.test(literal) ?? true)) return []
    return [
      refusal(
        it,
        `"${literal}" can't be the ${name} of a file in /dev/shm`,
        'write it plainly, such as alice, kvm, 0660'
      )
    ]
  })
}

const NUM_PAGES = 'virtualisation.hugepages.numPages'

/** Page sizes as our options spell them, in the configuration; in another file it is for the person. */
function pageSizes(
  { at }: SetValues,
  configuration: StayingFile
): { wanted: Wanted[]; obstacles: Obstacle[] } {
  const wanted: Wanted[] = []
  const obstacles: Obstacle[] = []
  const entries = ['defaultPageSize', 'pageSize'].flatMap(it =>
    at(`virtualisation.hugepages.${it}`)
  )
  for (const it of entries) {
    const size = plainStringOf(it)
    const right = size === undefined ? undefined : pageSizeOf(size)
    if (size === undefined || size === right) continue
    const isHere = it.file.path === configuration.path
    // What is 1M is mended with the rest of what is obsolete, where the number can be told.
    if (/^1m$/i.test(size) && isHere && at(NUM_PAGES).every(hasNumber)) continue
    if (right !== undefined && isHere) {
      wanted.push({ kind: 'value', path: it.fullPath, value: right })
    } else {
      const advice = 'write "2M" or "1G", and see to numPages'
      obstacles.push(refusal(it, `there are no huge pages of ${size}`, advice))
    }
  }
  return { wanted, obstacles }
}

/** A page size as our options spell it. */
function pageSizeOf(size: string): '2M' | '1G' | undefined {
  if (/^(?:2m|2048k)$/i.test(size)) return '2M'
  return /^(?:1g|1024m|1048576k)$/i.test(size) ? '1G' : undefined
}

function hasNumber(entry: Entry): boolean {
  return /^[1-9][0-9]*$/.test(spellingOf(entry))
}

/** One page, which was the number of theirs where none is set. */
function pageCounts({ at, on }: SetValues): Wanted[] {
  if (at(NUM_PAGES).length > 0) return []
  return on('virtualisation.hugepages.enable').map(({ fullPath }) => ({
    kind: 'default',
    path: [...fullPath.slice(0, -1), 'numPages'],
    value: 1
  }))
}

/** The group `input` for QEMU's own user, where a guest has input devices and is not run as root. */
function inputGroup({ at, items }: SetValues): Wanted[] {
  const runsAsUser = ['qemu.runAsRoot', 'qemuRunAsRoot'].some(it =>
    at(`virtualisation.libvirtd.${it}`).some(entry => spellingOf(entry) === 'false')
  )
  if (!runsAsUser) return []
  const inputs = items('virtualisation.libvirtd.deviceACL').filter(it =>
    it.text?.startsWith('/dev/input/')
  )
  return inputs.map(({ entry: { fullPath, path } }) => {
    const option = ['users', 'users', 'qemu-libvirtd', 'extraGroups']
    const around = fullPath.slice(0, fullPath.length - path.length)
    return { kind: 'items', path: [...around, ...option], items: ['input'] }
  })
}

// What a person set or reads of modules of somebody else that ours don't have.

/** A file that stays, and its text. */
export interface StayingFile {
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
  files: readonly StayingFile[],
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
      if (!known.own.some(it => startsWith(option, it)) || isKnown(option, known)) continue
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
  const written = option.filter(name => name !== undefined)
  if (declared.some(it => startsWith(it, written))) return true
  const found = declared.find(it => startsWith(option, it))
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

function rangeOf({ start, end }: Range): Range {
  return { start, end }
}

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

/** What changes by what is set, and by what the modules that go did, `theirs`. */
export function takeOverNotes(
  { on, below }: Pick<SetValues, 'on' | 'below'>,
  theirs: readonly { text: string }[]
): TakeOverNote[] {
  const notes: TakeOverNote[] = []
  const vfio = (name: string) => on(`virtualisation.vfio.${name}`).length > 0
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
