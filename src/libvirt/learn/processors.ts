import { attributeOf, find, findAll, textOf, type XmlElement } from '../tree.ts'
import { readCpuSet } from './cpuSet.ts'

/** The processors of the host that a domain names, by number. */
export interface Pins {
  /** Those that the guest's own are tied to, one by one. */
  guest: readonly number[]
  /** Those for what QEMU does besides. */
  helpers: readonly number[]
  /** Those that the guest as a whole may use; empty where it may use all. */
  allowed: readonly number[]
}

/** The processors of the host that a domain asks for. */
export function pinsOf(root: XmlElement): Pins {
  const count = processorsOf(root) ?? Number.POSITIVE_INFINITY
  // libvirt drops the pins of those that the guest does not have.
  const guest = findAll(root, 'cputune', 'vcpupin').filter(
    it => Number(attributeOf(it, 'vcpu')) < count
  )
  const helpers = ['emulatorpin', 'iothreadpin'].flatMap(it => findAll(root, 'cputune', it))
  const vcpu = find(root, 'vcpu')
  return { guest: cpuSets(guest), helpers: cpuSets(helpers), allowed: cpuSets(vcpu ? [vcpu] : []) }
}

function cpuSets(elements: readonly XmlElement[]): number[] {
  const all = elements.flatMap(it => readCpuSet(attributeOf(it, 'cpuset') ?? '') ?? [])
  return [...new Set(all)]
}

/** How many processors the guest has. */
export function processorsOf(root: XmlElement): number | undefined {
  const vcpu = find(root, 'vcpu')
  const found = /^\s*(\d{1,5})\s*$/.exec(vcpu ? textOf(vcpu) : '')?.[1]
  return found === undefined ? undefined : Number(found)
}
