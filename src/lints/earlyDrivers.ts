// Which graphics drivers the initrd loads, and whether it loads vfio-pci, as far as the text shows.

import { formatPath } from '../nix/index.ts'
import { hasNoInterpolation, isUnconditional, kernelParams, modprobeLines } from './bindings.ts'
import {
  type BootEntryView,
  type DefinitionString,
  type OptionDefinition,
  plainStringOf,
  valueText
} from './view.ts'

/** Drivers that draw a console, with the vendor of their cards. nvidia draws a console only with nvidia_drm. */
const VENDORS: ReadonlyMap<string, string> = new Map([
  ['amdgpu', '1002'],
  ['radeon', '1002'],
  ['i915', '8086'],
  ['xe', '8086'],
  ['gma500_gfx', '8086'],
  ['nouveau', '10de'],
  ['nvidia_drm', '10de'],
  ['ast', '1a03'],
  ['mgag200', '102b'],
  ['virtio_gpu', '1af4'],
  ['bochs', '1234'],
  ['qxl', '1b36'],
  ['vmwgfx', '15ad']
])

/** The vendor of the cards that a driver draws a console on; undefined if it draws none. */
export function consoleVendorOf(driver: string): string | undefined {
  return VENDORS.get(driver)
}

/** The drivers that draw a console on cards of this vendor, the most common one first. */
export function consoleDriversOf(vendor: string): string[] {
  return [...VENDORS].filter(([, it]) => it === vendor).map(([driver]) => driver)
}

export interface EarlyDrivers {
  /** Drivers that draw a console and that the initrd always loads. */
  alwaysLoaded: ReadonlySet<string>
  /**
   * Drivers that the initrd has and loads if a card needs one. udev runs in both kinds of initrd and loads the
   * modules whose aliases match a device (documented in nixpkgs at `boot.initrd.availableKernelModules`).
   */
  available: ReadonlySet<string>
  /** Whether the initrd loads the drivers of all cards except nouveau, because of a report of nixos-facter. */
  loadsAllDrivers: boolean
  /** Whether the initrd may load more drivers than the text shows. */
  mayLoadMore: boolean
  /** Drivers that can't load or can't draw a console, and what blocks them. */
  blocked: ReadonlyMap<string, Blocker>
}

/** What blocks a driver: a blacklist, or another setting such as `nomodeset`. */
export type Blocker = { kind: 'blacklist' } | { kind: 'setting'; setting: string }

const LISTS = ['boot.initrd.kernelModules', 'boot.initrd.availableKernelModules'] as const

/** The graphics drivers in the initrd of a view. */
export function earlyDriversOf(view: BootEntryView): EarlyDrivers {
  const blocked = blockedDrivers(view)
  const drawing = (names: readonly string[]) =>
    new Set(names.map(moduleName).filter(it => VENDORS.has(it) && !blocked.has(it)))
  const listed = (list: string, isCertain: boolean) =>
    view
      .itemsIn(list)
      .filter(it => isUnconditional(it) === isCertain)
      .flatMap(it => it.text ?? [])
  const [forced, available] = LISTS
  // Computed and conditional drivers may be loaded.
  const isComputedSwitch = [...AMDGPU, INTEL]
    .flatMap(view.definitionsOf)
    .some(it => !/^(?:true|false)$/.test(valueText(it)))
  const conditional = drawing([
    ...LISTS.flatMap(it => listed(it, false)),
    ...byOptions(view, at => at.conditions.length > 0)
  ])
  return {
    alwaysLoaded: drawing([
      ...listed(forced, true),
      ...byOptions(view, at => at.conditions.length === 0),
      ...byHardware(view)
    ]),
    available: drawing(listed(available, true)),
    loadsAllDrivers: hasFacter(view) && detectedBy(view).length === 0,
    mayLoadMore:
      conditional.size > 0 ||
      isComputedSwitch ||
      LISTS.some(list => isComputed(view, list)) ||
      importsModel(view),
    blocked
  }
}

const AMDGPU = ['initrd.enable', 'kernelModule.inInitrd', 'loadInInitrd'].map(
  it => `hardware.amdgpu.${it}`
)
const INTEL = 'hardware.intelgpu.loadInInitrd'

