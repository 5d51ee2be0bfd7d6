// What a configuration requires of its machine, as far as its text shows for certain.

import { uniqueBy } from '../collections.ts'
import {
  hasNoInterpolation,
  type IDPlace,
  idPlaces,
  isUnconditional,
  kernelParams,
  LOADED_MODULE_LISTS,
  splitIDs
} from '../lints/bindings.ts'
import { moduleName } from '../lints/earlyDrivers.ts'
import { findingPlace, type Place } from '../lints/finding.ts'
import { intelIommuState, paramValues } from '../lints/kernelParams.ts'
import {
  type BootEntryView,
  type DefinitionItem,
  hasKernel,
  type OptionDefinition,
  possibleValuesOf,
  valueText
} from '../lints/view.ts'
import { idOf, type Machine, type PciDevice } from '../machine/machine.ts'
import { isVirtual } from '../machine/virtualFunctions.ts'

interface Param extends Place {
  param: string
}

interface Pages extends Place {
  sizeKiB: number
  count: number
  /** Whether a sysctl reserves them in the running system; otherwise the kernel reserves them at boot. */
  isSysctl?: true
}

export interface Requirements {
  /** The place of findings about the configuration as a whole. */
  mainPlace: Place | undefined
  /** Kernel parameters for guests. */
  params: readonly Param[]
  /** Whether these parameters turn Intel's IOMMU on or off. */
  intelIommu: ReturnType<typeof intelIommuState>
  /** Whether devices are bound for guests at boot. */
  bindsAtBoot: boolean
  /** Modules that must be loaded. */
  modules: readonly (Place & { name: string })[]
  hugepages: readonly Pages[]
  /** The parameter that lets a patched kernel split IOMMU groups. */
  acsOverride: Param | undefined
}

const VFIO = 'virtualisation.vfio'

/** The requirements of a view; `references` are the devices that it passes through. */
export function requirementsOf(
  view: BootEntryView,
  references: readonly DeviceReference[],
  machine: Machine
): Requirements {
  const enabled = certainEntry(view, 'enable', true)
  const written = kernelParams(view).filter(({ item }) => isUnconditional(item))
  const all = [
    ...written
      .filter(it => RELEVANT.test(it.param) && hasNoInterpolation(it.param))
      .map(it => ({ ...findingPlace(it.item), param: it.param })),
    ...(enabled ? paramsOfModules(view, enabled, machine) : [])
  ]
  const params = uniqueBy(all, it => it.param)
  const loaded = LOADED_MODULE_LISTS.flatMap(view.itemsIn).filter(
    it => isUnconditional(it) && /^(?:vfio[-_]pci|kvmfr)$/.test(it.text ?? '')
  )
  const kvmfr = view.definitionsWith('virtualisation.kvmfr.enable', true).filter(isUnconditional)
  const modules = [
    ...loaded.map(it => ({ ...findingPlace(it), name: moduleName(it.text ?? '') })),
    ...(enabled ? [{ ...findingPlace(enabled), name: 'vfio_pci' }] : []),
    ...kvmfr.map(it => ({ ...findingPlace(it), name: 'kvmfr' }))
  ]
  const bindsAtBoot = possibleValuesOf(view, `${VFIO}.bindAtBoot`)
  return {
    mainPlace: references[0] ?? (enabled && findingPlace(enabled)) ?? modules[0] ?? params[0],
    params,
    intelIommu: intelIommuState(params.map(it => it.param)),
    bindsAtBoot: !(enabled && bindsAtBoot.some(it => it.text === 'false')),
    modules: uniqueBy(modules, it => it.name),
    hugepages: [
      ...pagesOfParams(written),
      ...pagesOfOptions(view),
      ...pagesOfSysctl(view, written)
    ],
    acsOverride: params.find(it => it.param.startsWith('pcie_acs_override='))
  }
}

// Huge pages are handled separately. Parameters without an effect are left out.
const RELEVANT =
  /^(?:intel[-_]iommu=|iommu=|vfio[-_]pci\.|kvm(?:[-_]\w+)?\.|pcie_acs_override=|initcall_blacklist=(?:.*,)?sysfb_init(?:,|$))/

