// Which kernel modules of graphics cards, and vfio-pci, the initrd loads, as far as the text shows.

import { formatPath } from '../nix/index.ts'
import { isPlain, isUnconditional, kernelParams, modprobeLines } from './bindings.ts'
import { type Entry, type EntryText, plainStringOf, spellingOf, type View } from './view.ts'

/** Drivers that draw a console, by the maker whose cards they are for; nvidia alone draws none. */
const MAKERS: ReadonlyMap<string, string> = new Map([
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

/** The maker of the cards that a driver draws a console on; undefined where it draws none. */
export function makerOf(driver: string): string | undefined {
  return MAKERS.get(driver)
}

/** The drivers that draw a console on cards of this maker, the usual one first. */
export function consoleDriversOf(maker: string): string[] {
  return [...MAKERS].filter(([, it]) => it === maker).map(([driver]) => driver)
}

export interface EarlyDrivers {
  /** Drivers that draw a console and that the initrd loads, whichever cards there are. */
  forced: ReadonlySet<string>
  /**
   * Those that it has, and loads where a card asks for one. udev runs in both kinds of initrd and loads
   * the modules whose aliases match a device (nixpkgs says so of `boot.initrd.availableKernelModules`).
   */
  available: ReadonlySet<string>
  /** Whether the driver of each card is loaded, as a report of nixos-facter has all but nouveau. */
  isEvery: boolean
  /** Whether there may be more that the text does not show. */
  isVague: boolean
  /** Drivers that are kept from loading or from drawing a console, and by what: `nomodeset`. */
  blocked: ReadonlyMap<string, string>
}

const LISTS = ['boot.initrd.kernelModules', 'boot.initrd.availableKernelModules'] as const

/** The graphics drivers in the initrd of a view. */
export function earlyDriversOf(view: View): EarlyDrivers {
  const blocked = blockedDrivers(view)
  const drawing = (names: readonly string[]) =>
    new Set(names.map(moduleName).filter(it => MAKERS.has(it) && !blocked.has(it)))
  const listed = (list: string, isSure: boolean) =>
    view
      .items(list)
      .filter(it => isUnconditional(it) === isSure)
      .flatMap(it => it.text ?? [])
  const [forced, available] = LISTS
  // What is computed, or counts under a condition, may be there.
  const isComputedSwitch = [...AMDGPU, INTEL]
    .flatMap(view.at)
    .some(it => !/^(?:true|false)$/.test(spellingOf(it)))
  const perhaps = drawing([
    ...LISTS.flatMap(it => listed(it, false)),
    ...byOptions(view, at => at.conditions.length > 0)
  ])
  return {
    forced: drawing([
      ...listed(forced, true),
      ...byOptions(view, at => at.conditions.length === 0),
      ...byHardware(view)
    ]),
    available: drawing(listed(available, true)),
    isEvery: hasFacter(view) && detectedBy(view).length === 0,
    isVague:
      perhaps.size > 0 ||
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
 * What options put into `boot.initrd.kernelModules`, of NixOS, nixos-hardware and nixos-facter, by those
 * of their definitions that are `asked` for.
 */
function byOptions(view: View, asked: (entry: Entry) => boolean): string[] {
  const says = (option: string) => view.says(option, true).some(asked)
  const detected = detectedBy(view).flatMap(view.items)
  return [
    ...(AMDGPU.some(says) ? ['amdgpu'] : []),
    ...(says(INTEL) ? [driverOfIntel(view)] : []),
    ...detected.filter(it => asked(it.entry)).flatMap(it => it.text ?? [])
  ]
}

/** What modules of nixos-hardware that are imported put there by themselves. */
function byHardware(view: View): string[] {
  const isOff = (option: string) => view.says(option, false).length > 0
  // Its module for Intel's processors imports that for their graphics.
  const isIntel = importsHardware(view, '[cg]pu[-/]intel') && !isOff(INTEL)
  const isAmd = importsHardware(view, 'gpu[-/]amd') && !AMDGPU.some(isOff)
  return [...(isAmd ? ['amdgpu'] : []), ...(isIntel ? [driverOfIntel(view)] : [])]
}

function driverOfIntel(view: View): string {
  return view.at('hardware.intelgpu.driver').map(plainStringOf)[0] ?? 'i915'
}

const FACTER = ['hardware.facter', 'facter'] as const

function hasFacter(view: View): boolean {
  return FACTER.some(
    it =>
      view.at(`${it}.reportPath`).some(at => spellingOf(at) !== 'null') &&
      view.says(`${it}.detected.boot.graphics.enable`, false).length === 0 &&
      view.says(`${it}.detected.graphics.enable`, false).length === 0
  )
}

/** Where the drivers that nixos-facter would find are written out instead. */
function detectedBy(view: View): string[] {
  return FACTER.map(it => `${it}.detected.boot.graphics.kernelModules`).filter(
    it => view.at(it).length > 0
  )
}

/** The text of the files without their comments, where modules of nixos-hardware are imported. */
function hardwareImports({ files }: View): string {
  const texts = files.map(it => it.doc.text).filter(it => it.includes('nixos-hardware'))
  return texts.map(it => it.replace(/#.*/g, '')).join('\n')
}

/** Whether the module of nixos-hardware is imported that has this name after `common`. */
function importsHardware(view: View, name: string): boolean {
  return new RegExp(`\\bnixos-hardware\\b.*\\bcommon[-/]${name}\\b`).test(hardwareImports(view))
}

/** Whether modules of nixos-hardware are imported that may load any driver: for a model, or a list. */
function importsModel(view: View): boolean {
  return /\bnixos-hardware(?:\.nixosModules\s*(?:;|\.(?!common-))|\/(?!common\/))/.test(
    hardwareImports(view)
  )
}

/** Whether a list has more than the strings that are written out. */
function isComputed(view: View, list: string): boolean {
  const items = view.items(list)
  return (
    items.some(it => it.text === undefined || !isPlain(it.text)) ||
    view
      .at(list)
      .some(it => !/^\[\s*\]$/.test(spellingOf(it)) && !items.some(at => at.entry === it))
  )
}

/** What drivers are on a blacklist by. */
export const BLACKLIST = 'a blacklist'

/** What keeps drivers from loading or from drawing, by driver. */
function blockedDrivers(view: View): Map<string, string> {
  const params = kernelParams(view).map(it => it.param)
  const blocked = new Map<string, string>()
  const block = (by: string, drivers: Iterable<string>) => {
    for (const it of drivers) blocked.set(moduleName(it), by)
  }
  const lines = modprobeLines(view).map(it => /^blacklist\s+(\S+)$/.exec(it.line)?.[1] ?? '')
  const listed = view.items('boot.blacklistedKernelModules').flatMap(it => it.text ?? [])
  block(BLACKLIST, [...lines, ...listed])
  const isOff = view.says('virtualisation.vfio.blacklistNvidia', true).length > 0
  if (isOff) block(BLACKLIST, ['nouveau', 'nvidia_drm'])
  // NixOS' module for the driver of NVIDIA blacklists nouveau.
  if (videoDriversOf(view).includes('nvidia')) block(BLACKLIST, ['nouveau'])
  const modesetting = 'hardware.nvidia.modesetting.enable'
  if (view.says(modesetting, false).length > 0) block(`${modesetting} = false`, ['nvidia_drm'])
  for (const it of params) {
    const blacklisted = /^(?:modprobe\.blacklist|module_blacklist)=(.*)$/.exec(it)?.[1]
    block(BLACKLIST, blacklisted?.split(',') ?? [])
    block(it, /^([\w-]+)\.(?:modeset|fbdev)=0$/.exec(it)?.slice(1) ?? [])
  }
  if (params.includes('nomodeset')) block('nomodeset', MAKERS.keys())
  return blocked
}

/** The literal items of `services.xserver.videoDrivers`. */
export function videoDriversOf(view: View): string[] {
  return view.items('services.xserver.videoDrivers').flatMap(it => it.text ?? [])
}

/** Whether vfio-pci is loaded in the initrd, so that it takes its devices there. */
export function loadsVfioEarly(view: View): boolean {
  const [loaded, available] = LISTS.map(it => namesVfio(view, it))
  if (bindsByOurs(view) || loaded) return true
  if (!available) return false
  // It has no alias of its own; a softdep of a driver in the initrd loads it.
  const early = earlyDriversOf(view)
  return modprobeLines(view).some(({ line }) => {
    const driver = /^softdep\s+(\S+)\s+pre:.*\bvfio[-_]pci\b/.exec(line)?.[1]
    const name = moduleName(driver ?? '')
    return early.forced.has(name) || early.available.has(name)
  })
}

function namesVfio(view: View, list: string): boolean {
  return view.items(list).some(it => moduleName(it.text ?? '') === 'vfio_pci')
}

// The text options of the initrd that guides put such scripts into, besides the services of systemd.
const SCRIPTS = ['preDeviceCommands', 'preLVMCommands', 'postDeviceCommands', 'services.udev.rules']

/** The PCI addresses in scripts and rules of the initrd that hand devices to vfio-pci, where it is there. */
export function overriddenEarly(view: View): { text: EntryText; index: number; address: string }[] {
  if (!LISTS.some(list => namesVfio(view, list))) return []
  const services = view
    .below('boot.initrd.systemd.services')
    .filter(it => it.path.at(-1) === 'script')
    .map(it => formatPath(it.path))
  return [...SCRIPTS.map(it => `boot.initrd.${it}`), ...new Set(services)]
    .flatMap(view.texts)
    .filter(it => /driver_override/.test(it.text) && /vfio/.test(it.text))
    .flatMap(text =>
      [...text.text.matchAll(/\b[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\b/gi)].map(it => ({
        text,
        index: it.index,
        address: it[0].toLowerCase()
      }))
    )
}

/** Whether `virtualisation.vfio` binds its devices as the machine starts. */
export function bindsByOurs(view: View): boolean {
  const says = (name: string, value: boolean) =>
    view.says(`virtualisation.vfio.${name}`, value).length > 0
  // A specialisation may switch on what the rest has off.
  const isOff = ['enable', 'bindAtBoot'].some(it => says(it, false) && !says(it, true))
  return says('enable', true) && !isOff
}

/** To modprobe, - and _ in the name of a module are the same. */
export function moduleName(module: string): string {
  return module.replaceAll('-', '_')
}
