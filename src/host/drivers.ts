import type { PciDevice } from './machine.ts'

const DISPLAY: Record<string, readonly string[]> = {
  '10de': ['nouveau', 'nova_core', 'nvidia', 'nvidiafb'],
  '1002': ['amdgpu', 'radeon'],
  '8086': ['i915', 'xe']
}

const OTHERS: readonly [code: string, module: string][] = [
  ['0403', 'snd_hda_intel'],
  ['0c0330', 'xhci_pci'],
  ['0c0320', 'ehci_pci'],
  ['0108', 'nvme'],
  ['010601', 'ahci']
]

/** Modules that take any device they are told to, and none by themselves. */
const FOR_GUESTS = ['vfio_pci', 'pci_stub', 'xen_pciback']

/**
 * The kernel modules whose drivers could take the device before vfio-pci does: those for its kind,
 * those that say they are for it, and the one that has it now. What a device is bound to now says
 * nothing where that is vfio-pci.
 */
export function competingDrivers(device: PciDevice): string[] {
  const { vendor, class: code, module } = device
  const kinds = OTHERS.filter(([it]) => code.startsWith(it)).map(([, it]) => it)
  const usual = code.startsWith('03')
    ? (DISPLAY[vendor] ?? [])
    : code.startsWith('0c80') && vendor === '10de'
      ? ['i2c_nvidia_gpu']
      : kinds
  // Without a module the driver is part of the kernel, and nothing can be loaded before it.
  const now = module === undefined ? [] : [module]
  const all = [...usual, ...(device.suitable ?? []), ...now]
  return [...new Set(all)].filter(it => !FOR_GUESTS.includes(it)).sort()
}
