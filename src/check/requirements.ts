// What a configuration asks of the machine that it is for, as far as its text says it outright.

import { type Binding, idBindings, isPlain, kernelParams, LOADED } from '../lints/bindings.ts'
import type { Finding } from '../lints/index.ts'
import { wordsOf } from '../lints/kernelParams.ts'
import {
  contendersFor,
  type Entry,
  type EntryItem,
  type EntryText,
  hasKernel,
  spellingOf,
  type View
} from '../lints/view.ts'
import { idOf, type Machine, type PciDevice } from '../machine/machine.ts'
import { isVirtual } from '../machine/virtualFunctions.ts'
import type { Range } from '../nix/index.ts'

/** Where something is asked. */
export interface Place {
  path: string
  range: Range
}

export interface Pages extends Place {
  sizeKiB: number
  count: number
  /** Whether the running system is told, and not its kernel at the start. */
  isSysctl?: true
}

export interface Requirements {
  /** The place to point at for what is about the whole. */
  first: Place | undefined
  /** Parameters of the kernel that have to do with guests. */
  params: readonly (Place & { param: string })[]
  /** Whether guests own their devices from the start of the machine. */
  bindsAtBoot: boolean
  /** Modules that have to be loaded. */
  modules: readonly (Place & { name: string })[]
  hugepages: readonly Pages[]
  /** Where a patched kernel is told to split up groups. */
  splits: Place | undefined
}

const OURS = 'virtualisation.vfio'

/** What a view asks for; `named` are the devices that it gives to guests. */
export function requirementsOf(
  view: View,
  named: readonly Named[],
  machine: Machine
): Requirements {
  const own = sureOf(view, `${OURS}.enable`, 'true')
  const written = kernelParams(view).filter(({ item }) => isCertain(item))
  const params = [
    ...written
      .filter(it => RELEVANT.test(it.param) && isPlain(it.param))
      .map(it => ({ ...placeOf(it.item), param: it.param })),
    ...(own ? ownParams(view, own, machine) : [])
  ]
  const loaded = LOADED.flatMap(view.items).filter(
    it => isCertain(it) && /^(?:vfio[-_]pci|kvmfr)$/.test(it.text ?? '')
  )
  const kvmfr = view.says('virtualisation.kvmfr.enable', true).filter(isSure)
  const modules = [
    ...loaded.map(it => ({ ...placeOf(it), name: (it.text ?? '').replaceAll('-', '_') })),
    ...(own ? [{ ...placeOf(own), name: 'vfio_pci' }] : []),
    ...kvmfr.map(it => ({ ...placeOf(it), name: 'kvmfr' }))
  ]
  const [device] = named
  const firstOf = [device, ...(own ? [placeOf(own)] : []), ...modules, ...params]
  return {
    first: onlyPlace(firstOf.find(it => it !== undefined)),
    params: uniqueBy(params, it => it.param),
    bindsAtBoot: !(own && saysFalse(view, `${OURS}.bindAtBoot`)),
    modules: uniqueBy(modules, it => it.name),
    hugepages: [
      ...pagesOfParams(written),
      ...pagesOfOptions(view),
      ...pagesOfSysctl(view, written)
    ],
    splits: params.find(it => it.param.startsWith('pcie_acs_override='))
  }
}

// Pages are counted by themselves, and what does nothing is not waited for.
const RELEVANT =
  /^(?:intel[-_]iommu=|iommu=|vfio[-_]pci\.|kvm(?:[-_]\w+)?\.|pcie_acs_override=|initcall_blacklist=(?:.*,)?sysfb_init(?:,|$))/

