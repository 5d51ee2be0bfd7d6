// On generated machines and configurations: an invisible passphrase prompt is always reported, and a visible one
// never.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findDarkPassphrases } from '../../src/check/darkPassphrase.ts'
import { type Finding, planFixes } from '../../src/lints/index.ts'
import type { Machine, PciDevice } from '../../src/machine/machine.ts'
import { planApply } from '../../src/plan/apply.ts'
import { chooseDevices } from '../../src/plan/devices.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { filesOf } from '../lints/support.ts'
import { inputFor } from '../plan/support/input.ts'
import { seed } from '../support/seed.ts'

interface Card {
  maker: 'amd' | 'intel' | 'nvidia'
  /** The current driver: a graphics driver, vfio-pci, or none. */
  bound: 'own' | 'vfio-pci' | 'none'
  /** Whether its graphics driver is the second one of its vendor. */
  second: boolean
  isVGA: boolean
  monitor: boolean
}

const MAKERS = {
  amd: { vendor: '1002', drivers: ['amdgpu', 'radeon'] },
  intel: { vendor: '8086', drivers: ['i915', 'xe'] },
  nvidia: { vendor: '10de', drivers: ['nouveau', 'nvidia'] }
} as const

/** The module that draws a console on a card. */
function consoleOf({ maker, second }: Card): string {
  const driver = MAKERS[maker].drivers[second ? 1 : 0]
  return driver === 'nvidia' ? 'nvidia_drm' : driver
}

function deviceOf(card: Card, index: number, boot: number | undefined): PciDevice {
  const { maker, bound, isVGA, monitor, second } = card
  const { vendor, drivers } = MAKERS[maker]
  const own = drivers[second ? 1 : 0]
  const module = { own, 'vfio-pci': 'vfio_pci', none: undefined }[bound]
  const driver = { own, 'vfio-pci': 'vfio-pci', none: undefined }[bound]
  const connectors = bound === 'own' && isVGA ? [{ name: 'DP-1', isConnected: monitor }] : []
  return {
    ...{ address: addressOf(index), vendor, device: `100${index}`, connectors, window: 0 },
    class: isVGA ? '030000' : '030200',
    group: String(index),
    upstreamBridges: ['0000:00:01.0'],
    suitable: [own],
    ...(driver === undefined ? {} : { driver }),
    ...(module === undefined ? {} : { module }),
    ...(boot === undefined || !isVGA ? {} : { bootVga: boot === index })
  }
}

function addressOf(index: number): string {
  return `0000:0${index + 1}:00.0`
}

const idOf = (device: PciDevice) => `${device.vendor}:${device.device}`

interface World {
  cards: Card[]
  /** The index of the card on which the firmware draws, modulo the number of cards; undefined if unknown. */
  boot: number | undefined
  passed: boolean[]
  way: Way
  prompt: Prompt
  framebuffer: 'on' | 'parameter' | 'option'
  loaded: string[]
  isAvailable: boolean
  desktop: 'nvidia' | 'amdgpu' | undefined
}

const WAYS = [
  ...(['gpu', 'device', 'address', 'domain', 'specialisation', 'hooks'] as const),
  ...(['parameter', 'modprobe', 'late', 'entry'] as const)
] as const
type Way = (typeof WAYS)[number]

/** Definitions of disks, and whether a passphrase is asked for. */
const PROMPTS = {
  'no encryption': ['fileSystems."/".fsType = "ext4";', 'never'],
  LUKS: ['boot.initrd.luks.devices.root.device = "/dev/sda2";', 'always'],
  'LUKS with a key': ['boot.initrd.luks.devices.root.keyFile = "/key";', 'never'],
  'LUKS with TPM2': [
    'boot.initrd.luks.devices.root.crypttabExtraOpts = [ "tpm2-device=auto" ];',
    'never'
  ],
  'a pool': ['fileSystems."/" = { device = "p/root"; fsType = "zfs"; };', 'perhaps'],
  'an encrypted pool': [
    'fileSystems."/" = { device = "p/root"; fsType = "zfs"; }; boot.zfs.requestEncryptionCredentials = [ "p" ];',
    'always'
  ],
  bcachefs: ['fileSystems."/" = { device = "/dev/sda2"; fsType = "bcachefs"; };', 'perhaps']
} as const
type Prompt = keyof typeof PROMPTS

