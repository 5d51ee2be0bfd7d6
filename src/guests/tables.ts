// The elements of a libvirt domain. A name that is missing from the tables only makes the Nix less readable,
// because reading and writing use the same tables.

import { readFileSync } from 'node:fs'
import { parseDocument } from '../nix/index.ts'
import { literalOf } from '../nix/syntax/literals.ts'
import { bindingsOf, callOf, namesOf } from '../nix/syntax/nodes.ts'

/** Names of children by the name of their parent. */
type ChildNames = ReadonlyMap<string, readonly string[]>

interface DomainTables {
  /** Children that contain only text. In Nix, a string under such a name is a child, not an attribute. */
  texts: ChildNames
  /** All children, in the order that libvirt's schema or libvirt itself requires. */
  orders: ChildNames
  /** The attributes that libvirt writes first in a start tag; the others follow sorted. */
  firstAttributes: readonly string[]
}

const SHIPPED = new URL('../../nixos/_lib/domainTables.nix', import.meta.url)
let cached: DomainTables | undefined

/** The tables with which the NixOS modules render a domain. Their file is read on first use. */
export function domainTables(): DomainTables {
  cached ??= readTables(readFileSync(SHIPPED, 'utf8'))
  return cached
}

interface Source {
  texts: Record<string, string>
  orders: Record<string, string>
  firstAttributes: string
}

/** Reads `let … in { NAME = FUNCTION … TABLE; }`. */
function readTables(source: string): DomainTables {
  const { root } = parseDocument(source)
  const set = root.field('expression')?.field('body')
  const tables = (set ? bindingsOf(set) : []).map(binding => {
    const value = binding.field('expression')
    const argument = value && callOf(value)?.args.at(-1)
    return [namesOf(binding)[0], argument && literalOf(argument)]
  })
  const { texts, orders, firstAttributes }: Source = Object.fromEntries(tables)
  return {
    texts: tableOf(texts),
    orders: tableOf(orders),
    firstAttributes: splitNames(firstAttributes)
  }
}

/** Children that may occur several times, by parent. In Nix they are always a list. */
const LISTS = tableOf({
  blkiotune: 'device',
  cachetune: 'cache monitor',
  cell: 'cache',
  cpu: 'feature',
  cputune: 'vcpupin iothreadpin vcpusched iothreadsched cachetune memorytune',
  devices: `
    disk controller filesystem interface lease smartcard serial parallel console channel input
    graphics sound audio video hostdev hub redirdev watchdog rng panic memory shmem
  `,
  distances: 'sibling',
  domain: 'seclabel',
  filterref: 'parameter',
  firmware: 'feature',
  hugepages: 'page',
  interconnects: 'latency bandwidth',
  interface: 'ip route',
  iothreadids: 'iothread',
  numa: 'cell',
  numatune: 'memnode',
  oemStrings: 'entry',
  os: 'boot initarg initenv',
  'qemu:capabilities': 'qemu:add qemu:del',
  'qemu:commandline': 'qemu:arg qemu:env',
  'qemu:frontend': 'qemu:property',
  'qemu:override': 'qemu:device',
  redirfilter: 'usbdev',
  clock: 'timer',
  system: 'entry',
  bios: 'entry',
  baseBoard: 'entry',
  chassis: 'entry',
  throttlefilters: 'throttlefilter',
  throttlegroups: 'throttlegroup',
  vcpus: 'vcpu',
  vlan: 'tag'
})

/** Whether this child contains only text. */
export function isTextChild(parent: string, name: string): boolean {
  return domainTables().texts.get(parent)?.includes(name) ?? false
}

/** Whether this child may occur several times, and so is a list even if it occurs once. */
export function isListChild(parent: string, name: string): boolean {
  return LISTS.get(parent)?.includes(name) ?? false
}

/** Sorts names of children for rendering: first those in the table, in its order, then all others by name. */
export function childrenInOrder(parent: string, names: readonly string[]): string[] {
  return inTableOrder(names, domainTables().orders.get(parent) ?? [])
}

/** Sorts names of attributes for rendering. */
export function attributesInOrder(names: readonly string[]): string[] {
  return inTableOrder(names, domainTables().firstAttributes)
}

function inTableOrder(names: readonly string[], first: readonly string[]): string[] {
  const rank = (name: string) => {
    const found = first.indexOf(name)
    return found === -1 ? first.length : found
  }
  return [...names].sort((a, b) => rank(a) - rank(b) || compareBytes(a, b))
}

/** Nix sorts names by their UTF-8 bytes. UTF-16 units sort differently only with surrogate pairs. */
function compareBytes(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : a > b ? 1 : 0
}

const SURROGATE = /[\ud800-\udfff]/

function tableOf(table: Record<string, string>): ChildNames {
  return new Map(Object.entries(table).map(([parent, names]) => [parent, splitNames(names)]))
}

function splitNames(text: string): string[] {
  return text.trim().split(/\s+/)
}