/** The parameters that our modules make, as nixos/binding.nix has them. */
function ownParams(view: View, own: Entry, machine: Machine) {
  const says = (name: string, value: boolean) => sureOf(view, `${OURS}.${name}`, String(value))
  const text = (name: string) => {
    const [said] = contendersFor(view, `${OURS}.${name}`)
    return /^"([^"\\$]*)"$/.exec(said?.spelling ?? '')?.[1]
  }
  const found: (Place & { param: string })[] = []
  const add = (entry: Entry | undefined, ...params: string[]) => {
    if (entry) found.push(...params.map(param => ({ ...placeOf(entry), param })))
  }
  // On a processor of AMD it is there and does nothing.
  if (machine.cpu.vendor !== 'amd' && text('IOMMUType') !== 'amd') add(own, 'intel_iommu=on')
  if (!says('passthroughDMA', false)) add(own, 'iommu=pt')
  const devices = view.items(`${OURS}.devices`)
  const isListed = devices.every(it => it.text !== undefined && isPlain(it.text) && isCertain(it))
  const ids = [...new Set(devices.map(it => it.text?.toLowerCase()))]
  if (ids.length > 0 && isListed && !says('bindAtBoot', false)) {
    add(devices[0]?.entry, `vfio-pci.ids=${ids.join(',')}`)
  }
  if (hasKernel(view, '5.15')) add(says('disableEFIfb', true), 'initcall_blacklist=sysfb_init')
  add(says('ignoreMSRs', true), 'kvm.ignore_msrs=1', 'kvm.report_ignored_msrs=0')
  const override = text('acsOverride') ?? 'downstream,multifunction'
  add(says('applyACSpatch', true), `pcie_acs_override=${override}`)
  return found
}

const SIZES: ReadonlyMap<string, number> = new Map([
  ['2M', 2048],
  ['1G', 1024 * 1024]
])

function sizeOf(text: string | undefined): number | undefined {
  return SIZES.get((text ?? '').toUpperCase())
}

/** `hugepages=` counts pages of the size that stands before it. */
function pagesOfParams(params: readonly { item: EntryItem; param: string }[]): Pages[] {
  let size = defaultSize(params)
  return params.flatMap(({ item, param }) => {
    const [name, value = ''] = param.split('=')
    if (name === 'hugepagesz') size = sizeOf(value)
    const isCount = name === 'hugepages' && /^[1-9]\d*$/.test(value) && size !== undefined
    return isCount ? [{ ...placeOf(item), sizeKiB: size ?? 0, count: Number(value) }] : []
  })
}

function defaultSize(params: readonly { param: string }[]): number | undefined {
  const found = params.map(it => /^default_hugepagesz=(.*)$/.exec(it.param)?.[1]).find(Boolean)
  return found === undefined ? 2048 : sizeOf(found)
}

function pagesOfOptions(view: View): Pages[] {
  const option = 'virtualisation.hugepages'
  if (view.says(`${option}.enable`, true).filter(isSure).length === 0) return []
  const text = (name: string) => {
    const [entry] = view.at(`${option}.${name}`)
    return entry && spellingOf(entry).replaceAll('"', '')
  }
  const [count] = view.at(`${option}.numPages`)
  const sizeKiB = sizeOf(text('pageSize') ?? text('defaultPageSize') ?? '2M')
  if (!count || sizeKiB === undefined || !/^\d+$/.test(spellingOf(count))) return []
  return [{ ...placeOf(count), sizeKiB, count: Number(spellingOf(count)) }]
}

function pagesOfSysctl(view: View, params: readonly { param: string }[]): Pages[] {
  const sizeKiB = defaultSize(params)
  return view
    .at('boot.kernel.sysctl."vm.nr_hugepages"')
    .filter(it => isSure(it) && /^[1-9]\d*$/.test(spellingOf(it)) && sizeKiB !== undefined)
    .map(it => ({
      ...placeOf(it),
      sizeKiB: sizeKiB ?? 0,
      count: Number(spellingOf(it)),
      isSysctl: true
    }))
}

function placeOf(at: Entry | EntryItem): Place {
  const file = 'entry' in at ? at.entry.file : at.file
  const { start, end } = 'entry' in at ? at.node : at.value
  return { path: file.path, range: { start, end } }
}

/** A place without what else is known of it, as findings are made of it. */
function onlyPlace(at: Place | undefined): Place | undefined {
  return at && { path: at.path, range: at.range }
}

/** The definition that gives an option this value for sure. */
function sureOf(view: View, option: string, value: string): Entry | undefined {
  return contendersFor(view, option).find(it => it.isCertain && it.spelling === value)?.entry
}

/** Whether an option may be off. */
function saysFalse(view: View, option: string): boolean {
  return contendersFor(view, option).some(it => it.spelling === 'false')
}

function isSure(entry: Entry): boolean {
  return entry.conditions.length === 0
}

function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return items.filter((it, i) => items.findIndex(at => keyOf(at) === keyOf(it)) === i)
}

// What a configuration gives to guests, device by device, and what of it the machine has.