const world: fc.Arbitrary<World> = fc.record({
  cards: fc.array(
    fc.record({
      maker: fc.constantFrom<Card['maker']>('amd', 'intel', 'nvidia'),
      bound: fc.constantFrom<Card['bound']>('own', 'own', 'own', 'vfio-pci', 'none'),
      second: fc.boolean(),
      isVGA: fc.constantFrom(true, true, true, false),
      monitor: fc.boolean()
    }),
    { minLength: 1, maxLength: 4 }
  ),
  boot: fc.constantFrom(0, 0, 1, 2, 3, undefined),
  passed: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  way: fc.constantFrom(...WAYS),
  prompt: fc.constantFrom('LUKS', 'LUKS', ...(Object.keys(PROMPTS) as Prompt[])),
  framebuffer: fc.constantFrom('on', 'on', 'on', 'parameter', 'option'),
  loaded: fc.subarray(['amdgpu', 'radeon', 'i915', 'xe', 'nouveau', 'nvidia', 'nvidia_drm']),
  isAvailable: fc.boolean(),
  desktop: fc.constantFrom(undefined, 'nvidia', 'amdgpu')
})

const machineOf = ({ cards, boot }: World): Machine => ({
  devices: cards.map((it, i) =>
    deviceOf(it, i, boot === undefined ? undefined : boot % cards.length)
  ),
  iommu: { isOffered: true, groups: 4 },
  cpu: { vendor: 'amd' },
  memory: { hugepages: [] },
  firmware: { isEfi: true, isLaptop: false },
  kernelParams: [],
  storage: [],
  networks: [],
  keyboards: []
})

/** The lines that all configurations of a world have, with one list of kernel parameters. */
function common(
  { prompt, framebuffer, loaded, isAvailable, way, passed, cards, desktop }: World,
  ids: string
): string[] {
  const given = cards.some((_, i) => passed[i])
  const params = [
    ...(framebuffer === 'parameter' ? ['initcall_blacklist=sysfb_init'] : []),
    ...(given && (way === 'parameter' || way === 'late') ? [`vfio-pci.ids=${ids}`] : [])
  ]
  const list = (names: readonly string[]) => `[ ${names.map(it => `"${it}"`).join(' ')} ]`
  const forced = [
    ...(isAvailable ? [] : loaded),
    ...(way === 'parameter' || way === 'modprobe' ? ['vfio_pci'] : [])
  ]
  return [
    PROMPTS[prompt][0],
    ...(desktop === undefined ? [] : [`services.xserver.videoDrivers = [ "${desktop}" ];`]),
    `boot.kernelParams = ${list(params)};`,
    `boot.initrd.kernelModules = ${list(forced)};`,
    `boot.initrd.availableKernelModules = ${list(isAvailable ? loaded : [])};`,
    ...(framebuffer === 'option' ? ['virtualisation.vfio.disableEFIfb = true;'] : []),
    ...(way === 'late' ? ['boot.kernelModules = [ "vfio_pci" ];'] : []),
    ...(way === 'modprobe' && given
      ? [`boot.extraModprobeConfig = "options vfio-pci ids=${ids}";`]
      : [])
  ]
}

/** The configuration as `apply` or a user writes it; undefined if `apply` refuses. */
function configurationOf(it: World, machine: Machine): string | undefined {
  const passed = machine.devices.filter((_, i) => it.passed[i])
  const ids = passed.map(idOf).join(',')
  const text = (more: readonly string[] = []) =>
    `{ ... }:\n{\n${[...common(it, ids), ...more].map(line => `  ${line}\n`).join('')}}\n`
  const addresses = passed.map(device => device.address)
  switch (it.way) {
    case 'parameter':
    case 'modprobe':
    case 'late':
      return text()
    case 'entry':
      return text([
        `specialisation.vfio.configuration.virtualisation.vfio = { enable = true; devices = [ ${passed.map(device => `"${idOf(device)}"`).join(' ')} ]; };`
      ])
    default: {
      const named: Settings =
        it.way === 'device'
          ? { devices: passed.map(idOf) }
          : it.way === 'address'
            ? { addresses }
            : it.way === 'hooks'
              ? { bindAtBoot: false }
              : {}
      const byCard = it.way === 'gpu' || it.way === 'specialisation' || it.way === 'hooks'
      const specialisation = it.way === 'specialisation' ? 'vfio' : undefined
      const chosen = chooseDevices(machine, named, {
        gpus: byCard ? addresses : [],
        devices: it.way === 'domain' ? addresses : [],
        confirmed: addresses,
        specialisation
      })
      if (!chosen.ok) return undefined
      const more = { specialisation }
      const plan = planApply(inputFor('/x/configuration.nix', text(), chosen.value.settings, more))
      return plan.ok ? plan.value.configuration.text : undefined
    }
  }
}

