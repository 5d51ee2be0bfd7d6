import { assignableUnits, type Group, iommuGroups, monitorsAt } from '../../machine/cards.ts'
import type { Candidate, VirtualCandidate } from '../../machine/gates.ts'
import { idOf, type Machine, type PciDevice } from '../../machine/machine.ts'
import { classWord } from '../../machine/messages.ts'
import { isBridge, isDisplay } from '../../machine/read/pci.ts'
import { isVgpu, virtualFunctionsOf } from '../../machine/virtualFunctions.ts'
import { visibleLine } from '../../nix/text/visible.ts'
import { list, type Names, whyNot } from '../messages/devices.ts'
import { type Advice, commandLine } from '../messages/scan.ts'
import { paint, type Screen, wrap } from './output.ts'

/** The data of the table. */
export interface Scan {
  machine: Machine
  candidates: readonly Candidate[]
  virtual: readonly VirtualCandidate[]
  names: Names
}

interface Look {
  screen: Screen
  /** Whether the locale has more than ASCII. */
  isUnicode: boolean
  /** Whether groups that contain only bridges are also listed. */
  showsBridges: boolean
}

// A narrower name does not identify a device.
const NAME = 24
const GAP = '  '

/** The devices by IOMMU group, then the machine; lines of at most the screen's width. */
export function scanTable(scan: Scan, look: Look): string[] {
  const width = widthOf(look.screen)
  const table = { scan, look, width, columns: columnsOf(scan.machine.devices, width) }
  const shown = iommuGroups(scan.machine).filter(
    it => look.showsBridges || it.devices.some(device => !isBridge(device))
  )
  const groups = shown.flatMap(group => [...groupLines(group, table), ''])
  return [...groups, ...systemLines(scan.machine, width)]
}

/** The width of the table: neither too narrow for its columns nor too wide to read. */
export function widthOf({ width }: Screen): number {
  return Math.min(200, Math.max(60, width))
}

interface Columns {
  address: number
  id: number
  kind: number
  driver: number
  /** Zero if names are on separate lines. */
  name: number
}

function columnsOf(devices: readonly PciDevice[], width: number): Columns {
  const widest = (words: readonly string[], most: number) =>
    Math.min(most, Math.max(1, ...words.map(it => it.length)))
  const address = widest(
    devices.map(it => it.address),
    16
  )
  const kind = widest(
    devices.map(it => classWord(it.class)),
    11
  )
  const driver = widest(devices.map(driverOf), 14)
  const id = 9
  const rest = width - (address + id + kind + driver + GAP.length * 5)
  return { address, id, kind, driver, name: rest < NAME ? 0 : rest }
}

interface Table {
  scan: Scan
  look: Look
  width: number
  columns: Columns
}

function groupLines(group: Group, table: Table): string[] {
  const { look, width } = table
  const head = wrap(titleOf(group), width, GAP).map(it => paint(look.screen, 'bold', it))
  return [...head, ...group.devices.flatMap(it => deviceLines(it, table))]
}

function titleOf({ id, devices, isShared }: Group): string {
  if (id === undefined) return 'In no IOMMU group'
  if (!isShared) return `IOMMU group ${id}`
  // No guest can have both a device and one of its virtual functions.
  const physical = devices.find(it => devices.some(at => at.physicalFunction === it.address))
  if (physical) return `IOMMU group ${id}, shared by ${physical.address} and its virtual functions`
  return `IOMMU group ${id}, shared: ${list(assignableUnits(devices))} can only be passed through together`
}