/** A place in a configuration that names a device. */
export interface Named {
  path: string
  range: Range
  /** What names it: an ID in one of the places for IDs, or an item of `addresses`. */
  by:
    | { kind: 'id'; id: string; binding: Binding }
    | { kind: 'address'; address: string; expected: string | undefined; item: EntryItem }
  /**
   * The devices of the machine that it takes at boot; several may have one ID. Virtual functions come after
   * that: an address never takes one, and an ID only where no other device has it.
   */
  devices: readonly PciDevice[]
  /** The virtual functions that it selects. */
  virtual: readonly PciDevice[]
}

/**
 * All places that name devices in a view. Those that count only under a condition are left out, unless
 * one of these kernel parameters shows that it holds, or `hasConditional` asks for them.
 */
export function namedIn(
  view: View,
  machine: Machine,
  params: readonly string[],
  hasConditional = false
): Named[] {
  const ids = idBindings(view).flatMap(binding => {
    return idsOf(binding)
      .filter(it => hasConditional || isCertain(binding.at) || isBoundByID(params, it.id))
      .flatMap(({ id, start, end }): Named[] => {
        const by = { kind: 'id', id, binding } as const
        const all = machine.devices.filter(it => id.startsWith(idOf(it)))
        const virtual = all.filter(isVirtual)
        const others = all.filter(it => !isVirtual(it))
        const devices = others.length > 0 ? others : virtual
        // What follows vendor and device narrows it down in a way that can't be seen here.
        const isClear = id.length === 9 || all.length === 1
        return isClear
          ? [{ path: pathOf(binding.at), range: { start, end }, by, devices, virtual }]
          : []
      })
  })
  const addresses = view.items('virtualisation.vfio.addresses').flatMap((item): Named[] => {
    const { start, end } = item.node
    const source = item.entry.file.doc.text.slice(start, end)
    const address = /"([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])"/i.exec(source)?.[1]
    if (address === undefined || !(hasConditional || isCertain(item))) return []
    const expected = /\bid\s*=\s*"([0-9a-f]{4}:[0-9a-f]{4})"/i.exec(source)?.[1]?.toLowerCase()
    const by = { kind: 'address', address: address.toLowerCase(), expected, item } as const
    // What is not expected there is left alone.
    const all = machine.devices.filter(
      it => it.address === by.address && (expected === undefined || idOf(it) === expected)
    )
    const [virtual, devices] = [all.filter(isVirtual), all.filter(it => !isVirtual(it))]
    return [{ path: pathOf(item), range: { start, end }, by, devices, virtual }]
  })
  return [...ids, ...addresses]
}

function idsOf({ lists }: Binding): { id: string; start: number; end: number }[] {
  return lists.flatMap(list => {
    let { start } = list
    return list.text.split(',').flatMap(text => {
      const at = start
      start += text.length + 1
      const isID = isPlain(text) && /^[0-9a-f]{4}:[0-9a-f]{4}/i.test(text)
      return isID ? [{ id: text.toLowerCase(), start: at, end: at + text.length }] : []
    })
  })
}

/** Whether it counts in any case. */
export function isCertain(at: EntryItem | EntryText): boolean {
  return at.conditions.length === 0 && at.entry.conditions.length === 0
}

/** The place that names a device which is given away. */
export function namedFor(
  named: readonly Named[],
  device: PciDevice,
  passed: ReadonlySet<string>
): Named | undefined {
  return named.find(it => it.devices.includes(device) && passed.has(device.address))
}

/** A finding at such a place. */
export function at({ path, range }: Named, said: Omit<Finding, 'path' | 'range'>): Finding {
  return { ...said, path, range }
}

function pathOf(at: EntryItem | EntryText): string {
  return at.entry.file.path
}

// What the parameters of a kernel say.

/** Whether a kernel was started with this parameter, whichever of its spellings was used. */
export function hasParam(params: readonly string[], param: string): boolean {
  const plain = (it: string) =>
    it.replace(/^[^=]*/, name => name.replaceAll('-', '_')).toLowerCase()
  return params.some(it => plain(it) === plain(param))
}

/**
 * Whether the kernel was started with this ID for vfio-pci, in lower case; one in the parameter may go on
 * with subsystem and class.
 */
export function isBoundByID(params: readonly string[], id: string): boolean {
  return params
    .flatMap(it => wordsOf(it, 'vfio_pci.ids'))
    .some(it => `${it.toLowerCase()}:`.startsWith(`${id}:`))
}
