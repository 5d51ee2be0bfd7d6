// What is known of the elements of a libvirt domain. A name that is missing here costs readability
// only: what is written by these tables is read by them.

import { readFileSync } from 'node:fs'
import { parseDocument } from '../nix/index.ts'
import { literalOf } from '../nix/syntax/literals.ts'
import { bindingsOf, callOf, namesOf } from '../nix/syntax/nodes.ts'

/** Names of children by their parent. */
type Words = ReadonlyMap<string, readonly string[]>

interface DomainTables {
  /** The children that hold a text and nothing else. A string there is such a child. */
  texts: Words
  /** All children in the order in which libvirt's schema, or libvirt itself, wants them. */
  orders: Words
  /** The attributes that come first in a start tag, as libvirt writes them; the others by their names. */
  firstAttributes: readonly string[]
}

const SHIPPED = new URL('../../nixos/_lib/domainTables.nix', import.meta.url)
let known: DomainTables | undefined

/** The tables that the build renders a domain by. Their file is read when they are first asked for. */
export function domainTables(): DomainTables {
  known ??= readTables(readFileSync(SHIPPED, 'utf8'))
  return known
}

interface Source {
  texts: Record<string, string>
  orders: Record<string, string>
  firstAttributes: string
}

/** In `let … in { NAME = FUNCTION … VALUE; }`, each table is the last argument of its call. */
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
    firstAttributes: wordsIn(firstAttributes)
  }
}

/** By parent: the children of which there may be several, so that they are always a list. */
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

/** Whether this child of this parent holds a text only. */
export function isTextChild(parent: string, name: string): boolean {
  return domainTables().texts.get(parent)?.includes(name) ?? false
}

/** Whether there may be several of this child, so that it is a list even where it is alone. */
export function isListChild(parent: string, name: string): boolean {
  return LISTS.get(parent)?.includes(name) ?? false
}

/** Names of children in the order in which they are written: those of the table, then by their names. */
export function childrenInOrder(parent: string, names: readonly string[]): string[] {
  return inTableOrder(names, domainTables().orders.get(parent) ?? [])
}

/** Names of attributes in the order in which they are written. */
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

/** As Nix sorts names: by their bytes in UTF-8, which only pairs of surrogates sort otherwise. */
function compareBytes(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : a > b ? 1 : 0
}

const SURROGATE = /[\ud800-\udfff]/

function tableOf(table: Record<string, string>): Words {
  return new Map(Object.entries(table).map(([parent, names]) => [parent, wordsIn(names)]))
}

function wordsIn(text: string): string[] {
  return text.trim().split(/\s+/)
}