/**
 * The drivers that options of NixOS, nixos-hardware and nixos-facter add to `boot.initrd.kernelModules`, by
 * the definitions for which `isIncluded` is true.
 */
function byOptions(
  view: BootEntryView,
  isIncluded: (definition: OptionDefinition) => boolean
): string[] {
  const isOn = (option: string) => view.definitionsWith(option, true).some(isIncluded)
  const detected = detectedBy(view).flatMap(view.itemsIn)
  return [
    ...(AMDGPU.some(isOn) ? ['amdgpu'] : []),
    ...(isOn(INTEL) ? [driverOfIntel(view)] : []),
    ...detected.filter(it => isIncluded(it.definition)).flatMap(it => it.text ?? [])
  ]
}

/** The drivers that imported modules of nixos-hardware add by default. */
function byHardware(view: BootEntryView): string[] {
  const isOff = (option: string) => view.definitionsWith(option, false).length > 0
  // The module for Intel processors imports the one for their graphics.
  const isIntel = importsHardware(view, '[cg]pu[-/]intel') && !isOff(INTEL)
  const isAmd = importsHardware(view, 'gpu[-/]amd') && !AMDGPU.some(isOff)
  return [...(isAmd ? ['amdgpu'] : []), ...(isIntel ? [driverOfIntel(view)] : [])]
}

function driverOfIntel(view: BootEntryView): string {
  return view.definitionsOf('hardware.intelgpu.driver').map(plainStringOf)[0] ?? 'i915'
}

const FACTER = ['hardware.facter', 'facter'] as const

function hasFacter(view: BootEntryView): boolean {
  return FACTER.some(
    it =>
      view.definitionsOf(`${it}.reportPath`).some(at => valueText(at) !== 'null') &&
      view.definitionsWith(`${it}.detected.boot.graphics.enable`, false).length === 0 &&
      view.definitionsWith(`${it}.detected.graphics.enable`, false).length === 0
  )
}

/** The options whose lists of drivers replace the list that nixos-facter would detect. */
function detectedBy(view: BootEntryView): string[] {
  return FACTER.map(it => `${it}.detected.boot.graphics.kernelModules`).filter(
    it => view.definitionsOf(it).length > 0
  )
}

