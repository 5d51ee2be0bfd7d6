// One row for each thing that can be set up: its flag, help, parser, and the options that are written for it.
// Everything else is derived from these rows.

import { ok, type Result } from '../nix/result.ts'
import type { Flag } from './flag.ts'
import {
  addressesOption,
  defaultOption,
  devicesOption,
  guestsOption,
  hugepagesOption,
  itemsOption,
  kvmfrOption,
  LIBVIRTD,
  plannedOption,
  type SettingOption,
  sharedMemoryOption,
  VFIO,
  valueOption
} from './options.ts'
import {
  type BadSetting,
  parseAddress,
  parseDevice,
  parseDeviceNode,
  parseHugepages,
  parseSharedMemory,
  parseUser
} from './parse.ts'

/**
 * A flag that sets something up. Edits of `options` are reported with the flag as their reason.
 *
 * The value is stored under the name `setting`: whether a toggle is on, the result of `parse` (for `texts`,
 * of each value), or one of the `choices`. `setting` is null for flags that have no setting of their own.
 */
export type Setting = Flag & { options: readonly SettingOption[] } & (
    | { setting: null }
    | { setting: string; kind: 'toggle' }
    | { setting: string; kind: 'text' | 'texts'; parse: Parse }
    | { setting: string; kind: 'text'; choices: readonly string[] }
  )

type Parse = (value: string) => Result<unknown, BadSetting>

const ROWS = [
  {
    name: 'gpu',
    kind: 'texts',
    argument: 'ADDR',
    help: 'the graphics card at this address, whole, e.g. 0000:01:00.0; repeatable ("vfio-patch scan")',
    setting: null,
    options: [itemsOption(70, [...VFIO, 'competingDrivers'])]
  },
  {
    name: 'confirm',
    kind: 'texts',
    argument: 'ADDR',
    help: 'give that card away although it shows your screen',
    setting: null,
    options: []
  },
  {
    name: 'specialisation',
    kind: 'text',
    argument: 'NAME',
    help: 'put it all into a boot entry of its own, e.g. vfio; the usual one stays as it is. Later runs find it in FILE. To go back: "vfio-patch remove", then apply',
    setting: null,
    options: []
  },
  {
    name: 'assume-isolated',
    kind: 'switch',
    help: 'with that: give the card away though the IOMMU is still off, so that nobody sees what shares its group',
    setting: null,
    options: []
  },
  {
    name: 'domain',
    kind: 'text',
    argument: 'FILE.xml',
    help: 'the guest in this file (virsh dumpxml --inactive): it goes into vfio/guests/ as Nix, with what old files need mended; what it needs of the host is set up: devices, shared memory, huge pages, a TPM, which processors the host keeps while it runs',
    setting: null,
    options: [
      guestsOption,
      kvmfrOption,
      valueOption(190, [...LIBVIRTD, 'qemu', 'swtpm', 'enable'], 'swtpm')
    ]
  },
  {
    name: 'device',
    kind: 'texts',
    argument: 'ID',
    help: 'a PCI ID to give to the guest, e.g. 10de:1b80; repeat it for all functions of the card ("lspci -nn")',
    setting: 'devices',
    parse: parseDevice,
    options: [devicesOption]
  },
  {
    name: 'address',
    kind: 'texts',
    argument: 'ADDR',
    help: 'the same by address, e.g. 0000:01:00.0, for two cards with one ID. If --device or --address is given, both lists become exactly what the flags say; the same goes for --gpu',
    setting: 'addresses',
    parse: parseAddress,
    options: [addressesOption]
  },
  {
    name: 'iommu',
    kind: 'text',
    choices: ['intel', 'amd'],
    help: 'the maker of the processor',
    setting: 'IOMMUType',
    options: [valueOption(20, [...VFIO, 'IOMMUType'])]
  },
  {
    name: 'user',
    kind: 'texts',
    argument: 'NAME',
    help: 'who may run guests; repeatable',
    setting: 'users',
    parse: parseUser,
    options: [itemsOption(120, [...VFIO, 'users'])]
  },
  {
    name: 'bind',
    kind: 'text',
    choices: ['boot', 'hooks'],
    help: 'give the card away at boot, or when the guest starts',
    setting: 'bindAtBoot',
    parse: value => ok(value === 'boot'),
    options: [valueOption(60, [...VFIO, 'bindAtBoot'])]
  },
  {
    name: 'disable-efifb',
    kind: 'toggle',
    help: 'keep the boot screen off the card',
    setting: 'disableEFIfb',
    options: [valueOption(80, [...VFIO, 'disableEFIfb'])]
  },
  {
    name: 'blacklist-nvidia',
    kind: 'toggle',
    help: 'keep all NVIDIA drivers away from the host',
    setting: 'blacklistNvidia',
    options: [valueOption(90, [...VFIO, 'blacklistNvidia'])]
  },
  {
    name: 'ignore-msrs',
    kind: 'toggle',
    help: 'let guests touch unknown processor registers',
    setting: 'ignoreMSRs',
    options: [valueOption(100, [...VFIO, 'ignoreMSRs'])]
  },
  {
    name: 'acs-patch',
    kind: 'toggle',
    help: 'split IOMMU groups (needs a kernel with that patch)',
    setting: 'applyACSpatch',
    options: [valueOption(110, [...VFIO, 'applyACSpatch'])]
  },
  {
    name: 'shared-memory',
    kind: 'texts',
    argument: 'NAME[:USER[:GROUP[:MODE]]]',
    help: 'a file in /dev/shm, e.g. looking-glass; repeatable',
    setting: 'sharedMemoryFiles',
    parse: parseSharedMemory,
    options: [sharedMemoryOption]
  },
  {
    name: 'device-acl',
    kind: 'texts',
    argument: 'PATH',
    help: 'a device node that QEMU may open; repeatable',
    setting: 'deviceACL',
    parse: parseDeviceNode,
    options: [itemsOption(170, [...LIBVIRTD, 'deviceACL'])]
  },
  {
    name: 'clear-emulation-capabilities',
    kind: 'toggle',
    help: "libvirt's setting of that name",
    setting: 'clearEmulationCapabilities',
    options: [valueOption(180, [...LIBVIRTD, 'clearEmulationCapabilities'])]
  },
  {
    name: 'hugepages',
    kind: 'text',
    argument: 'SIZE:COUNT',
    help: 'memory for guests, e.g. 1G:16',
    setting: 'hugepages',
    parse: parseHugepages,
    options: [hugepagesOption]
  }
] as const satisfies readonly Setting[]

