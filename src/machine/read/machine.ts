import { defined } from '../../collections.ts'
import type { Cpu, Firmware, Iommu, Machine, Memory } from '../machine.ts'
import type { Source } from '../source.ts'
import { readBridges, readKeyboards, readNetworks } from './lifelines.ts'
import { readAliases, readPci } from './pci.ts'
import { hasPools, readBlocks, readStorage } from './storage.ts'
import { readKernelLog, readLoadedModules, readSystems } from './systems.ts'

/**
 * All that a machine says about itself that bears on passing a card through. Needs no rights: what a
 * user may not read is not asked. Never fails; a machine without PCI gives one without devices.
 */
export function readMachine(source: Source): Machine {
  const kernel = source.text('/proc/sys/kernel/osrelease')?.trim()
  const known = {
    kernel,
    bridges: readBridges(source),
    nixos: nixosRelease(source.text('/etc/os-release') ?? ''),
    systems: readSystems(source),
    modules: readLoadedModules(source),
    log: readKernelLog(source),
    blocks: readBlocks(source)
  }
  return {
    devices: readPci(source, readAliases(source, kernel, known.systems?.booted?.modules)),
    iommu: readIommu(source),
    cpu: readCpu(source),
    memory: readMemory(source),
    firmware: readFirmware(source),
    kernelParams: (source.text('/proc/cmdline') ?? '').split(/\s+/).filter(Boolean),
    storage: readStorage(source),
    networks: readNetworks(source),
    keyboards: readKeyboards(source),
    ...(hasPools(source) ? { hasPools: true } : {}),
    ...defined(known)
  }
}

function readIommu(source: Source): Iommu {
  const groups = source.names('/sys/kernel/iommu_groups')?.length ?? 0
  const tables = source.names('/sys/firmware/acpi/tables')
  if (tables === undefined) return { groups }
  return { groups, isOffered: tables.some(it => it === 'DMAR' || it === 'IVRS') }
}

const VENDORS: Record<string, Cpu['vendor']> = { GenuineIntel: 'intel', AuthenticAMD: 'amd' }

function readCpu(source: Source): Cpu {
  const text = source.text('/proc/cpuinfo') ?? ''
  const field = (name: string) => new RegExp(`^${name}\\s*: *(.*)$`, 'm').exec(text)?.[1]?.trim()
  const flags = field('flags')?.split(' ')
  return defined({
    vendor: VENDORS[field('vendor_id') ?? ''],
    model: field('model name'),
    online: source.text('/sys/devices/system/cpu/online')?.trim() || undefined,
    hasVirtualisation: flags?.some(it => it === 'vmx' || it === 'svm'),
    hasHugePages1G: flags?.includes('pdpe1gb')
  })
}

const HUGEPAGES = '/sys/kernel/mm/hugepages'

function readMemory(source: Source): Memory {
  const total = /^MemTotal:\s+(\d+) kB$/m.exec(source.text('/proc/meminfo') ?? '')?.[1]
  const hugepages = (source.names(HUGEPAGES) ?? []).flatMap(name => {
    const size = /^hugepages-(\d+)kB$/.exec(name)?.[1]
    const count = Number(source.text(`${HUGEPAGES}/${name}/nr_hugepages`)?.trim() ?? 0)
    return size === undefined || !(count > 0) ? [] : [{ sizeKiB: Number(size), count }]
  })
  return { ...defined({ total: total === undefined ? undefined : Number(total) }), hugepages }
}

const LAPTOPS = [8, 9, 10, 14, 31, 32]
const MUXES = [
  '/sys/class/firmware-attributes/asus-armoury/attributes/gpu_mux_mode/current_value',
  '/sys/devices/platform/asus-nb-wmi/gpu_mux_mode'
]

function readFirmware(source: Source): Firmware {
  const board = source.text('/sys/class/dmi/id/board_name')?.trim() || undefined
  const chassis = Number(source.text('/sys/class/dmi/id/chassis_type')?.trim())
  const mux = MUXES.map(it => source.text(it)?.trim()).find(it => it === '0' || it === '1')
  return {
    isEfi: source.names('/sys/firmware/efi') !== undefined,
    isLaptop: LAPTOPS.includes(chassis),
    ...defined({ board, mux: mux && (mux === '1' ? 'integrated' : 'discrete') })
  }
}

/** The release that NixOS calls itself; undefined for another system. */
function nixosRelease(text: string): string | undefined {
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1]
  return field('ID') === 'nixos' ? field('VERSION_ID') : undefined
}
