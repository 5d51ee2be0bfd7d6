import { readFileSync } from 'node:fs'

type NameTable = {
  /** By vendor ID, four lower-case hex digits. */
  vendors: ReadonlyMap<string, string>
  /** By `vvvv:dddd`, without the name of the vendor. */
  devices: ReadonlyMap<string, string>
}

/** The paths of the complete table on NixOS, on most distributions, and on Debian. */
const PCI_IDS = [
  '/run/current-system/sw/share/hwdata/pci.ids',
  '/usr/share/hwdata/pci.ids',
  '/usr/share/misc/pci.ids'
]

// data/, src/ and dist/ are in the same folder.
const SHIPPED = new URL('../../data/pci-names.txt', import.meta.url)

let shipped: NameTable | undefined

/**
 * Looks up the names of PCI devices, for messages and comments.
 *
 * `ids` have the format of vfio-pci: `vvvv:dddd`, in any case. Further parts (`10de:1b80:1043:85aa`) are
 * ignored.
 *
 * Returns a map from each ID, as it is in `ids`, to a name such as `NVIDIA GP104 [GeForce GTX 1080]`, in the order of
 * `ids`. Unknown and invalid IDs are absent. A name is one line without control characters, so it can be part of a Nix
 * comment.
 *
 * Searches the shipped table first, so that names of graphics cards are the same everywhere, then the complete tables
 * at `pciIds` in order (default: the usual paths). Skips tables that can't be read.
 */
export function pciNamesOf(
  ids: readonly string[],
  options: { pciIds?: readonly string[] } = {}
): Map<string, string> {
  const keys = new Map(ids.map(id => [id, deviceKey(id)]))
  const missing = new Set([...keys.values()].filter(key => key !== undefined))
  const found = new Map<string, string>()
  const lookUp = (table: NameTable): void => {
    for (const key of missing) {
      const name = findName(table, key)
      if (name === undefined) continue
      found.set(key, name)
      missing.delete(key)
    }
  }

  if (missing.size > 0) lookUp(shippedTable())
  for (const path of options.pciIds ?? PCI_IDS) {
    if (missing.size === 0) break
    const text = readTable(path)
    if (text !== undefined) lookUp(fromPciIds(text, missing))
  }

  const names = [...keys].map(([id, key]) => [id, found.get(key ?? '')] as const)
  return new Map(names.filter((it): it is [string, string] => it[1] !== undefined))
}

function deviceKey(id: string): string | undefined {
  return /^([0-9a-f]{4}:[0-9a-f]{4})(?::[0-9a-f]+)*$/.exec(id.toLowerCase())?.[1]
}

function findName(table: NameTable, key: string): string | undefined {
  const device = oneLine(table.devices.get(key) ?? '')
  if (device === '') return undefined
  const id = key.slice(0, 4)
  const vendor = shippedTable().vendors.get(id) ?? table.vendors.get(id) ?? ''
  return `${oneLine(vendor) || id} ${device}`
}

function shippedTable(): NameTable {
  shipped ??= fromShipped(readTable(SHIPPED) ?? '')
  return shipped
}

/** Lines `vvvv<TAB>vendor` and `vvvv:dddd<TAB>device`. */
function fromShipped(text: string): NameTable {
  const pairs = (form: RegExp) =>
    new Map([...text.matchAll(form)].map(([, id = '', name = '']) => [id, name]))
  return { vendors: pairs(/^([^\t]{4})\t(.*)$/gm), devices: pairs(/^([^\t]{9})\t(.*)$/gm) }
}

/** Parses only the `wanted` devices in a pci.ids, which has 36,000 lines, and their vendors. */
function fromPciIds(text: string, wanted: ReadonlySet<string>): NameTable {
  const vendors = new Map<string, string>()
  const devices = new Map<string, string>()
  for (const vendor of new Set([...wanted].map(key => key.slice(0, 4)))) {
    const [head, ...lines] = vendorSection(text, vendor)?.split('\n') ?? []
    if (head === undefined) continue
    vendors.set(vendor, shortVendor(head.slice(4)))
    for (const line of lines) {
      const [, device, name] = /^\t([0-9a-f]{4})[ \t]+(.+)/s.exec(line) ?? []
      const key = `${vendor}:${device}`
      if (name !== undefined && wanted.has(key)) devices.set(key, name)
    }
  }
  return { vendors, devices }
}

/** The text from a vendor's line up to the next line that is neither indented nor a comment. */
function vendorSection(text: string, vendor: string): string | undefined {
  const start = new RegExp(`^${vendor}[ \\t]`, 'm').exec(text)?.index
  if (start === undefined) return undefined
  const next = /\n[^\t#\r\n]/g
  next.lastIndex = start
  return text.slice(start, next.exec(text)?.index)
}

/** `AMD` for `Advanced Micro Devices, Inc. [AMD]`. */
function shortVendor(name: string): string {
  return /\[([^[\]]+)\]\s*$/.exec(name)?.[1] ?? name
}

function oneLine(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}

function readTable(path: string | URL): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