/** The text, without comments, of the files that mention nixos-hardware. */
function hardwareImports({ files }: BootEntryView): string {
  const texts = files.map(it => it.doc.text).filter(it => it.includes('nixos-hardware'))
  return texts.map(it => it.replace(/#.*/g, '')).join('\n')
}

/** Whether the module `common-NAME` (`common/NAME`) of nixos-hardware is imported; `name` is a regular expression. */
function importsHardware(view: BootEntryView, name: string): boolean {
  return new RegExp(`\\bnixos-hardware\\b.*\\bcommon[-/]${name}\\b`).test(hardwareImports(view))
}

/** Whether the files import modules of nixos-hardware that may load any driver: for a model, or computed ones. */
function importsModel(view: BootEntryView): boolean {
  return /\bnixos-hardware(?:\.nixosModules\s*(?:;|\.(?!common-))|\/(?!common\/))/.test(
    hardwareImports(view)
  )
}

/** Whether a list has more items than its string literals. */
function isComputed(view: BootEntryView, list: string): boolean {
  const items = view.itemsIn(list)
  return (
    items.some(it => it.text === undefined || !hasNoInterpolation(it.text)) ||
    view
      .definitionsOf(list)
      .some(it => !/^\[\s*\]$/.test(valueText(it)) && !items.some(at => at.definition === it))
  )
}

/** The drivers that can't load or can't draw a console, and what blocks them. */
function blockedDrivers(view: BootEntryView): Map<string, Blocker> {
  const params = kernelParams(view).map(it => it.param)
  const blocked = new Map<string, Blocker>()
  const block = (by: Blocker, drivers: Iterable<string>) => {
    for (const it of drivers) blocked.set(moduleName(it), by)
  }
  const blacklist = (drivers: readonly string[]) => block({ kind: 'blacklist' }, drivers)
  const disable = (setting: string, drivers: Iterable<string>) =>
    block({ kind: 'setting', setting }, drivers)
  const lines = modprobeLines(view).map(it => /^blacklist\s+(\S+)$/.exec(it.line)?.[1] ?? '')
  const listed = view.itemsIn('boot.blacklistedKernelModules').flatMap(it => it.text ?? [])
  blacklist([...lines, ...listed])
  const isOff = view.definitionsWith('virtualisation.vfio.blacklistNvidia', true).length > 0
  if (isOff) blacklist(['nouveau', 'nvidia_drm'])
  // NixOS' module for NVIDIA's driver blacklists nouveau.
  if (videoDriversOf(view).includes('nvidia')) blacklist(['nouveau'])
  const modesetting = 'hardware.nvidia.modesetting.enable'
  if (view.definitionsWith(modesetting, false).length > 0)
    disable(`${modesetting} = false`, ['nvidia_drm'])
  for (const it of params) {
    const blacklisted = /^(?:modprobe\.blacklist|module_blacklist)=(.*)$/.exec(it)?.[1]
    blacklist(blacklisted?.split(',') ?? [])
    disable(it, /^([\w-]+)\.(?:modeset|fbdev)=0$/.exec(it)?.slice(1) ?? [])
  }
  if (params.includes('nomodeset')) disable('nomodeset', VENDORS.keys())
  return blocked
}

/** The literal items of `services.xserver.videoDrivers`. */
export function videoDriversOf(view: BootEntryView): string[] {
  return view.itemsIn('services.xserver.videoDrivers').flatMap(it => it.text ?? [])
}

/** Whether the initrd loads vfio-pci, so that devices are bound in the initrd. */
export function loadsVfioEarly(view: BootEntryView): boolean {
  const [loaded, available] = LISTS.map(it => namesVfio(view, it))
  if (bindsAtBoot(view) || loaded) return true
  if (!available) return false
  // vfio_pci has no alias, so only a softdep of a driver in the initrd loads it.
  const early = earlyDriversOf(view)
  return modprobeLines(view).some(({ line }) => {
    const driver = /^softdep\s+(\S+)\s+pre:.*\bvfio[-_]pci\b/.exec(line)?.[1]
    const name = moduleName(driver ?? '')
    return early.alwaysLoaded.has(name) || early.available.has(name)
  })
}

function namesVfio(view: BootEntryView, list: string): boolean {
  return view.itemsIn(list).some(it => moduleName(it.text ?? '') === 'vfio_pci')
}

// The string options of the initrd in which guides bind devices to vfio-pci. systemd services are separate.
const SCRIPTS = ['preDeviceCommands', 'preLVMCommands', 'postDeviceCommands', 'services.udev.rules']

/** The PCI addresses in scripts and udev rules of the initrd that bind devices; none if the initrd lacks vfio-pci. */
export function addressesInScripts(
  view: BootEntryView
): { text: DefinitionString; index: number; address: string }[] {
  if (!LISTS.some(list => namesVfio(view, list))) return []
  const services = view
    .definitionsBelow('boot.initrd.systemd.services')
    .filter(it => it.path.at(-1) === 'script')
    .map(it => formatPath(it.path))
  return [...SCRIPTS.map(it => `boot.initrd.${it}`), ...new Set(services)]
    .flatMap(view.stringsIn)
    .filter(it => /driver_override/.test(it.text) && /vfio/.test(it.text))
    .flatMap(text =>
      [...text.text.matchAll(/\b[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\b/gi)].map(it => ({
        text,
        index: it.index,
        address: it[0].toLowerCase()
      }))
    )
}

/** Whether `virtualisation.vfio` binds its devices at boot. */
export function bindsAtBoot(view: BootEntryView): boolean {
  const isSetTo = (name: string, value: boolean) =>
    view.definitionsWith(`virtualisation.vfio.${name}`, value).length > 0
  // A specialisation may enable what the system disables.
  const isOff = ['enable', 'bindAtBoot'].some(it => isSetTo(it, false) && !isSetTo(it, true))
  return isSetTo('enable', true) && !isOff
}

/** A module's name with `_` instead of `-`: modprobe does not distinguish them. */
export function moduleName(module: string): string {
  return module.replaceAll('-', '_')
}
