import type { Candidate, VirtualCandidate } from '../../host/candidates.ts'
import { type Group, groupsOf } from '../../host/groups.ts'
import { idOf, type Machine, type PciDevice } from '../../host/machine.ts'
import type { Advice } from '../messages/advice.ts'
import { type Names, whyNot } from '../messages/deviceWords.ts'
import type { ScanBody } from '../report.ts'

/** What `scan` tells a program. */
export function scanBody(
  machine: Machine,
  candidates: readonly Candidate[],
  virtual: readonly VirtualCandidate[],
  names: Names,
  advice: Advice
): ScanBody {
  const { iommu, cpu, memory, firmware } = machine
  return {
    kind: 'scan',
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
    groups: groupsOf(machine).map(it => groupReport(it, names)),
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
    advice
  }
}

function reasonsReport(reasons: Candidate['reasons']) {
  return reasons.map(it => ({ code: it.code, message: whyNot(it) }))
}

function groupReport({ id, devices, isShared }: Group, names: Names): ScanBody['groups'][number] {
  return {
    id: id === undefined ? null : Number(id),
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
