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

/** The groups of settings, which are also their titles in the help. */
export const GROUPS = ['the card', 'guests', 'the host'] as const
type Group = (typeof GROUPS)[number]

/**
 * A flag that sets something up. Edits of `options` are reported with the flag as their reason.
 *
 * The value is stored under the name `setting`: whether a toggle is on, the result of `parse` (for `texts`,
 * of each value), or one of the `choices`. `setting` is null for flags that have no setting of their own.
 */
export type Setting = Flag & { group: Group; options: readonly SettingOption[] } & (
    | { setting: null }
    | { setting: string; kind: 'toggle' }
    | { setting: string; kind: 'text' | 'texts'; parse: Parse }
    | { setting: string; kind: 'text'; choices: readonly string[] }
  )

type Parse = (value: string) => Result<unknown, BadSetting>

const ROWS = [
  {
    name: 'gpu',
    group: 'the card',
    kind: 'texts',
    argument: 'ADDR',
    help: 'the graphics card at this address with all its functions, e.g. 0000:01:00.0; repeatable. "vfio-patch scan" lists the cards',
    setting: null,
    options: [itemsOption(70, [...VFIO, 'competingDrivers'])]
  },
  {
    name: 'confirm',
    group: 'the card',
    kind: 'texts',
    argument: 'ADDR',
    help: 'pass this card through although it drives your screen',
    setting: null,
    options: []
  },
  {
    name: 'specialisation',
    group: 'the card',
    kind: 'text',
    argument: 'NAME',
    help: 'put everything in a separate boot entry, e.g. vfio; the default boot entry stays as it is. Later runs find the entry in FILE. To move everything to the default boot entry, run "vfio-patch remove", then apply',
    setting: null,
    options: []
  },
  {
    name: 'assume-isolated',
    group: 'the card',
    kind: 'switch',
    help: 'with --specialisation: pass the card through although the IOMMU is off, so its group cannot be checked',
    setting: null,
    options: []
  },
  {
    name: 'domain',
    group: 'guests',
    kind: 'text',
    argument: 'FILE.xml',
    help: 'the guest in this file (virsh dumpxml --inactive); its outdated settings are fixed and it is written to vfio/guests/ as Nix. Also sets up what the guest needs on the host: devices, shared memory, huge pages, a TPM, the CPUs that the host keeps while the guest runs',
    setting: null,
    options: [
      guestsOption,
      kvmfrOption,
      valueOption(190, [...LIBVIRTD, 'qemu', 'swtpm', 'enable'], 'swtpm')
    ]
  },
  {
    name: 'device',
    group: 'the card',
    kind: 'texts',
    argument: 'ID',
    help: 'a PCI ID to pass through, e.g. 10de:1b80 ("lspci -nn"); repeat it for each function of the card',
    setting: 'devices',
    parse: parseDevice,
    options: [devicesOption]
  },
  {
    name: 'address',
    group: 'the card',
    kind: 'texts',
    argument: 'ADDR',
    help: 'a PCI address to pass through, e.g. 0000:01:00.0, for two cards with the same ID; repeatable. --gpu, --device and --address replace the devices and addresses of FILE',
    setting: 'addresses',
    parse: parseAddress,
    options: [addressesOption]
  },
  {
    name: 'iommu',
    group: 'the host',
    kind: 'text',
    choices: ['intel', 'amd'],
    help: 'the vendor of the CPU',
    setting: 'IOMMUType',
    options: [valueOption(20, [...VFIO, 'IOMMUType'])]
  },
  {
    name: 'user',
    group: 'guests',
    kind: 'texts',
    argument: 'NAME',
    help: 'a user who may run guests; repeatable',
    setting: 'users',
    parse: parseUser,
    options: [itemsOption(120, [...VFIO, 'users'])]
  },
  {
    name: 'bind',
    group: 'the card',
    kind: 'text',
    choices: ['boot', 'hooks'],
    help: 'bind the card to vfio-pci at boot, or when the guest starts',
    setting: 'bindAtBoot',
    parse: value => ok(value === 'boot'),
    options: [valueOption(60, [...VFIO, 'bindAtBoot'])]
  },
  {
    name: 'disable-efifb',
    group: 'the host',
    kind: 'toggle',
    help: 'keep the boot screen off the card',
    setting: 'disableEFIfb',
    options: [valueOption(80, [...VFIO, 'disableEFIfb'])]
  },
  {
    name: 'blacklist-nvidia',
    group: 'the host',
    kind: 'toggle',
    help: 'keep the host from loading any NVIDIA driver',
    setting: 'blacklistNvidia',
    options: [valueOption(90, [...VFIO, 'blacklistNvidia'])]
  },
  {
    name: 'ignore-msrs',
    group: 'the host',
    kind: 'toggle',
    help: 'let guests access unknown CPU registers (MSRs)',
    setting: 'ignoreMSRs',
    options: [valueOption(100, [...VFIO, 'ignoreMSRs'])]
  },
  {
    name: 'acs-patch',
    group: 'the host',
    kind: 'toggle',
    help: 'split IOMMU groups (needs a kernel with the ACS patch)',
    setting: 'applyACSpatch',
    options: [valueOption(110, [...VFIO, 'applyACSpatch'])]
  },
  {
    name: 'shared-memory',
    group: 'guests',
    kind: 'texts',
    argument: 'NAME',
    help: 'a file in /dev/shm as NAME[:USER[:GROUP[:MODE]]], e.g. looking-glass; repeatable',
    setting: 'sharedMemoryFiles',
    parse: parseSharedMemory,
    options: [sharedMemoryOption]
  },
  {
    name: 'device-acl',
    group: 'the host',
    kind: 'texts',
    argument: 'PATH',
    help: 'a device node that QEMU may open; repeatable',
    setting: 'deviceACL',
    parse: parseDeviceNode,
    options: [itemsOption(170, [...LIBVIRTD, 'deviceACL'])]
  },
  {
    name: 'clear-emulation-capabilities',
    group: 'the host',
    kind: 'toggle',
    help: 'have libvirt drop all capabilities of QEMU (the default)',
    setting: 'clearEmulationCapabilities',
    options: [valueOption(180, [...LIBVIRTD, 'clearEmulationCapabilities'])]
  },
  {
    name: 'hugepages',
    group: 'guests',
    kind: 'text',
    argument: 'SIZE:COUNT',
    help: 'huge pages for guests, e.g. 1G:16',
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

/** Options that are written without a flag. `rule` is the reason that is reported for their edits. */
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