/** The parameters that vfio-patch's modules set (nixos/binding.nix); `enabled` is the definition that enables them. */
function paramsOfModules(
  view: BootEntryView,
  enabled: OptionDefinition,
  machine: Machine
): Param[] {
  const setTo = (name: string, value: boolean) => certainEntry(view, name, value)
  const text = (name: string) => {
    const [first] = possibleValuesOf(view, `${VFIO}.${name}`)
    return /^"([^"\\$]*)"$/.exec(first?.text ?? '')?.[1]
  }
  const found: Param[] = []
  const add = (entry: OptionDefinition | undefined, ...params: string[]) => {
    if (entry) found.push(...params.map(param => ({ ...findingPlace(entry), param })))
  }
  // intel_iommu has no effect on AMD processors.
  if (machine.cpu.vendor !== 'amd' && text('IOMMUType') !== 'amd') add(enabled, 'intel_iommu=on')
  if (!setTo('passthroughDMA', false)) add(enabled, 'iommu=pt')
  const devices = view.itemsIn(`${VFIO}.devices`)
  const isListed = devices.every(
    it => it.text !== undefined && hasNoInterpolation(it.text) && isUnconditional(it)
  )
  const ids = [...new Set(devices.map(it => it.text?.toLowerCase()))]
  if (ids.length > 0 && isListed && !setTo('bindAtBoot', false)) {
    add(devices[0]?.definition, `vfio-pci.ids=${ids.join(',')}`)
  }
  if (hasKernel(view, '5.15')) add(setTo('disableEFIfb', true), 'initcall_blacklist=sysfb_init')
  add(setTo('ignoreMSRs', true), 'kvm.ignore_msrs=1', 'kvm.report_ignored_msrs=0')
  const override = text('acsOverride') ?? 'downstream,multifunction'
  add(setTo('applyACSpatch', true), `pcie_acs_override=${override}`)
  return found
}

/** The definition that certainly sets an option of `virtualisation.vfio` to this value. */
function certainEntry(
  view: BootEntryView,
  name: string,
  value: boolean
): OptionDefinition | undefined {
  const contenders = possibleValuesOf(view, `${VFIO}.${name}`)
  return contenders.find(it => it.isCertain && it.text === String(value))?.definition
}

/** A size of huge pages in KiB; undefined if x86 does not have it. */
function pageSize(text: string): number | undefined {
  const size = text.toUpperCase()
  return size === '2M' ? 2048 : size === '1G' ? 1024 * 1024 : undefined
}

/** `hugepages=` counts pages of the `hugepagesz=` before it. */
function pagesOfParams(params: readonly { item: DefinitionItem; param: string }[]): Pages[] {
  let size = defaultSize(params)
  return params.flatMap(({ item, param }) => {
    const [name, value = ''] = param.split('=')
    if (name === 'hugepagesz') size = pageSize(value)
    if (name !== 'hugepages' || !/^[1-9]\d*$/.test(value) || size === undefined) return []
    return [{ ...findingPlace(item), sizeKiB: size, count: Number(value) }]
  })
}

function defaultSize(params: readonly { param: string }[]): number | undefined {
  const found = params.map(it => /^default_hugepagesz=(.*)$/.exec(it.param)?.[1]).find(Boolean)
  return pageSize(found ?? '2M')
}

function pagesOfOptions(view: BootEntryView): Pages[] {
  const option = 'virtualisation.hugepages'
  if (!view.definitionsWith(`${option}.enable`, true).some(isUnconditional)) return []
  const text = (name: string) => {
    const [entry] = view.definitionsOf(`${option}.${name}`)
    return entry && valueText(entry).replaceAll('"', '')
  }
  const [count] = view.definitionsOf(`${option}.numPages`)
  const sizeKiB = pageSize(text('pageSize') ?? text('defaultPageSize') ?? '2M')
  if (!count || sizeKiB === undefined || !/^\d+$/.test(valueText(count))) return []
  return [{ ...findingPlace(count), sizeKiB, count: Number(valueText(count)) }]
}

function pagesOfSysctl(view: BootEntryView, params: readonly { param: string }[]): Pages[] {
  const sizeKiB = defaultSize(params)
  if (sizeKiB === undefined) return []
  return view
    .definitionsOf('boot.kernel.sysctl."vm.nr_hugepages"')
    .filter(it => isUnconditional(it) && /^[1-9]\d*$/.test(valueText(it)))
    .map(it => ({ ...findingPlace(it), sizeKiB, count: Number(valueText(it)), isSysctl: true }))
}