/**
 * Whether the prompt is visible: on the firmware's framebuffer, unless that is off or on a card that vfio-pci
 * binds in the initrd; or on the card with the monitor, if its driver is in the initrd.
 */
function isVisible(it: World, boot: number | undefined, binds: boolean): boolean {
  const isGone = (i: number) => binds && it.passed[i] === true
  if (it.framebuffer === 'on' && (boot === undefined || !isGone(boot))) return true
  const stay = it.cards
    .map((card, i) => ({ card, i }))
    .filter(({ card, i }) => card.isVGA && !isGone(i))
  const shown = stay.filter(({ card }) => card.bound === 'own' && card.monitor)
  // NixOS blacklists nouveau if NVIDIA's driver is enabled.
  const loaded = it.loaded.filter(at => at !== 'nouveau' || it.desktop !== 'nvidia')
  return (shown.length > 0 ? shown : stay).some(({ card }) => loaded.includes(consoleOf(card)))
}

/** For one boot entry, whether the prompt is visible with each card that the firmware may draw on. */
function outcomesIn(it: World, binds: boolean): boolean[] {
  const shown = it.cards.map((_, i) => i).filter(i => it.cards[i]?.isVGA)
  if (it.boot !== undefined) {
    const boot = it.boot % it.cards.length
    return [isVisible(it, shown.includes(boot) ? boot : undefined, binds)]
  }
  return shown.length === 0
    ? [isVisible(it, undefined, binds)]
    : shown.map(i => isVisible(it, i, binds))
}

/** The same for each boot entry: the default one, and a specialisation that passes the cards through. */
function outcomes(it: World): boolean[][] {
  const isSeparate = it.way === 'specialisation' || it.way === 'entry'
  const isEarly = it.way !== 'late' && it.way !== 'hooks'
  return isSeparate ? [outcomesIn(it, false), outcomesIn(it, true)] : [outcomesIn(it, isEarly)]
}

function reported(text: string, machine: Machine): Finding[] {
  return findDarkPassphrases(filesOf(text), { importsModules: true }, machine)
}

test('reports all invisible prompts, and no visible ones', { timeout: 120_000 }, () => {
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(world, it => {
      const machine = machineOf(it)
      const text = configurationOf(it, machine)
      if (text === undefined) return
      const [, asked] = PROMPTS[it.prompt]
      const entries = outcomes(it)
      const isDark = asked !== 'never' && entries.some(at => at.includes(false))
      const found = reported(text, machine)
      expect(found.length > 0).toBe(isDark)
      // If it is unknown on which card the firmware draws, nothing about its framebuffer is certain.
      const isKnown = it.boot !== undefined || it.framebuffer !== 'on'
      const level = asked === 'always' && isKnown ? 'problem' : 'note'
      expect(found.map(at => at.level)).toEqual(found.map(() => level))
      const key = `${it.way} ${isDark ? 'dark' : 'visible'}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }),
    { numRuns: 900, seed }
  )
  // All ways must have occurred with both outcomes.
  for (const way of WAYS) {
    for (const outcome of ['dark', 'visible']) {
      expect(seen.get(`${way} ${outcome}`) ?? 0, `${way} ${outcome}`).toBeGreaterThan(0)
    }
  }
})

test("makes a prompt visible with its fix, which loads only the host's drivers", {
  timeout: 120_000
}, () => {
  // Only certain findings have a fix.
  const encrypted = world.map((it): World => ({ ...it, prompt: 'LUKS' }))
  let fixed = 0
  fc.assert(
    fc.property(encrypted, it => {
      const machine = machineOf(it)
      const text = configurationOf(it, machine)
      const fixes = text === undefined ? [] : reported(text, machine).flatMap(at => at.fix ?? [])
      const [file] = filesOf(text ?? '')
      if (fixes.length === 0 || !file) return
      const planned = planFixes(file.doc, [fixes])
      if (!planned.ok) throw new Error(planned.error.message)
      const left = reported(planned.value.plan.text, machine)
      expect(left.filter(at => at.fix)).toEqual([])
      const loaded = fixes.flatMap(at => (at.op === 'add' ? at.items.map(String) : []))
      const isAnywhere = ['late', 'hooks', 'specialisation', 'entry'].includes(it.way)
      const stay = it.cards.filter((_, i) => !it.passed[i] || isAnywhere)
      expect(stay.map(consoleOf)).toEqual(expect.arrayContaining(loaded))
      const after = outcomes({ ...it, loaded: [...it.loaded, ...loaded] })
      expect(left.length > 0).toBe(after.some(at => at.includes(false)))
      fixed++
    }),
    { numRuns: 500, seed }
  )
  expect(fixed).toBeGreaterThan(40)
})
