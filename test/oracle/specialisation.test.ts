// Passthrough in a separate boot entry, on each machine: the default entry evaluates as before, and the new
// entry binds the card.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { chooseDevices, type DeviceRequest } from '../../src/plan/devices.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { machineCalled, NAMES } from '../machine/support/machines.ts'
import { carryOut, inputFor } from '../plan/support/input.ts'
import { describeWithOracle, evalNix, nixPath, type Oracle } from './evalModules.ts'
import { type State, stateOf, withNixos } from './machines.ts'

const declaration = fileURLToPath(new URL('specialisation.nix', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A desktop with a kernel parameter, guests and another boot entry. */
const GIVEN = `{ lib, ... }:
{
  boot.kernelParams = [ "quiet" ];
  virtualisation.libvirtd.enable = true;

  specialisation.games.configuration = {
    boot.kernelParams = [ "mitigations=off" ];
  };
}
`

interface Case {
  machine: string
  gpu: string
  /** The gates that keep the card from being bound in the default entry. */
  gate?: string
  settings?: Settings
  asked?: Partial<DeviceRequest>
  /** The kernel parameters that the new entry has in addition to those of the default entry. */
  adds: string[]
  addresses?: string[]
}

const CASES: Case[] = [
  {
    machine: 'x570-two-makers',
    gpu: '0000:01:00.0',
    adds: ['iommu=pt', 'vfio-pci.ids=10de:1b80,10de:10f0']
  },
  {
    machine: 'x570-two-makers',
    gpu: '0000:0a:00.0',
    gate: 'SHOWS_SCREEN',
    adds: ['iommu=pt', 'vfio-pci.ids=1002:6985,1002:aae0']
  },
  {
    machine: 'already-bound',
    gpu: '0000:0a:00.0',
    gate: 'ONLY_DISPLAY',
    adds: ['iommu=pt', 'vfio-pci.ids=1002:6985,1002:aae0']
  },
  {
    machine: 'amd-reset',
    gpu: '0000:01:00.0',
    gate: 'SHOWS_SCREEN',
    adds: ['intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=1002:67df,1002:aaf0']
  },
  {
    machine: 'dirty-group',
    gpu: '0000:0a:00.0',
    gate: 'SHOWS_SCREEN',
    adds: ['iommu=pt', 'vfio-pci.ids=10de:1b80,10de:10f0']
  },
  { machine: 'iommu-off', gpu: '0000:01:00.0', adds: ['intel_iommu=on', 'iommu=pt'] },
  {
    machine: 'iommu-off',
    gpu: '0000:01:00.0',
    asked: { assumesIsolated: true },
    adds: ['intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=10de:2504,10de:228e']
  },
  {
    machine: 'laptop-mux',
    gpu: '0000:01:00.0',
    adds: ['iommu=pt', 'vfio-pci.ids=10de:24dc,10de:228b']
  },
  {
    machine: 'shared-audio-id',
    gpu: '0000:0c:00.0',
    gate: 'SHOWS_SCREEN',
    adds: ['iommu=pt'],
    addresses: ['0000:0c:00.0', '0000:0c:00.1']
  },
  {
    machine: 'single-gpu',
    gpu: '0000:0a:00.0',
    gate: 'ONLY_DISPLAY',
    adds: ['iommu=pt', 'vfio-pci.ids=10de:1b80,10de:10f0']
  },
  {
    machine: 'split-groups',
    gpu: '0000:01:00.0',
    adds: ['intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=10de:1e82,10de:10f8,10de:1ad8,10de:1ad9']
  },
  {
    machine: 'three-cards',
    gpu: '0000:0a:00.0',
    settings: { users: ['alice'], sharedMemoryFiles: [{ name: 'looking-glass' }] },
    adds: ['iommu=pt', 'vfio-pci.ids=10de:2504,10de:228e']
  },
  {
    machine: 'two-identical',
    gpu: '0000:01:00.0',
    gate: 'SHOWS_SCREEN',
    adds: ['iommu=pt'],
    addresses: ['0000:01:00.0', '0000:01:00.1']
  },
  {
    // In an entry that binds the card, its virtual functions, which have the same ID, are not created.
    machine: 'virtual-functions',
    gpu: '0000:00:02.0',
    gate: 'HAS_VIRTUAL_FUNCTIONS,ONLY_DISPLAY',
    adds: ['intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=8086:4692']
  }
]

/** Writes the configuration with the card in a separate boot entry, and returns its path. */
function written({ machine, gpu, settings = {}, asked = {} }: Case): string {
  const choice = chooseDevices(machineCalled(machine), settings, {
    gpus: [gpu],
    confirmed: [],
    specialisation: 'vfio',
    ...asked
  })
  if (!choice.ok) throw new Error(`${machine}: ${choice.error.map(it => it.code).join()}`)
  const system = mkdtempSync(join(folder, `${machine}-`))
  const path = join(system, 'configuration.nix')
  carryOut(inputFor(path, GIVEN, choice.value.settings, { specialisation: 'vfio' }))
  return path
}

interface Entries {
  defaultEntry: State
  games: State
  vfio: (State & { addresses: string[] }) | null
}

/** The boot entries of these configurations, evaluated in one run. */
function entriesOf(oracle: Oracle, modules: readonly string[]): Entries[] {
  const lib = nixPath(oracle.nixpkgsLib)
  const result = evalNix(`
    let
      state = ${stateOf};
      bound = config: state config // {
        addresses = map (it: it.address) config.virtualisation.vfio.addresses;
      };
      entries = module:
        let
          inherit ((import ${lib}).evalModules {
            modules = [ (${withNixos('')}) ${nixPath(declaration)} module ];
          }) config;
          other = name: config.specialisation.\${name}.configuration;
        in {
          defaultEntry = state config;
          games = state (other "games");
          vfio = if config.specialisation ? vfio then bound (other "vfio") else null;
        };
    in map entries [ ${modules.join(' ')} ]`)
  if (!result.ok) throw new Error(result.error)
  return result.value as Entries[]
}

describeWithOracle('a separate boot entry', oracle => {
  let before: Entries
  let after: Entries[] = []
  beforeAll(() => {
    const [first, ...rest] = entriesOf(oracle, [`(${GIVEN})`, ...CASES.map(written).map(nixPath)])
    before = first as Entries
    after = rest
  })

  it('a separate boot entry is tested for every machine', () => {
    expect([...new Set(CASES.map(it => it.machine))].sort()).toEqual(NAMES)
  })

  it.each(CASES.map((it, i) => ({ ...it, i })))(
    'a separate boot entry binds $gpu of $machine',
    ({ i, ...given }) => {
      const { defaultEntry, games, vfio } = after[i] as Entries
      expect({ defaultEntry, games }).toEqual({
        defaultEntry: before.defaultEntry,
        games: before.games
      })
      expect(before.defaultEntry.kernelParams).toEqual(['quiet'])
      expect(vfio?.kernelParams).toEqual([...given.adds, 'quiet'])
      expect(vfio?.addresses).toEqual(given.addresses ?? [])
      expect(vfio?.failures).toEqual([])
      expect(vfio?.initrdKernelModules).toEqual(['vfio', 'vfio_iommu_type1', 'vfio_pci'])
    }
  )

  it('a separate boot entry has users and files that the default entry does not have', () => {
    const i = CASES.findIndex(it => it.machine === 'three-cards')
    const { defaultEntry, vfio } = after[i] as Entries
    expect(vfio?.groups).toEqual({ kvm: ['root', 'alice'], libvirtd: ['alice'] })
    expect(vfio?.tmpfiles).toEqual(['f /dev/shm/looking-glass 0660 alice kvm -'])
    expect({ groups: defaultEntry.groups, tmpfiles: defaultEntry.tmpfiles }).toEqual({
      groups: {},
      tmpfiles: []
    })
  })

  it.each(CASES)(
    'the default boot entry of $machine refuses $gpu: $gate',
    ({ machine, gpu, gate }) => {
      const choice = chooseDevices(machineCalled(machine), {}, { gpus: [gpu], confirmed: [] })
      expect(choice.ok ? undefined : choice.error.map(it => it.code).join()).toBe(gate)
    }
  )
})
