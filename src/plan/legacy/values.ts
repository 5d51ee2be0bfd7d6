// Checks which options that the user set for other modules have the same meaning in vfio-patch's modules.

import { groupBy, uniqueBy } from '../../collections.ts'
import type { ConfigurationFile } from '../../configuration/imports.ts'
import { hasNoInterpolation } from '../../lints/bindings.ts'
import { findingPlace } from '../../lints/finding.ts'
import {
  type BootEntryView,
  type DefinitionItem,
  type OptionDefinition,
  plainStringOf,
  valueText,
  viewsOf
} from '../../lints/view.ts'
import type { AttrPath } from '../../nix/index.ts'
import { literalNames, startsWith } from '../../nix/path.ts'
import type { Result } from '../../nix/result.ts'
import type { OptionChange } from '../../settings/options.ts'
import { parseDevice, parseDeviceNode } from '../../settings/parse.ts'
import {
  noSuchPageSize,
  unknownOption,
  wrongDeviceID,
  wrongDeviceNode,
  wrongIOMMUType,
  wrongSharedMemory
} from '../messages/takeOver.ts'
import type { Obstacle } from '../problem.ts'
import { findUses } from '../removal/uses.ts'

/** Further options of nixos-vfio. It is a module of a flake, so its declarations can't be read. */
const NIXOS_VFIO_OPTIONS: readonly AttrPath[] = [
  ['virtualisation', 'libvirtd', 'scopedHooks'],
  ['virtualisation', 'libvirtd', 'qemu', 'domains'],
  ['virtualisation', 'libvirtd', 'qemu', 'networks']
]

/** The uses of options that vfio-patch does not declare: `others`, and options below `exclusive` not in `declared`. */
export function unknownOptions(
  files: readonly ConfigurationFile[],
  known: { exclusive: readonly AttrPath[]; declared: readonly AttrPath[] },
  others: readonly AttrPath[]
): Obstacle[] {
  return files.flatMap(({ path, text, doc }) => {
    const unknown = doc
      .leaves()
      .map(it => literalNames(it.path.slice(it.path[0] === 'specialisation' ? 3 : 0)))
      .filter(
        it => known.exclusive.some(path => startsWith(it, path)) && !isDeclared(it, known.declared)
      )
    const options = [...others, ...NIXOS_VFIO_OPTIONS, ...unknown]
    const uses = findUses(doc, path, { options, files: new Set() })
    return uses.map(({ kind, name, node: { start, end } }) => ({
      ...{ kind: 'option', path, text, range: { start, end } },
      ...unknownOption(name, kind === 'reading' ? 'read' : 'set')
    }))
  })
}

function isDeclared(option: AttrPath, declared: readonly AttrPath[]): boolean {
  if (declared.some(it => startsWith(it, option))) return true
  const found = declared.find(it => startsWith(option, it))
  const inside = found && option[found.length + 1]
  const isFile = option[1] === 'sharedMemoryFiles' && inside !== undefined
  return found !== undefined && (!isFile || MEMORY_FILE_OPTIONS.has(inside))
}

/** A difference between the replaced modules and vfio-patch's modules about which the user should know. */
export type TakeOverNote =
  /** `disableEFIfb` now writes a kernel parameter that works, unlike the earlier one. */
  | { code: 'DARK_BOOT' }
  /** `applyACSpatch` no longer patches the kernel. */
  | { code: 'NO_ACS_PATCH' }
  /** The group `kvm` can no longer open the files in /dev/vfio. */
  | { code: 'NO_DEVICE_GROUP' }
  /** QEMU's user remains in the group `input`, to which the replaced module added it. */
  | { code: 'INPUT_GROUP' }
  /** These files in /dev/shm get another group or mode, because the configuration does not set both. */
  | { code: 'SHARED_BY_KVM'; names: readonly string[] }

interface LegacyValues {
  /** Values that vfio-patch's options do not accept. */
  obstacles: Obstacle[]
  /** Changes that preserve the meaning of the other values. */
  changes: OptionChange[]
  notes: TakeOverNote[]
}

/** Checks the values in the remaining files, the configuration first. `legacy` has the replaced modules. */
export function legacyValues(
  files: readonly ConfigurationFile[],
  legacy: readonly ConfigurationFile[]
): LegacyValues {
  const values = valuesIn(files)
  const pages = pageSizes(values, files[0]?.path)
  const groups = inputGroup(values)
  const notes = notesFor(values, legacy)
  if (groups.length > 0) notes.push({ code: 'INPUT_GROUP' })
  return {
    obstacles: [...wrongValues(values), ...pages.obstacles],
    changes: [...pages.changes, ...pageCounts(values), ...groups],
    notes
  }
}

/** Finds the values that are set in any boot entry; returns each definition once. */
function valuesIn(files: readonly ConfigurationFile[]) {
  const views = viewsOf(files, { importsModules: true })
  const once = <T extends OptionDefinition | DefinitionItem>(
    find: (view: BootEntryView) => readonly T[]
  ): T[] =>
    uniqueBy(views.flatMap(find), it => {
      const { path, range } = findingPlace(it)
      return `${path}\0${range.start}`
    })
  return {
    at: (option: string) => once(it => it.definitionsOf(option)),
    below: (option: string) => once(it => it.definitionsBelow(option)),
    items: (option: string) => once(it => it.itemsIn(option)),
    definitionsWith: (option: string, value: boolean) =>
      once(it => it.definitionsWith(option, value))
  }
}

type SetValues = ReturnType<typeof valuesIn>