function deviceLines(device: PciDevice, { scan, look, width, columns }: Table): string[] {
  const { screen, isUnicode } = look
  const full = scan.names.get(idOf(device)) ?? ''
  const mark = isDisplay(device) ? (isUnicode ? '●' : '*') : ' '
  const cells = [
    device.address.padEnd(columns.address),
    idOf(device).padEnd(columns.id),
    classWord(device.class).padEnd(columns.kind),
    cut(driverOf(device) || '-', columns.driver, isUnicode).padEnd(columns.driver)
  ]
  // The whole name of a card is always shown.
  const isBelow = columns.name === 0 || (isDisplay(device) && full.length > columns.name)
  const name = isBelow ? '' : cut(full, columns.name, isUnicode)
  const line = `${mark} ${[...cells, name].join(GAP)}`.trimEnd()
  const indent = ' '.repeat(2 + columns.address + GAP.length)
  const below = (text: string) => wrap(text, width - indent.length).map(it => `${indent}${it}`)
  return [
    isDisplay(device) ? paint(screen, 'bold', line) : line,
    ...(isBelow && full !== '' ? below(full) : []),
    ...(isDisplay(device) ? displayFacts(device, scan).flatMap(below) : []),
    ...virtualFacts(device, scan).flatMap(below)
  ]
}

/** The facts about a virtual function, or the virtual functions of a device. */
function virtualFacts(device: PciDevice, { machine, virtual }: Scan): string[] {
  const own = virtual.find(it => it.device === device)
  if (own) {
    const verdict =
      own.verdict === 'free'
        ? `can be passed through at run time (managed='${isVgpu(device) ? 'no' : 'yes'}')`
        : `stays with the host: ${own.reasons.map(whyNot).join('; ')}`
    return [`virtual function of ${device.physicalFunction}; ${verdict}`]
  }
  const count = virtualFunctionsOf(machine, device.address).length
  const total = device.sriov?.total
  if (count === 0) return total === undefined ? [] : [`virtual functions: none of at most ${total}`]
  return [`virtual functions: ${count}${total === undefined ? '' : ` of at most ${total}`}`]
}

function driverOf({ driver = '' }: PciDevice): string {
  return visibleLine(driver)
}

function displayFacts(device: PciDevice, { candidates }: Scan): string[] {
  const own = candidates.find(it => it.card.display.address === device.address)
  const monitors = monitorsAt(device)
  const facts = [
    ...(monitors.length > 0 ? [`monitor at ${list(monitors)}`] : []),
    ...(device.bootVga === true ? ["the firmware's boot display (boot_vga)"] : []),
    ...(device.resetMethods === undefined
      ? []
      : [`resets: ${device.resetMethods.join(', ') || 'none'}`])
  ]
  return [...(facts.length > 0 ? [facts.join('; ')] : []), ...(own ? [verdictOf(own)] : [])]
}

function verdictOf({ verdict, reasons }: Candidate): string {
  const why = reasons.map(whyNot).join('; ')
  switch (verdict) {
    case 'free':
      return 'can be passed through'
    case 'confirm':
      return `can be passed through if you confirm it: ${why}`
    case 'separate':
      return `can be passed through with --bind hooks or --specialisation: ${why}`
    case 'kept':
      return `stays with the host: ${why}`
  }
}

function systemLines(machine: Machine, width: number): string[] {
  const { iommu, memory, firmware, kernel, nixos } = machine
  const facts: [title: string, text: string][] = [
    ['Processor', processorOf(machine)],
    ['IOMMU', `${offerOf(machine)}; ${useOf(iommu.groups)}`],
    ['Memory', memoryOf(memory)],
    ['System', [nixos ? `NixOS ${nixos}` : 'not NixOS', `Linux ${kernel ?? '?'}`].join(', ')]
  ]
  if (firmware.board !== undefined) facts.push(['Board', firmware.board])
  if (firmware.mux !== undefined) {
    const which = firmware.mux === 'discrete' ? 'graphics card' : 'processor'
    facts.push(['Panel', `switched to the ${which} (gpu_mux_mode)`])
  }
  return facts.flatMap(([title, text]) =>
    wrap(`${title.padEnd(9)}  ${text}`, width, ' '.repeat(11))
  )
}

function processorOf({ cpu }: Machine): string {
  const name = cpu.model ?? 'unknown'
  if (cpu.hasVirtualisation === undefined) return name
  return cpu.hasVirtualisation ? `${name}, with virtualisation` : `${name}, no virtualisation`
}