// The devices that a configuration passes through, and which of them the machine has.

/** A place in a configuration that names a device. */
export interface DeviceReference extends Place {
  /** The kind of name: an ID, or an item of `virtualisation.vfio.addresses`. */
  by:
    | { kind: 'id'; id: string; place: IDPlace }
    | { kind: 'address'; address: string; expected: string | undefined; item: DefinitionItem }
  /**
   * The devices that it selects at boot; several may have one ID. Virtual functions are created later: an
   * address never selects one, and an ID selects them only if no other device has the ID.
   */
  devices: readonly PciDevice[]
  /** The virtual functions that it selects. */
  virtual: readonly PciDevice[]
}

/**
 * All places that name devices in a view. Places under a condition are left out, unless `params` contain their ID
 * or `includesConditional` is true.
 */
export function deviceReferencesIn(
  view: BootEntryView,
  machine: Machine,
  params: readonly string[],
  includesConditional = false
): DeviceReference[] {
  const ids = idPlaces(view).flatMap(binding =>
    namedIDs(binding)
      .filter(
        it => includesConditional || isUnconditional(binding.at) || isBoundByID(params, it.id)
      )
      .flatMap(({ id, start }): DeviceReference[] => {
        const all = machine.devices.filter(it => id.startsWith(idOf(it)))
        // A longer ID selects by properties that are unknown here.
        if (id.length > 9 && all.length !== 1) return []
        const place = {
          path: binding.at.definition.file.path,
          range: { start, end: start + id.length }
        }
        const { devices, virtual } = partition(all)
        const selected = devices.length > 0 ? devices : virtual
        return [{ ...place, by: { kind: 'id', id, place: binding }, devices: selected, virtual }]
      })
  )
  const addresses = view
    .itemsIn('virtualisation.vfio.addresses')
    .flatMap((item): DeviceReference[] => {
      const source = item.node.text
      const found = /"([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])"/i.exec(source)?.[1]
      if (found === undefined || !(includesConditional || isUnconditional(item))) return []
      const address = found.toLowerCase()
      const expected = /\bid\s*=\s*"([0-9a-f]{4}:[0-9a-f]{4})"/i.exec(source)?.[1]?.toLowerCase()
      // A device with an unexpected ID is not bound.
      const all = machine.devices.filter(
        it => it.address === address && (expected === undefined || idOf(it) === expected)
      )
      const by = { kind: 'address', address, expected, item } as const
      return [{ ...findingPlace(item), by, ...partition(all) }]
    })
  return [...ids, ...addresses]
}

function namedIDs({ lists }: IDPlace): { id: string; start: number }[] {
  return lists
    .flatMap(splitIDs)
    .filter(({ id }) => hasNoInterpolation(id) && /^[0-9a-f]{4}:[0-9a-f]{4}/i.test(id))
    .map(({ id, start }) => ({ id: id.toLowerCase(), start }))
}

function partition(all: readonly PciDevice[]): Pick<DeviceReference, 'devices' | 'virtual'> {
  return { devices: all.filter(it => !isVirtual(it)), virtual: all.filter(isVirtual) }
}

/** The place that names a device; undefined if the device is not passed through. */
export function referenceFor(
  references: readonly DeviceReference[],
  device: PciDevice,
  passed: ReadonlySet<string>
): DeviceReference | undefined {
  return references.find(it => it.devices.includes(device) && passed.has(device.address))
}

// Kernel parameters.

/** Whether these kernel parameters include `param`, in any letter case, and with `-` or `_` in its name. */
export function hasParam(params: readonly string[], param: string): boolean {
  const plain = (it: string) =>
    it.replace(/^[^=]*/, name => name.replaceAll('-', '_')).toLowerCase()
  return params.some(it => plain(it) === plain(param))
}

/** Whether kernel parameters give this lower-case ID to vfio-pci; subsystem and class may follow the ID there. */
export function isBoundByID(params: readonly string[], id: string): boolean {
  return params
    .flatMap(it => paramValues(it, 'vfio_pci.ids'))
    .some(it => `${it.toLowerCase()}:`.startsWith(`${id}:`))
}