function refusal(
  at: OptionDefinition | DefinitionItem,
  text: Pick<Obstacle, 'what' | 'advice'>
): Obstacle {
  const { file } = 'definition' in at ? at.definition : at
  return { kind: 'value', ...findingPlace(at), text: file.doc.text, ...text }
}

const VALID_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

/** The options of a file in /dev/shm, and their valid values. */
const MEMORY_FILE_OPTIONS: ReadonlyMap<string, RegExp> = new Map([
  ['name', VALID_NAME],
  ['user', VALID_NAME],
  ['group', VALID_NAME],
  ['mode', /^[0-7]{3,4}$/]
])

function wrongValues({ at, below, items }: SetValues): Obstacle[] {
  const types = at('virtualisation.vfio.IOMMUType').filter(
    it => !['intel', 'amd', undefined].includes(plainStringOf(it))
  )
  const wrongItems = (option: string, parse: (text: string) => Result<unknown, unknown>) =>
    items(option).filter(
      ({ text }) => text !== undefined && hasNoInterpolation(text) && !parse(text).ok
    )
  return [
    ...types.map(it => refusal(it, wrongIOMMUType())),
    ...wrongItems('virtualisation.vfio.devices', parseDevice).map(it =>
      refusal(it, wrongDeviceID(it.text))
    ),
    ...wrongItems('virtualisation.libvirtd.deviceACL', parseDeviceNode).map(it =>
      refusal(it, wrongDeviceNode(it.text))
    ),
    ...below('virtualisation.sharedMemoryFiles').flatMap(it => {
      const [name, value] = [it.path.at(-1) ?? '', plainStringOf(it)]
      if (value === undefined || MEMORY_FILE_OPTIONS.get(name)?.test(value) !== false) return []
      return [refusal(it, wrongSharedMemory(name, value))]
    })
  ]
}

const NUM_PAGES_OPTION = 'virtualisation.hugepages.numPages'

/** The sizes of huge pages on x86, by notations that vfio-patch's options do not accept. */
const PAGE_SIZES: ReadonlyMap<string, string> = new Map([
  ['2m', '2M'],
  ['2048k', '2M'],
  ['1g', '1G'],
  ['1024m', '1G'],
  ['1048576k', '1G']
])

/** Converts page sizes in the configuration to the notation of vfio-patch's options. Others are obstacles. */
function pageSizes(
  { at }: SetValues,
  configuration: string | undefined
): Pick<LegacyValues, 'changes' | 'obstacles'> {
  const changes: OptionChange[] = []
  const obstacles: Obstacle[] = []
  const hasNumber = (it: OptionDefinition) => /^[1-9][0-9]*$/.test(valueText(it))
  const options = ['defaultPageSize', 'pageSize'].map(it => `virtualisation.hugepages.${it}`)
  for (const it of options.flatMap(at)) {
    const size = plainStringOf(it)
    const isHere = it.file.path === configuration
    if (size === undefined || size === '2M' || size === '1G') continue
    // If the number of pages is a literal, the fix for HUGEPAGES_1M replaces 1M.
    if (/^1m$/i.test(size) && isHere && at(NUM_PAGES_OPTION).every(hasNumber)) continue
    const value = PAGE_SIZES.get(size.toLowerCase())
    if (value !== undefined && isHere) changes.push({ kind: 'value', path: it.fullPath, value })
    else obstacles.push(refusal(it, noSuchPageSize(size)))
  }
  return { changes, obstacles }
}

/** Sets one page, the default of the replaced module, where the configuration sets no number. */
function pageCounts({ at, definitionsWith }: SetValues): OptionChange[] {
  if (at(NUM_PAGES_OPTION).length > 0) return []
  return definitionsWith('virtualisation.hugepages.enable', true).map(({ fullPath }) => ({
    kind: 'default',
    path: [...fullPath.slice(0, -1), 'numPages'],
    value: 1
  }))
}

/** Adds QEMU's user to the group `input` if guests have input devices and QEMU does not run as root. */
function inputGroup({ definitionsWith, items }: SetValues): OptionChange[] {
  const names = ['qemu.runAsRoot', 'qemuRunAsRoot'].map(it => `virtualisation.libvirtd.${it}`)
  if (names.flatMap(it => definitionsWith(it, false)).length === 0) return []
  return items('virtualisation.libvirtd.deviceACL')
    .filter(it => it.text?.startsWith('/dev/input/'))
    .map(({ definition: { fullPath, path } }) => {
      const around = fullPath.slice(0, fullPath.length - path.length)
      const option = [...around, 'users', 'users', 'qemu-libvirtd', 'extraGroups']
      return { kind: 'items', path: option, items: ['input'] }
    })
}

function notesFor(
  { definitionsWith, below }: SetValues,
  legacy: readonly ConfigurationFile[]
): TakeOverNote[] {
  const notes: TakeOverNote[] = []
  const isOn = (name: string) => definitionsWith(`virtualisation.vfio.${name}`, true).length > 0
  if (isOn('disableEFIfb')) notes.push({ code: 'DARK_BOOT' })
  if (isOn('applyACSpatch')) notes.push({ code: 'NO_ACS_PATCH' })
  const group = /SUBSYSTEM=="vfio"[^\n]*GROUP="/
  if (isOn('enable') && legacy.some(it => group.test(it.text)))
    notes.push({ code: 'NO_DEVICE_GROUP' })
  const files = groupBy(below('virtualisation.sharedMemoryFiles'), it => it.path[2] ?? '')
  const names = [...files.keys()].filter(name => {
    const options = files.get(name)?.map(it => it.path[3]) ?? []
    return !options.includes('group') || !options.includes('mode')
  })
  if (names.length > 0) notes.push({ code: 'SHARED_BY_KVM', names })
  return notes
}
