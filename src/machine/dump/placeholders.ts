import type { Recording } from '../source.ts'

/** What a placeholder replaces, in the singular and the plural. */
export const KINDS = {
  net: ['network interface', 'network interfaces'],
  bridge: ['network bridge', 'network bridges'],
  input: ['input device', 'input devices'],
  luks: ['encrypted volume', 'encrypted volumes'],
  vg: ['LVM volume group', 'LVM volume groups'],
  lv: ['LVM volume', 'LVM volumes'],
  map: ['device mapping', 'device mappings'],
  array: ['disk array', 'disk arrays'],
  block: ['block device', 'block devices'],
  disk: ['disk with its serial number', 'disks with their serial numbers'],
  label: ['file system label', 'file system labels'],
  partlabel: ['partition label', 'partition labels'],
  path: ['path to a disk', 'paths to disks'],
  pool: ['ZFS pool', 'ZFS pools'],
  set: ['ZFS dataset', 'ZFS datasets'],
  mount: ['mount point', 'mount points'],
  swap: ['swap file', 'swap files'],
  entry: ['boot entry', 'boot entries'],
  profile: ['profile of the system', 'profiles of the system'],
  driver: ['driver', 'drivers'],
  value: ['kernel parameter', 'kernel parameters'],
  other: ['set of kernel parameters', 'sets of kernel parameters'],
  number: ['UUID, hardware address or store path', 'UUIDs, hardware addresses and store paths']
} as const

export type Kind = keyof typeof KINDS

/** Names as they appear in a dump. */
export interface Placeholders {
  /**
   * The placeholder for a name of this kind: `net1`, `net2` in the order of their first use. Two names of
   * a kind never get the same one. A name that has the form of a placeholder already stays as it is,
   * so that a dump of a dump is the same dump.
   */
  of(kind: Kind, name: string): string
  /** A number for what keeps its form; `known` is the one that it has already. */
  number(name: string, known: string | undefined): number
  /** How many names of each kind were replaced. */
  counts(): ReadonlyMap<Kind, number>
}

/** Placeholders that the recording does not contain for anything else. */
export function placeholdersFor(recording: Recording): Placeholders {
  const taken = takenIn(recording)
  const known = new Map<string, number>()
  const last = new Map<Kind, number>()
  const counted = new Map<Kind, number>()
  const next = (kind: Kind, key: string): number => {
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

/** Two kinds have a form of their own: a single input device has no number, and a mount point is a path. */
function placeholder(kind: Kind, number: number): string {
  if (kind === 'mount') return `/mnt/${number}`
  if (kind === 'swap') return `/swap${number}`
  return kind === 'input' && number === 1 ? kind : `${kind}${number}`
}

/** Whether a name is one that a dump has for names of this kind. */
export function isPlaceholder(kind: Kind, name: string): boolean {
  if ((kind === 'input' || kind === 'pool') && name === kind) return true
  const number = /(?<![0-9])[1-9]\d{0,5}$/.exec(name)?.[0]
  return number !== undefined && placeholder(kind, Number(number)) === name
}

/** The placeholders that are in a recording already, as those of a dump are. */
function takenIn(recording: Recording): Set<string> {
  const taken = new Set<string>()
  const look = (text: string) => {
    for (const [, kind, number] of text.matchAll(/(?<![a-z])([a-z]+)([1-9]\d{0,5})(?!\d)/g)) {
      if (kind !== 'input') taken.add(`${kind}${number}`)
    }
    // The kernel numbers input devices in the same words.
    for (const [, number] of text.matchAll(/"input(\d*)"/g)) taken.add(`input${number || 1}`)
    for (const [, number] of text.matchAll(/\/mnt\/([1-9]\d{0,5})(?!\d)/g)) {
      taken.add(`mount${number}`)
    }
    for (const [number] of text.matchAll(NUMBERED)) {
      taken.add(`number${Number(/\d+$/.exec(number)?.[0])}`)
    }
  }
  for (const [path, entry] of recording) {
    look(path)
    if (typeof entry === 'object') look('link' in entry ? entry.link : entry.text)
  }
  return taken
}

const NUMBERED = /00000000-0000-0000-0000-\d{12}|00:00:00:00:00:\d\d|\b0{20}\d{12}\b|x0{6}\d{6}\b/g