function offerOf({ iommu: { isOffered } }: Machine): string {
  if (isOffered === undefined) return 'unknown whether the firmware offers it'
  return isOffered ? 'offered by the firmware' : 'not offered by the firmware'
}

function useOf(groups: number): string {
  return groups > 0 ? `used by the kernel, ${groups} groups` : 'not used by the kernel'
}

function memoryOf({ total, hugepages }: Machine['memory']): string {
  const size = total === undefined ? 'unknown' : `${(total / 1024 / 1024).toFixed(1)} GiB`
  const pages = hugepages.map(it => `${it.count} of ${sizeOf(it.sizeKiB)}`)
  return `${size}; hugepages: ${pages.length > 0 ? pages.join(', ') : 'none'}`
}

function sizeOf(sizeKiB: number): string {
  return sizeKiB >= 1024 * 1024 ? `${sizeKiB / 1024 / 1024} GiB` : `${sizeKiB / 1024} MiB`
}

function cut(text: string, width: number, isUnicode: boolean): string {
  if (text.length <= width) return text
  const dots = isUnicode ? '…' : '...'
  return `${text.slice(0, width - dots.length)}${dots}`
}

export type ScanBody = ReturnType<typeof scanBody>

/** The report of `scan` for programs; sizes are in bytes, unknown facts are null. */
export function scanBody(scan: Scan, advice: Advice) {
  const { machine, candidates, virtual, names } = scan
  const { iommu, cpu, memory, firmware } = machine
  return {
    kind: 'scan' as const,
    iommu: {
      enabled: iommu.groups > 0,
      offered: iommu.isOffered ?? null,
      groups: iommu.groups,
      cmdline: machine.kernelParams.filter(it => it.includes('iommu'))
    },
    cpu: {
      vendor: cpu.vendor ?? null,
      model: cpu.model ?? null,
      virtualisation: cpu.hasVirtualisation ?? null,
      hugepages1G: cpu.hasHugePages1G ?? null
    },
    memory: {
      total: memory.total === undefined ? null : memory.total * 1024,
      hugepages: memory.hugepages.map(it => ({ size: it.sizeKiB * 1024, count: it.count }))
    },
    system: {
      nixos: machine.nixos ?? null,
      kernel: machine.kernel ?? null,
      efi: firmware.isEfi,
      board: firmware.board ?? null,
      laptop: firmware.isLaptop,
      mux: firmware.mux ?? null
    },
    groups: iommuGroups(machine).map(it => groupReport(it, names)),
    cards: candidates.map(({ card, verdict, reasons }) => ({
      address: card.display.address,
      functions: card.functions.map(it => it.address),
      integrated: card.isIntegrated,
      verdict,
      reasons: reasonsReport(reasons)
    })),
    virtualFunctions: virtual.map(({ device, verdict, reasons }) => ({
      address: device.address,
      physicalFunction: device.physicalFunction ?? '',
      verdict,
      reasons: reasonsReport(reasons)
    })),
    advice: { text: advice.text, command: commandLine(advice) }
  }
}

function reasonsReport(reasons: Candidate['reasons']) {
  return reasons.map(it => ({ code: it.code, message: whyNot(it) }))
}

function groupReport({ id, devices, isShared }: Group, names: Names) {
  return {
    id: id === undefined ? null : Number(id),
    // Whether the group, apart from bridges, is one card, one device or one virtual function.
    viable: !isShared,
    devices: devices.map(it => deviceReport(it, names))
  }
}

function deviceReport(device: PciDevice, names: Names) {
  return {
    address: device.address,
    id: idOf(device),
    class: device.class,
    name: names.get(idOf(device)) ?? null,
    driver: device.driver ?? null,
    bootVga: device.bootVga ?? null,
    displayConnected: device.connectors.some(it => it.isConnected),
    connectors: device.connectors.map(it => ({ name: it.name, connected: it.isConnected })),
    resetMethods: device.resetMethods ?? null
  }
}
