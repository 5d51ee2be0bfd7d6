// What the values that a person set for modules of somebody else come to with ours.

import {
  type Entry,
  type EntryItem,
  plainStringOf,
  spellingOf,
  viewsOf
} from '../../lints/configuration.ts'
import { isPlain } from '../../lints/find.ts'
import type { Result } from '../../nix/result.ts'
import { parseDevice, parseDeviceNode } from '../../vfio/parseSettings.ts'
import type { Wanted } from '../../vfio/wanted.ts'
import type { Obstacle } from '../problem.ts'
import { type TakeOverNote, takeOverNotes } from './takeOverNotes.ts'
import type { StayingFile } from './unknownOptions.ts'

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