/** The flags, in the order of the help. */
export const SETTINGS: readonly Setting[] = ROWS

type SettingRow = Extract<(typeof ROWS)[number], { setting: string }>

/** The settings of the flags, typed by their rows. */
export type FlagSettings = { [R in SettingRow as R['setting']]?: ValueOf<R> }

type ValueOf<R> = R extends { parse: (value: string) => Result<infer T, BadSetting> }
  ? R extends { kind: 'texts' }
    ? readonly T[]
    : T
  : R extends { choices: readonly (infer C)[] }
    ? C
    : boolean

/** Options that are written without a flag, with the reason that their edits are reported with. */
export const DERIVED: readonly { rule: string; options: readonly SettingOption[] }[] = [
  { rule: 'modules', options: [plannedOption(['imports'])] },
  { rule: 'always', options: [defaultOption(10, [...VFIO, 'enable'], () => true)] },
  {
    rule: 'boot.kernelParams',
    options: [
      defaultOption(30, [...VFIO, 'passthroughDMA'], ({ kernelParams }) =>
        isPassthroughOff(kernelParams) ? false : undefined
      )
    ]
  },
  { rule: 'DARK_PASSPHRASE', options: [plannedOption(['boot', 'initrd', 'kernelModules'])] }
]

/** Whether these parameters contradict `iommu=pt`. The user's parameters take precedence. */
function isPassthroughOff(kernelParams: readonly string[]): boolean {
  return kernelParams
    .flatMap(it => it.split(/\s+/))
    .some(it => it === 'iommu.passthrough=0' || /^iommu=(?:.*,)?nopt(?:,|$)/.test(it))
}
