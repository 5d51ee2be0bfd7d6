import { defined, groupBy } from '../../collections.ts'
import { addressesIn, type Connector, type PciDevice, type Sriov } from '../machine.ts'
import type { Source } from '../source.ts'
import { isVirtual } from '../virtualFunctions.ts'
import { readFramebuffers } from './systems.ts'

/** True for graphics devices of any kind; false for their virtual functions, which have no connectors. */
export function isDisplay(device: PciDevice): boolean {
  return device.class.startsWith('03') && !isVirtual(device)
}

/**
 * True if a monitor can be connected to the device. False for 3D controllers and "other" display devices, unless their
 * driver reports connectors.
 */
export function canHaveMonitor(device: PciDevice): boolean {
  const { class: code, connectors } = device
  return isDisplay(device) && (/^030[01]/.test(code) || connectors.length > 0)
}

/** True for bridges, which are never passed through and never prevent passing other devices through. */
export function isBridge(device: PciDevice): boolean {
  return device.class.startsWith('06')
}

const DEVICES = '/sys/bus/pci/devices'
const DRM = '/sys/class/drm'

/** The PCI devices of a machine, in the order of their addresses. */
export function readPci(source: Source, driversFor: Drivers): PciDevice[] {
  const connectors = readConnectors(source)
  const framebuffers = readFramebuffers(source)
  return (source.names(DEVICES) ?? []).flatMap(address => {
    const device = readDevice(source, address, connectors.get(address) ?? [])
    if (!device) return []
    const alias = source.text(`${DEVICES}/${address}/modalias`)?.trim()
    const suitable = alias === undefined ? [] : driversFor(alias)
    const holdsFramebuffer = framebuffers.has(address)
    return [
      {
        ...device,
        ...(suitable.length > 0 ? { suitable } : {}),
        ...(holdsFramebuffer ? { holdsFramebuffer } : {})
      }
    ]
  })
}

function readDevice(
  source: Source,
  address: string,
  connectors: readonly Connector[]
): PciDevice | undefined {
  const folder = `${DEVICES}/${address}`
  const value = (name: string) => source.text(`${folder}/${name}`)?.trim()
  const hex = (name: string, digits: number) => hexOf(value(name), digits)
  const [vendor, device, code] = [hex('vendor', 4), hex('device', 4), hex('class', 6)]
  if (vendor === undefined || device === undefined || code === undefined) return undefined
  const bootVga = value('boot_vga')
  const override = value('driver_override')
  const target = (name: string) => source.link(`${folder}/${name}`)?.split('/').at(-1)
  return {
    ...{ address, vendor, device, class: code, connectors },
    window: largestWindow(value('resource') ?? ''),
    upstreamBridges: addressesIn(source.link(folder) ?? '').filter(it => it !== address),
    ...defined({
      driver: target('driver'),
      module: target('driver/module'),
      reservedFor: override === '(null)' ? undefined : override || undefined,
      group: target('iommu_group'),
      // Only a virtual function has this link.
      physicalFunction: addressesIn(source.link(`${folder}/physfn`) ?? '').at(-1),
      sriov: readSriov(value),
      bootVga: bootVga === undefined ? undefined : bootVga === '1',
      resetMethods: value('reset_method')?.split(/\s+/).filter(Boolean)
    })
  }
}

/**
 * Reads the SR-IOV files of sysfs. `sriov_vf_device` is hexadecimal, on some kernels with `0x`; the other files are
 * decimal.
 */
function readSriov(value: (name: string) => string | undefined): Sriov | undefined {
  const number = (name: string) => {
    const text = value(name)
    return text !== undefined && /^\d+$/.test(text) && Number(text) > 0 ? Number(text) : undefined
  }
  const total = number('sriov_totalvfs')
  if (total === undefined) return undefined
  const device = hexOf(value('sriov_vf_device')?.replace(/^(?:0x)?/i, '0x'), 4)
  const [offset, stride] = ['sriov_offset', 'sriov_stride'].map(number)
  return { total, ...defined({ device, offset, stride }) }
}

