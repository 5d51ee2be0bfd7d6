// What is found on a machine is found in its dump.

import { expect, it } from 'vitest'
import { withoutIdentity } from '../../src/machine/dump/dump.ts'
import type { Machine } from '../../src/machine/machine.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { type Recording, recordedSource, recordingSource } from '../../src/machine/source.ts'
import { CASES } from './cases.ts'
import { held, pathOf, recordingWith, system, systems, type Tree } from './support.ts'

/** The machine, and what a dump says of it. */
function both(name: string, tree: Tree = {}): [machine: Machine, dumped: Machine] {
  const asked: Recording = new Map()
  const machine = readMachine(recordingSource(recordedSource(recordingWith(name, tree)), asked))
  return [machine, readMachine(recordedSource(withoutIdentity(asked).recording))]
}

it.each(CASES)('$code: $title', ({ machine: name, tree, bad, good }) => {
  const [machine, dumped] = both(name, tree)
  expect(held(bad, dumped)).toEqual(held(bad, machine))
  if (good.includes('vfio')) expect(held(good, dumped)).toEqual(held(good, machine))
})

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
    'beside one without devices',
    systems('quiet', 'quiet', other),
    `${configuration.slice(0, -1)} specialisation.bob.configuration.x = 1; }`
  ]
])('a boot entry with a name of its own %s', (title, tree, text) => {
  const [machine, dumped] = both('x570-two-makers', tree)
  const [there, here] = [held(text, machine), held(text, dumped)]
  // Which of two placeholders it has, nobody can tell.
  if (title.startsWith('beside')) expect(here.entry).toBe(there.entry)
  else expect(here).toEqual(there)
})

it.each([
  ['root=fstab loglevel=4 iommu=pt', 'root=fstab loglevel=7 iommu=pt', 'after-reboot'],
  ['iommu=pt resume=/dev/mapper/alice', 'iommu=pt resume=/dev/mapper/alice', 'active']
])('parameters that are left out: %s, then %s', (booted, next, verdict) => {
  const tree = systems(booted, next)
  const text = '{ boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80,10de:10f0" ]; }'
  const [machine, dumped] = both('x570-two-makers', tree)
  expect(held(text, dumped)).toEqual(held(text, machine))
  expect(held(text, dumped).things[0]).toMatchObject({ kind: 'system', verdict })
})
