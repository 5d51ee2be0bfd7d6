import { attributeOf, find, findAll, type XmlElement } from '../tree.ts'
import { deviceNodes } from './deviceNodes.ts'
import { type PassedDevice, passedDevices } from './devices.ts'
import { type KvmfrDevice, kvmfrDevices, memoryOf, pageSizesOf, sharedFiles } from './memory.ts'
import { type Pins, pinsOf, processorsOf } from './processors.ts'

/** What a guest needs of its host, as its domain says. */
export interface Needs {
  /** In KiB. */
  memory: number | undefined
  /** How many processors. */
  processors: number | undefined
  pins: Pins
  /** Sizes of huge pages in KiB, undefined for that of the host; empty where it needs none. */
  pageSizes: readonly (number | undefined)[]
  devices: readonly PassedDevice[]
  /** Names of files in /dev/shm. */
  sharedFiles: readonly string[]
  kvmfr: readonly KvmfrDevice[]
  /** Device nodes that libvirt knows nothing of. */
  deviceNodes: readonly string[]
  /** Whether it has a TPM that the host plays. */
  hasTpm: boolean
  /** Networks of libvirt, bridges and interfaces of the host, by name. */
  networks: readonly string[]
  bridges: readonly string[]
  interfaces: readonly string[]
}

/**
 * What the host has to have ready for a guest. Arguments of QEMU for which libvirt has elements count as
 * what they are, so a domain is mended first.
 */
export function learn(root: XmlElement): Needs {
  return {
    memory: memoryOf(root),
    processors: processorsOf(root),
    pins: pinsOf(root),
    pageSizes: pageSizesOf(root),
    devices: passedDevices(root),
    sharedFiles: sharedFiles(root),
    kvmfr: kvmfrDevices(root),
    deviceNodes: deviceNodes(root),
    hasTpm: findAll(root, 'devices', 'tpm', 'backend').some(
      it => attributeOf(it, 'type') === 'emulator'
    ),
    networks: sourcesOf(root, 'network', 'network'),
    bridges: sourcesOf(root, 'bridge', 'bridge'),
    interfaces: sourcesOf(root, 'direct', 'dev')
  }
}

/** What the network cards of one type are connected to. */
function sourcesOf(root: XmlElement, type: string, attribute: string): string[] {
  const names = findAll(root, 'devices', 'interface')
    .filter(it => attributeOf(it, 'type') === type)
    .flatMap(it => {
      const source = find(it, 'source')
      return (source && attributeOf(source, attribute)) ?? []
    })
  return [...new Set(names)]
}
