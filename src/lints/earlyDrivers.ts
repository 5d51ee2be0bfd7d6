// Which kernel modules of graphics cards, and vfio-pci, the initrd loads, as far as the text shows.

import { formatPath } from '../nix/index.ts'
import { type EntryText, plainStringOf, spellingOf, type View } from './configuration.ts'
import { isPlain, kernelParams, modprobeLines } from './find.ts'
import { hasKernel } from './releases.ts'

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
  /** Drivers that are kept from loading. */
  blocked: ReadonlySet<string>
}

const LISTS = ['boot.initrd.kernelModules', 'boot.initrd.availableKernelModules'] as const

/** The graphics drivers in the initrd of a view. */
export function earlyDriversOf(view: View): EarlyDrivers {
  const blocked = blockedIn(view)
  const drawing = (names: readonly string[]) =>
    new Set(names.map(plainName).filter(it => MAKERS.has(it) && !blocked.has(it)))
  const [forced, available] = LISTS.map(list => view.items(list).flatMap(it => it.text ?? []))
  return {
    forced: drawing([...(forced ?? []), ...byOptions(view)]),
    available: drawing(available ?? []),
    isEvery: hasFacter(view) && detectedBy(view).length === 0,
    isVague: LISTS.some(list => isComputed(view, list)) || importsModel(view),
    blocked
  }
}

/** Options that put a driver into `boot.initrd.kernelModules`: of NixOS, nixos-hardware, nixos-facter. */
function byOptions(view: View): string[] {
  const says = (option: string, value: boolean) => view.says(option, value).length > 0
  const amdgpu = ['initrd.enable', 'kernelModule.inInitrd', 'loadInInitrd'].map(
    it => `hardware.amdgpu.${it}`
  )
  const isAmd =
    amdgpu.some(it => says(it, true)) ||
    (importsHardware(view, 'gpu[-/]amd') && !amdgpu.some(it => says(it, false)))
  const intel = 'hardware.intelgpu.loadInInitrd'
  // nixos-hardware's module for Intel's processors imports that for their graphics.
  const isIntel =
    says(intel, true) || (importsHardware(view, '[cg]pu[-/]intel') && !says(intel, false))
  const driver = view.at('hardware.intelgpu.driver').map(plainStringOf)[0] ?? 'i915'
  return [
    ...(isAmd ? ['amdgpu'] : []),
    ...(isIntel ? [driver] : []),
    ...detectedBy(view).flatMap(list => view.items(list).flatMap(it => it.text ?? []))
  ]
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

/** What a blacklist, `nomodeset` or the driver of NVIDIA keeps from loading or drawing. */
function blockedIn(view: View): Set<string> {
  const params = kernelParams(view).map(it => it.param)
  if (params.includes('nomodeset')) return new Set(MAKERS.keys())
  const byParams = params.flatMap(it => {
    const found = /^(?:modprobe\.blacklist|module_blacklist)=(.*)$/.exec(it)
    return found?.[1]?.split(',') ?? []
  })
  const byLines = modprobeLines(view).flatMap(
    it => /^blacklist\s+(\S+)$/.exec(it.line)?.slice(1) ?? []
  )
  const listed = view.items('boot.blacklistedKernelModules').flatMap(it => it.text ?? [])
  const isNvidiaOff = view.says('virtualisation.vfio.blacklistNvidia', true).length > 0
  // NixOS' module for the driver of NVIDIA blacklists nouveau.
  const isNvidia = videoDriversOf(view).includes('nvidia')
  return new Set(
    [
      ...byParams,
      ...byLines,
      ...listed,
      ...(isNvidiaOff ? ['nouveau', 'nvidia_drm'] : []),
      ...(isNvidia ? ['nouveau'] : [])
    ].map(plainName)
  )
}

/** The literal items of `services.xserver.videoDrivers`. */
export function videoDriversOf(view: View): string[] {
  return view.items('services.xserver.videoDrivers').flatMap(it => it.text ?? [])
}

/** Whether vfio-pci is loaded in the initrd, so that it takes its devices there. */
export function loadsVfioEarly(view: View): boolean {
  const has = (list: string) => view.items(list).some(it => plainName(it.text ?? '') === 'vfio_pci')
  if (bindsByOurs(view) || has('boot.initrd.kernelModules')) return true
  if (!has('boot.initrd.availableKernelModules')) return false
  // It has no alias of its own; a softdep of a driver in the initrd loads it.
  const { forced, available } = earlyDriversOf(view)
  return modprobeLines(view).some(({ line }) => {
    const driver = /^softdep\s+(\S+)\s+pre:.*\bvfio[-_]pci\b/.exec(line)?.[1]
    const name = plainName(driver ?? '')
    return forced.has(name) || available.has(name)
  })
}

// The text options of the initrd that guides put such scripts into, besides the services of systemd.
const SCRIPTS = [
  ...['preDeviceCommands', 'preLVMCommands', 'postDeviceCommands', 'services.udev.rules'].map(
    it => `boot.initrd.${it}`
  )
]

/** The PCI addresses in scripts and rules of the initrd that hand devices to vfio-pci, where it is there. */
export function overriddenEarly(view: View): { text: EntryText; index: number; address: string }[] {
  const isThere = LISTS.some(list =>
    view.items(list).some(it => plainName(it.text ?? '') === 'vfio_pci')
  )
  if (!isThere) return []
  const services = view
    .below('boot.initrd.systemd.services')
    .filter(it => it.path.at(-1) === 'script')
    .map(it => formatPath(it.path))
  return [...SCRIPTS, ...new Set(services)]
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
export function plainName(module: string): string {
  return module.replaceAll('-', '_')
}

/**
 * Whether vfio-pci removes the firmware's picture from a card that it takes: since Linux 6.0,
 * vfio_pci_vga_init calls aperture_remove_conflicting_pci_devices (drivers/vfio/pci/vfio_pci_core.c).
 */
export function removesFirmwarePicture(view: View): boolean {
  return hasKernel(view, '6.0')
}
