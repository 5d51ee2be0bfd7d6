// For generated machines and guests: no disk that the host uses is passed through.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sourceFile } from '../../src/configuration/files.ts'
import { passedDisks } from '../../src/guests/needs/disks.ts'
import { readXml } from '../../src/guests/xml/readXml.ts'
import { makeDump, parseDump } from '../../src/machine/dump/dump.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import {
  type Recording,
  recordedSource,
  recordingSource,
  type Source
} from '../../src/machine/source.ts'
import {
  configuredDevices,
  type DiskHost,
  type JudgedDisks
} from '../../src/plan/disks/configuredDevices.ts'
import { judgeDisks } from '../../src/plan/disks/guestDisks.ts'
import { type DiskMachine, diskMachines, type Volume } from '../machine/support/disks.ts'
import { sourceFrom } from '../machine/support/tree.ts'
import { seed } from '../support/seed.ts'

const SPELLINGS: readonly ((path: string) => string)[] = [
  path => `/dev/${path}`,
  path => `/dev/${path}`,
  path => `/dev//${path}`,
  path => `/dev/./${path}`,
  path => `/dev/disk/../${path}`
]

const ELEMENTS: readonly ((path: string) => string)[] = [
  it => `<devices><disk type='block'><source dev='${it}'/></disk></devices>`,
  it => `<devices><disk type='file' device='lun'><source file='${it}'/></disk></devices>`,
  it =>
    `<devices><disk type='file'><source file='/var/a.qcow2'/><backingStore type='block'><source dev='${it}'/></backingStore></disk></devices>`,
  it =>
    `<devices><hostdev mode='capabilities' type='storage'><source><block>${it}</block></source></hostdev></devices>`,
  it =>
    `<qemu:commandline><qemu:arg value='-drive'/><qemu:arg value='if=virtio,file=${it}'/></qemu:commandline>`,
  it =>
    `<qemu:commandline><qemu:arg value='-blockdev'/><qemu:arg value='{"driver":"host_device","filename":"${it}","node-name":"a"}'/></qemu:commandline>`
]

const diskRequests = fc.record({
  volume: fc.nat(),
  name: fc.nat(),
  spelling: fc.nat(SPELLINGS.length - 1),
  element: fc.nat(ELEMENTS.length - 1)
})
type DiskRequest = { volume: number; name: number; spelling: number; element: number }

/** A guest that refers to a volume in one of several ways. */
function guestWith({ volumes }: DiskMachine, it: DiskRequest): { volume: Volume; xml: string } {
  const volume = volumes[it.volume % volumes.length] as Volume
  const names = [volume.name, `block/${volume.number}`, ...volume.links]
  const path = SPELLINGS[it.spelling]?.(names[it.name % names.length] ?? '') ?? ''
  const inner = ELEMENTS[it.element]?.(path) ?? ''
  const xmlns = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
  return { volume, xml: `<domain type='kvm' ${xmlns}><name>a</name>${inner}</domain>` }
}

function judge(machine: DiskMachine, xml: string, source: Source, isDump = false): JudgedDisks {
  const document = readXml(xml)
  if (!document.ok) throw new Error(document.error.message)
  const host: DiskHost = {
    machine: readMachine(source),
    isDump,
    follow: it => it,
    poolCalled: () => undefined,
    devices: configuredDevices([sourceFile('/a.nix', machine.configuration)]),
    entry: ''
  }
  return judgeDisks(passedDisks(document.value.root), host)
}

/** The machine as read from its dump. */
function dumped(source: Source): Source {
  const recording: Recording = new Map()
  readMachine(recordingSource(source, recording))
  const parsed = parseDump(makeDump(recording).texts.values())
  if (!parsed.ok) throw new Error(parsed.error)
  return recordedSource(parsed.value)
}

test('refuses every disk that the host uses, and accepts every free disk', () => {
  let taken = 0
  let free = 0
  fc.assert(
    fc.property(diskMachines, diskRequests, (machine, it) => {
      const { volume, xml } = guestWith(machine, it)
      const { used } = judge(machine, xml, sourceFrom(machine.tree))
      expect(used.length > 0).toBe(machine.taken.has(volume))
      if (machine.taken.has(volume)) taken++
      else free++
    }),
    { numRuns: 1000, seed }
  )
  // Otherwise nothing was tested.
  expect(taken).toBeGreaterThan(200)
  expect(free).toBeGreaterThan(200)
})

test('with a dump of the machine, refuses or notes every disk that the host uses', () => {
  let noted = 0
  let refused = 0
  fc.assert(
    fc.property(diskMachines, diskRequests, (machine, it) => {
      const { volume, xml } = guestWith(machine, it)
      const { used, notes } = judge(machine, xml, dumped(sourceFrom(machine.tree)), true)
      if (machine.taken.has(volume)) {
        if (used.length > 0) refused++
        else {
          noted++
          expect(notes.map(note => note.code)).toContain('DISK_NOT_IN_DUMP')
        }
      } else if (!machine.hasSpare) expect(used).toEqual([])
    }),
    { numRuns: 600, seed }
  )
  expect(refused).toBeGreaterThan(50)
  expect(noted).toBeGreaterThan(50)
})
