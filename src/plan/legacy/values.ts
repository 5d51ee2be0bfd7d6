// What the options that a person set for other modules come to with ours.

import { groupBy, uniqueBy } from '../../collections.ts'
import type { ConfigurationFile } from '../../configuration/imports.ts'
import { isPlain } from '../../lints/bindings.ts'
import { findingPlace } from '../../lints/finding.ts'
import {
  type Entry,
  type EntryItem,
  plainStringOf,
  spellingOf,
  type View,
  viewsOf
} from '../../lints/view.ts'
import type { AttrPath } from '../../nix/index.ts'
import { startsWith } from '../../nix/path.ts'
import type { Result } from '../../nix/result.ts'
import type { OptionChange } from '../../settings/options.ts'
import { parseDevice, parseDeviceNode } from '../../settings/parse.ts'
import type { Obstacle } from '../problem.ts'
import { findOwnUses } from '../removal/uses.ts'
import { writtenNames } from './module.ts'

/** What to do about options of the known modules. */
const ADVICE: readonly [RegExp, string][] = [
  [/\.deviceDomains$/, 'name the devices in virtualisation.vfio.addresses instead'],
  [/\.enableNestedVirt$/, 'take it out: KVM lets guests have guests by itself since Linux 4.20'],
  [/\.disablePCIeASPM$/, 'write boot.kernelParams = [ "pcie_aspm=off" ]; instead'],
  [
    /\.scopedHooks$/,
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
  [/\.kvmfr\.shm(?:\..*)?$/, 'write virtualisation.kvmfr.devices = [ { size = …; } ]; instead']
]

/** Options outside ours that nixos-vfio has; as a flake's module it is not at hand to be read. */
const OF_NIXOS_VFIO: readonly AttrPath[] = [
  ['virtualisation', 'libvirtd', 'scopedHooks'],
  ['virtualisation', 'libvirtd', 'qemu', 'domains'],
  ['virtualisation', 'libvirtd', 'qemu', 'networks']
]

/** The places that need options which go: `others`, and those among our own that ours don't declare. */
export function unknownOptions(
  files: readonly ConfigurationFile[],
  known: { own: readonly AttrPath[]; declared: readonly AttrPath[] },
  others: readonly AttrPath[]
): Obstacle[] {
  return files.flatMap(({ path, text, doc }) => {
    const unknown = doc
      .leaves()
      .map(it => writtenNames(it.path.slice(it.path[0] === 'specialisation' ? 3 : 0)))
      .filter(it => known.own.some(own => startsWith(it, own)) && !isDeclared(it, known.declared))
    const options = [...others, ...OF_NIXOS_VFIO, ...unknown]
    const uses = findOwnUses(doc, path, { options, files: new Set() })
    return uses.map(({ kind, name, node: { start, end } }) => ({
      ...{ kind: 'option', path, text, range: { start, end } },
      what: `vfio-patch has no ${name}, which is ${kind === 'reading' ? 'read' : 'set'} here`,
      advice:
        ADVICE.find(([pattern]) => pattern.test(name))?.[1] ??
        'take it out, or declare it in a module of your own under another name'
    }))
  })
}

function isDeclared(option: AttrPath, declared: readonly AttrPath[]): boolean {
  if (declared.some(it => startsWith(it, option))) return true
  const found = declared.find(it => startsWith(option, it))
  const inside = found && option[found.length + 1]
  const isFile = option[1] === 'sharedMemoryFiles' && inside !== undefined
  return found !== undefined && (!isFile || MEMORY_FILE.has(inside))
}

/** What becomes different with our modules, and a person has to know. */
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

interface LegacyValues {
  /** Values that our options don't take. */
  obstacles: Obstacle[]
  /** What has to be set so that the rest means the same. */
  wanted: OptionChange[]
  notes: TakeOverNote[]
}

/** What the values come to that are set in the files that stay, the configuration first; `legacy` go. */
export function legacyValues(
  files: readonly ConfigurationFile[],
  legacy: readonly ConfigurationFile[]
): LegacyValues {
  const values = valuesIn(files)
  const pages = pageSizes(values, files[0]?.path)
  const groups = inputGroup(values)
  const notes = notesOn(values, legacy)
  if (groups.length > 0) notes.push({ code: 'INPUT_GROUP' })
  return {
    obstacles: [...wrongValues(values), ...pages.obstacles],
    wanted: [...pages.wanted, ...pageCounts(values), ...groups],
    notes
  }
}

/** What is set in any boot entry; once, though every entry has what the system says. */
function valuesIn(files: readonly ConfigurationFile[]) {
  const views = viewsOf(files, { ours: true })
  const once = <T extends Entry | EntryItem>(find: (view: View) => readonly T[]): T[] =>
    uniqueBy(views.flatMap(find), it => {
      const { path, range } = findingPlace(it)
      return `${path}\0${range.start}`
    })
  return {
    at: (option: string) => once(it => it.at(option)),
    below: (option: string) => once(it => it.below(option)),
    items: (option: string) => once(it => it.items(option)),
    says: (option: string, value: boolean) => once(it => it.says(option, value))
  }
}

type SetValues = ReturnType<typeof valuesIn>

function refusal(at: Entry | EntryItem, what: string, advice: string): Obstacle {
  const { file } = 'entry' in at ? at.entry : at
  return { kind: 'value', ...findingPlace(at), text: file.doc.text, what, advice }
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

/** The options of a file in /dev/shm, and their values. */
const MEMORY_FILE: ReadonlyMap<string, RegExp> = new Map([
  ['name', NAME],
  ['user', NAME],
  ['group', NAME],
  ['mode', /^[0-7]{3,4}$/]
])

function wrongValues({ at, below, items }: SetValues): Obstacle[] {
  const types = at('virtualisation.vfio.IOMMUType').filter(
    it => !['intel', 'amd', undefined].includes(plainStringOf(it))
  )
  const wrongItems = (option: string, parse: (text: string) => Result<unknown, unknown>) =>
    items(option).filter(({ text }) => text !== undefined && isPlain(text) && !parse(text).ok)
  return [
    ...types.map(it =>
      refusal(it, 'IOMMUType takes "intel" or "amd"', 'write one of these, or take it out')
    ),
    ...wrongItems('virtualisation.vfio.devices', parseDevice).map(it =>
      refusal(it, `"${it.text}" is not a PCI ID`, 'write it like 10de:1b80')
    ),
    ...wrongItems('virtualisation.libvirtd.deviceACL', parseDeviceNode).map(it =>
      refusal(it, `"${it.text}" is not a device node`, 'write it like /dev/kvmfr0, or take it out')
    ),
    ...below('virtualisation.sharedMemoryFiles').flatMap(it => {
      const [name, value] = [it.path.at(-1) ?? '', plainStringOf(it)]
      if (value === undefined || MEMORY_FILE.get(name)?.test(value) !== false) return []
      const what = `"${value}" can't be the ${name} of a file in /dev/shm`
      return [refusal(it, what, 'write it plainly, such as alice, kvm, 0660')]
    })
  ]
}

const NUM_PAGES = 'virtualisation.hugepages.numPages'

/** The sizes of huge pages that there are, in other words than those of our options. */
const PAGE_SIZES: ReadonlyMap<string, string> = new Map([
  ['2m', '2M'],
  ['2048k', '2M'],
  ['1g', '1G'],
  ['1024m', '1G'],
  ['1048576k', '1G']
])

/** Page sizes as our options have them, in the configuration; in another file it is for the person. */
function pageSizes(
  { at }: SetValues,
  configuration: string | undefined
): Pick<LegacyValues, 'wanted' | 'obstacles'> {
  const wanted: OptionChange[] = []
  const obstacles: Obstacle[] = []
  const hasNumber = (it: Entry) => /^[1-9][0-9]*$/.test(spellingOf(it))
  const options = ['defaultPageSize', 'pageSize'].map(it => `virtualisation.hugepages.${it}`)
  for (const it of options.flatMap(at)) {
    const size = plainStringOf(it)
    const isHere = it.file.path === configuration
    if (size === undefined || size === '2M' || size === '1G') continue
    // HUGEPAGES_1M replaces 1M, where the number of pages can be read.
    if (/^1m$/i.test(size) && isHere && at(NUM_PAGES).every(hasNumber)) continue
    const value = PAGE_SIZES.get(size.toLowerCase())
    if (value !== undefined && isHere) wanted.push({ kind: 'value', path: it.fullPath, value })
    else {
      const advice = 'write "2M" or "1G", and see to numPages'
      obstacles.push(refusal(it, `there are no huge pages of ${size}`, advice))
    }
  }
  return { wanted, obstacles }
}

/** One page, which was the default of the other module. */
function pageCounts({ at, says }: SetValues): OptionChange[] {
  if (at(NUM_PAGES).length > 0) return []
  return says('virtualisation.hugepages.enable', true).map(({ fullPath }) => ({
    kind: 'default',
    path: [...fullPath.slice(0, -1), 'numPages'],
    value: 1
  }))
}

/** The group `input` for QEMU's own user, where a guest has input devices and is not run as root. */
function inputGroup({ says, items }: SetValues): OptionChange[] {
  const names = ['qemu.runAsRoot', 'qemuRunAsRoot'].map(it => `virtualisation.libvirtd.${it}`)
  if (names.flatMap(it => says(it, false)).length === 0) return []
  return items('virtualisation.libvirtd.deviceACL')
    .filter(it => it.text?.startsWith('/dev/input/'))
    .map(({ entry: { fullPath, path } }) => {
      const around = fullPath.slice(0, fullPath.length - path.length)
      const option = [...around, 'users', 'users', 'qemu-libvirtd', 'extraGroups']
      return { kind: 'items', path: option, items: ['input'] }
    })
}

function notesOn({ says, below }: SetValues, legacy: readonly ConfigurationFile[]): TakeOverNote[] {
  const notes: TakeOverNote[] = []
  const isOn = (name: string) => says(`virtualisation.vfio.${name}`, true).length > 0
  if (isOn('disableEFIfb')) notes.push({ code: 'DARK_BOOT' })
  if (isOn('applyACSpatch')) notes.push({ code: 'NO_ACS_PATCH' })
  const group = /SUBSYSTEM=="vfio"[^\n]*GROUP="/
  if (isOn('enable') && legacy.some(it => group.test(it.text)))
    notes.push({ code: 'NO_DEVICE_GROUP' })
  const files = groupBy(below('virtualisation.sharedMemoryFiles'), it => it.path[2] ?? '')
  const names = [...files.keys()].filter(name => {
    const said = files.get(name)?.map(it => it.path[3]) ?? []
    return !said.includes('group') || !said.includes('mode')
  })
  if (names.length > 0) notes.push({ code: 'SHARED_BY_KVM', names })
  return notes
}