/** The connectors by the address of their card. */
function readConnectors(source: Source): Map<string, Connector[]> {
  const found = new Map<string, Connector[]>()
  for (const name of source.names(DRM) ?? []) {
    const [, card, connector] = /^(card\d+)-(.+)$/.exec(name) ?? []
    if (card === undefined || connector === undefined) continue
    // The DRM card of the firmware's framebuffer has no `device`, but its own path contains the PCI device.
    const [device, path] = [`${DRM}/${card}/device`, `${DRM}/${card}`].map(it =>
      addressesIn(source.link(it) ?? '').at(-1)
    )
    const address = device ?? path
    const status = source.text(`${DRM}/${name}/status`)?.trim()
    if (address === undefined || status === undefined || connector.startsWith('Writeback')) continue
    const isConnected = status === 'connected'
    found.set(address, [...(found.get(address) ?? []), { name: connector, isConnected }])
  }
  return found
}

const MEMORY = 0x200n
const PREFETCH = 0x2000n

/** The size of the largest prefetchable memory region among the six BARs of a device. */
function largestWindow(resource: string): number {
  const lines = resource.split('\n').slice(0, 6)
  const sizes = lines.map(line => {
    if (!/^0x[0-9a-f]+ 0x[0-9a-f]+ 0x[0-9a-f]+$/.test(line)) return 0
    const [start = 0n, end = 0n, flags = 0n] = line.split(' ').map(BigInt)
    const isMemory = (flags & MEMORY) !== 0n && (flags & PREFETCH) !== 0n
    return isMemory && end > start ? Number(end - start + 1n) : 0
  })
  return Math.max(0, ...sizes)
}

function hexOf(text: string | undefined, digits: number): string | undefined {
  const found = /^0x([0-9a-f]+)$/i.exec(text ?? '')?.[1]
  return found?.toLowerCase().padStart(digits, '0')
}

/** Returns the modules with an alias that matches the modalias of a device. */
type Drivers = (modalias: string) => string[]

/**
 * Reads the aliases of the running kernel's modules. `modules` is the folder of the booted system that contains
 * `lib/modules`, if known.
 */
export function readAliases(
  source: Source,
  kernel: string | undefined,
  modules: string | undefined
): Drivers {
  const folders = [modules, ''].filter(it => it !== undefined)
  const texts = folders.map(it => source.text(`${it}/lib/modules/${kernel}/modules.alias`))
  const text = kernel === undefined ? undefined : texts.find(it => it !== undefined)
  return parseAliases(text ?? '')
}

/** Parses a `modules.alias`. */
export function parseAliases(text: string): Drivers {
  const lines = [...text.matchAll(/^alias (pci:v\S+) (\S+)$/gm)]
  const all = lines.map(([, pattern = '', module = '']) => ({ pattern, module }))
  const byVendor = groupBy(all, it => vendorOf(it.pattern))
  return modalias => {
    const candidates = [...(byVendor.get(vendorOf(modalias)) ?? []), ...(byVendor.get('') ?? [])]
    const names = candidates.filter(it => matchesAlias(modalias, it.pattern)).map(it => it.module)
    return [...new Set(names.map(it => it.replaceAll('-', '_')))].sort()
  }
}

/** The lines of a `modules.alias` that match one of these devices. */
export function matchingAliasLines(text: string, modaliases: readonly string[]): string {
  const lines = text.match(/^alias pci:v\S+ \S+$/gm) ?? []
  const about = (pattern: string) =>
    modaliases.some(
      it => ['', vendorOf(it)].includes(vendorOf(pattern)) && matchesAlias(it, pattern)
    )
  return lines
    .filter(it => about(it.split(' ')[1] ?? ''))
    .map(it => `${it}\n`)
    .join('')
}

/** The vendor in an alias; empty for a pattern that matches any vendor. */
function vendorOf(alias: string): string {
  return /^pci:v([0-9A-F]{8})/.exec(alias)?.[1] ?? ''
}

/** Matches an alias pattern. In patterns for PCI devices, `*` is the only wildcard. */
function matchesAlias(modalias: string, pattern: string): boolean {
  const parts = pattern.split('*').map(it => it.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(modalias)
}
