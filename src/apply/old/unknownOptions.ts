// What a person set or reads of modules of somebody else that ours don't have.

import { type AttrPath, formatPath, type NixDocument, type Range } from '../../nix/index.ts'
import { spellPath, startsWith } from '../../nix/path.ts'
import { findOwnUses } from '../own/ownUses.ts'
import type { Obstacle } from '../problem.ts'

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
