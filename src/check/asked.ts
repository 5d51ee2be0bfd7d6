// What a configuration asks of the machine that it is for, as far as its text says it outright.

import type { Machine } from '../host/machine.ts'
import { type Entry, type EntryItem, spellingOf, type View } from '../lints/configuration.ts'
import { isPlain, kernelParams, LOADED } from '../lints/find.ts'
import { hasKernel } from '../lints/releases.ts'
import { contendersFor } from '../lints/strongest.ts'
import type { Range } from '../nix/index.ts'
import { isCertain, type Named } from './passed.ts'

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

export interface Asked {
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
export function askedBy(view: View, named: readonly Named[], machine: Machine): Asked {
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
