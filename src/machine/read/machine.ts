// Opens and reads a machine.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defined } from '../../collections.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { trace } from '../../trace.ts'
import { parseDump } from '../dump/dump.ts'
import type { Cpu, Firmware, Iommu, Machine, Memory } from '../machine.ts'
import { recordedSource, type Source, systemAt } from '../source.ts'
import { readBridges, readKeyboards, readNetworks } from './networkAndInput.ts'
import { readAliases, readPci } from './pci.ts'
import { hasPools, readBlocks, readStorage } from './storage.ts'
import { readKernelLog, readLoadedModules, readSystems } from './systems.ts'

interface OpenMachine {
  source: Source
  /** True for a dump, which has no identifying names and numbers. */
  isDump: boolean
  /** The paths of the machine's tables with device names; absent for this system's tables. */
  pciIds?: readonly string[]
}

/** Why a folder can't be read as a machine. */
export type MachineProblem =
  | { code: 'NOT_A_FOLDER'; path: string }
  | { code: 'NO_MACHINE'; path: string }
  | { code: 'BAD_DUMP'; path: string; line: string }

/** Opens the machine in a folder, which is a dump or a root folder with `sys`; by default this machine. */
export function openMachine(folder: string | undefined): Result<OpenMachine, MachineProblem> {
  trace(`machine: ${folder === undefined ? 'this system' : `the folder ${folder}`}`)
  if (folder === undefined) return ok({ source: systemAt('/'), isDump: false })
  const names = folderEntries(folder)
  if (names === undefined) return err({ code: 'NOT_A_FOLDER', path: folder })
  if (isDump(names)) {
    const texts = names
      .filter(it => it.endsWith('.txt'))
      .map(it => readFileSync(join(folder, it), 'utf8'))
    const recording = parseDump(texts)
    trace(`machine: a dump of ${texts.length} files`)
    return recording.ok
      ? ok({ source: recordedSource(recording.value), isDump: true, ...nameTables(folder) })
      : err({ code: 'BAD_DUMP', path: folder, line: recording.error })
  }
  if (!names.includes('sys')) return err({ code: 'NO_MACHINE', path: folder })
  return ok({ source: systemAt(folder), isDump: false, ...nameTables(folder) })
}

/**
 * The paths of the tables with device names, as an option of `pciNamesOf`: the table in a dump, or the tables in a root
 * folder. Without a folder, an empty object, which means this system's tables.
 */
export function nameTables(folder: string | undefined): Pick<OpenMachine, 'pciIds'> {
  if (folder === undefined) return {}
  const tables = isDump(folderEntries(folder) ?? [])
    ? ['pci.ids']
    : ['usr/share/hwdata/pci.ids', 'usr/share/misc/pci.ids']
  return { pciIds: tables.map(it => join(folder, it)) }
}

/** True if a folder with these files is a dump. The dump of a machine without /sys has no `sys.txt`. */
function isDump(names: readonly string[]): boolean {
  return names.includes('sys.txt') || (names.includes('proc.txt') && names.includes('pci.ids'))
}

function folderEntries(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).sort()
  } catch {
    return undefined
  }
}

/**
 * Reads all facts about a machine that matter for passthrough. Needs no privileges and never fails: facts that can't be
 * read are absent.
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

// The chassis types of laptops in SMBIOS.
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

/** The NixOS release in the text of os-release; undefined for other systems. */
function nixosRelease(text: string): string | undefined {
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1]
  return field('ID') === 'nixos' ? field('VERSION_ID') : undefined
}
