// A dump of a machine gives the same findings as the machine.

import { expect, it } from 'vitest'
import { withoutIdentity } from '../../src/machine/dump/dump.ts'
import type { Machine } from '../../src/machine/machine.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { type Recording, recordedSource, recordingSource } from '../../src/machine/source.ts'
import { CASES } from './cases.ts'
import { comparisonOf, pathOf, recordingWith, system, systems, type Tree } from './support.ts'

/** A machine, and the same machine from its dump. */
function both(name: string, tree: Tree = {}): [machine: Machine, dumped: Machine] {
  const recording: Recording = new Map()
  const machine = readMachine(recordingSource(recordedSource(recordingWith(name, tree)), recording))
  return [machine, readMachine(recordedSource(withoutIdentity(recording).recording))]
}

it.each(CASES)(
  'a dump gives the same findings as the machine for $code, $title',
  ({ machine: name, tree, bad, good }) => {
    const [machine, dumped] = both(name, tree)
    expect(comparisonOf(bad, dumped)).toEqual(comparisonOf(bad, machine))
    if (good.includes('vfio'))
      expect(comparisonOf(good, dumped)).toEqual(comparisonOf(good, machine))
  }
)

const ids = 'iommu=pt vfio-pci.ids=10de:1b80,10de:10f0'
const configuration = `{
  specialisation.alice.configuration.virtualisation.vfio = {
    enable = true; IOMMUType = "amd"; devices = [ "10de:1b80" "10de:10f0" ];
  };
}`
const built: Tree = {
  ...system('5', ids),
  [`${pathOf('1')}/specialisation/alice`]: `-> ${pathOf('5')}`
}
const other: Tree = {
  ...built,
  ...system('6', 'quiet'),
  [`${pathOf('1')}/specialisation/bob`]: `-> ${pathOf('6')}`
}

it.each<[string, Tree, string]>([
  ['that was built', systems('quiet', 'quiet', built), configuration],
  [
    'that runs',
    { ...systems('quiet', 'quiet', built), '/run/booted-system': `-> ${pathOf('5')}` },
    configuration
  ],
  ['that was not built', systems('quiet', 'quiet'), configuration],
  [
    'next to one without devices',
    systems('quiet', 'quiet', other),
    `${configuration.slice(0, -1)} specialisation.bob.configuration.x = 1; }`
  ]
])('a dump gives the same result as the machine for a named boot entry %s', (title, tree, text) => {
  const [machine, dumped] = both('x570-two-makers', tree)
  const [live, fromDump] = [comparisonOf(text, machine), comparisonOf(text, dumped)]
  // It is unknown which of two placeholders it has.
  if (title.startsWith('next to')) expect(fromDump.entry).toBe(live.entry)
  else expect(fromDump).toEqual(live)
})

it.each([
  ['root=fstab loglevel=4 iommu=pt', 'root=fstab loglevel=7 iommu=pt', 'after-reboot'],
  ['iommu=pt resume=/dev/mapper/alice', 'iommu=pt resume=/dev/mapper/alice', 'active']
])(
  'a dump shows whether a reboot is due, without its parameters: %s, then %s',
  (booted, next, verdict) => {
    const tree = systems(booted, next)
    const text = '{ boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80,10de:10f0" ]; }'
    const [machine, dumped] = both('x570-two-makers', tree)
    expect(comparisonOf(text, dumped)).toEqual(comparisonOf(text, machine))
    expect(comparisonOf(text, dumped).things[0]).toMatchObject({ kind: 'system', verdict })
  }
)
