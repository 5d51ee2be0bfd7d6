// Passphrase prompts in the initrd that no screen of the machine shows.

import { uniqueBy } from '../collections.ts'
import { isUnconditional, kernelParams } from '../lints/bindings.ts'
import {
  addressesInScripts,
  bindsAtBoot,
  consoleDriversOf,
  consoleVendorOf,
  type EarlyDrivers,
  earlyDriversOf,
  loadsVfioEarly,
  moduleName,
  videoDriversOf
} from '../lints/earlyDrivers.ts'
import { type Finding, findingAt, findingPlace, type Place, placeWithin } from '../lints/finding.ts'
import {
  firmwareFramebufferOff,
  hasOtherConsole,
  invisiblePrompts,
  loadEarly
} from '../lints/passphrase.ts'
import { type Prompt, promptsOf } from '../lints/prompts.ts'
import {
  type BootEntryView,
  type DefinitionPart,
  hasKernel,
  type LintFile,
  type SystemFacts,
  viewsOf,
  withInnerModules
} from '../lints/view.ts'
import { cardsOf, isForGuests, monitorsAt } from '../machine/cards.ts'
import type { Machine, PciDevice } from '../machine/machine.ts'
import { list } from '../machine/messages.ts'
import { canHaveMonitor } from '../machine/read/pci.ts'
import { type Cause, type Obstacle, promptNotDrawn } from './messages/darkPassphrase.ts'
import { deviceReferencesIn, isBoundByID } from './requirements.ts'

/**
 * The passphrase prompts that nobody can see on this machine, in any boot entry: the firmware's framebuffer
 * is off, or vfio-pci removes it when it binds the card, and the initrd loads no driver of the host's cards. Only
 * the machine shows which cards those are, so these findings replace the findings from the text alone
 * (CODES_DECIDED_BY_MACHINE). The configuration does not have to pass any device through.
 */
export function findDarkPassphrases(
  files: readonly LintFile[],
  facts: SystemFacts,
  machine: Machine
): Finding[] {
  const found = viewsOf(files.flatMap(withInnerModules), facts).flatMap(view =>
    invisibleIn(view, machine)
  )
  // A finding of the system applies to its specialisations, too, unless another card is the cause.
  return uniqueBy(found, it => [it.path, it.range.start, it.why, it.remedy].join('\0'))
}

function invisibleIn(view: BootEntryView, machine: Machine): Finding[] {
  const known = promptsOf(view)
  const prompts = known.length > 0 ? known : promptsOfMachine(view, machine)
  if (prompts.length === 0) return []
  const bound = boundEarly(view, machine)
  const source = causeOf(view, machine, bound)
  if (!source) return []
  const early = earlyDriversOf(view)
  const cards = hostCards(machine, new Set(bound.map(it => it.device.address)))
  if (cards.some(it => hasConsoleDriver(it, view, early))) return []
  const invisible = invisiblePrompts(view, prompts, source.isCertain && !early.mayLoadMore)
  const obstacle = obstacleIn(cards, view, early)
  const text = promptNotDrawn(invisible, source.cause, obstacle, hasOtherConsole(view))
  const driver = driverToLoad(obstacle, view)
  const edit = invisible.level === 'problem' ? loadEarly(source.definition, driver) : {}
  return [findingAt(source.place, { ...text, ...edit })]
}

/** The definition that makes a prompt invisible. A fix edits the boot entry of this definition. */
interface Source {
  definition: DefinitionPart
  place: Place
}

/** A device that is passed through, and the definition that names it. */
interface Bound extends Source {
  device: PciDevice
  /** Whether it is passed through under all conditions. */
  isCertain: boolean
}

/** The devices that vfio-pci binds in the initrd: by `virtualisation.vfio`, by IDs, and by scripts. */
function boundEarly(view: BootEntryView, machine: Machine): Bound[] {
  const binds = bindsAtBoot(view)
  const named = deviceReferencesIn(view, machine, machine.kernelParams, true)
    .filter(({ by }) => binds || (by.kind === 'id' && !by.place.isDeviceOption))
    .flatMap(it => {
      const definition = it.by.kind === 'id' ? it.by.place.at : it.by.item
      const isRunning = it.by.kind === 'id' && isBoundByID(machine.kernelParams, it.by.id)
      const isCertain = isUnconditional(definition) || isRunning
      return it.devices.map((device): Bound => ({ device, isCertain, definition, place: it }))
    })
  const scripted = addressesInScripts(view).flatMap(({ text, index, address }) => {
    const place = placeWithin(text, index, address.length)
    const devices = machine.devices.filter(it => it.address === address)
    const isCertain = isUnconditional(text)
    return devices.map((device): Bound => ({ device, isCertain, definition: text, place }))
  })
  return [...(loadsVfioEarly(view) ? named : []), ...scripted]
}

interface CauseSource extends Source {
  cause: Cause
  isCertain: boolean
}

/** Why the firmware's framebuffer is gone: a certain cause if there is one. Undefined if it is not gone. */
function causeOf(
  view: BootEntryView,
  machine: Machine,
  bound: readonly Bound[]
): CauseSource | undefined {
  const all = [...turnedOffCauses(view), ...removalCauses(view, machine, bound)]
  return all.find(it => it.isCertain) ?? all[0]
}

function turnedOffCauses(view: BootEntryView): CauseSource[] {
  return firmwareFramebufferOff(view).map(({ at, name }) => ({
    cause: { kind: 'turned-off', setting: name },
    isCertain: isUnconditional(at),
    definition: at,
    place: findingPlace(at)
  }))
}

function removalCauses(
  view: BootEntryView,
  machine: Machine,
  bound: readonly Bound[]
): CauseSource[] {
  // Since Linux 6.0, vfio_pci_vga_init calls aperture_remove_conflicting_pci_devices
  // (drivers/vfio/pci/vfio_pci_core.c), for cards of class VGA only.
  if (!hasKernel(view, '6.0')) return []
  const isBootCard = (it: PciDevice) => it.bootVga === true || it.holdsFramebuffer === true
  const isKnown = machine.devices.some(isBootCard)
  const cards = bound.filter(({ device }) => device.class.startsWith('0300'))
  return cards
    .filter(({ device }) => (isKnown ? isBootCard(device) : device.bootVga === undefined))
    .map(({ device, isCertain, definition, place }) => ({
      cause: { kind: 'bound', address: device.address, isKnown },
      isCertain: isKnown && isCertain,
      definition,
      place
    }))
}

/**
 * The host's cards that may show the prompt: the cards with a monitor or, if no monitor is known, all cards that
 * can have one. Integrated cards come first.
 */
function hostCards(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const integrated = new Set(
    cardsOf(machine).flatMap(it => (it.isIntegrated ? it.display.address : []))
  )
  const cards = machine.devices.filter(it => canHaveMonitor(it) && !passed.has(it.address))
  const shown = cards.filter(it => monitorsAt(it).length > 0)
  const rank = (it: PciDevice) => (integrated.has(it.address) ? 0 : 1)
  return (shown.length > 0 ? shown : cards).sort((a, b) => rank(a) - rank(b))
}

/** Whether the kernel or the initrd has a driver that draws a console on a card. */
function hasConsoleDriver(device: PciDevice, view: BootEntryView, early: EarlyDrivers): boolean {
  // A driver without a module is built into the kernel.
  const isBuiltIn =
    device.driver !== undefined && device.module === undefined && !isForGuests(device)
  const loads = (it: string) =>
    (early.loadsAllDrivers && it !== 'nouveau') ||
    early.alwaysLoaded.has(it) ||
    early.available.has(it)
  return (
    (isBuiltIn && !early.blocked.has(moduleName(device.driver ?? ''))) ||
    driversFor(device, view).some(it => loads(it) && !early.blocked.has(it))
  )
}

/**
 * The modules that draw a console on a card, the best first: the module of its current driver, otherwise the
 * modules with an alias for the card, otherwise the common modules for its vendor.
 */
function driversFor(device: PciDevice, view: BootEntryView): string[] {
  const { driver, module, vendor, suitable = [] } = device
  const current = driver === undefined || isForGuests(device) ? undefined : consoleModule(module)
  if (current !== undefined) {
    // Two drivers support the same Intel cards, and these parameters choose one.
    const isMoved = kernelParams(view).some(it => /^(?:i915|xe)\.force_probe=/.test(it.param))
    const other = { i915: 'xe', xe: 'i915' }[current]
    return isMoved && other !== undefined ? [current, other] : [current]
  }
  const fitting = suitable.map(consoleModule).filter(it => it !== undefined)
  const usual = consoleDriversOf(vendor)
  const all = fitting.length > 0 ? fitting : usual
  const wanted = videoDriversOf(view).includes('nvidia') ? 'nvidia_drm' : undefined
  const rank = (it: string) => (it === wanted ? -1 : usual.indexOf(it))
  return [...new Set(all)].sort((a, b) => rank(a) - rank(b))
}

/** The module that draws a console for a driver; NVIDIA's driver has a separate one. */
function consoleModule(module: string | undefined): string | undefined {
  const name = moduleName(module ?? '')
  if (name === 'nvidia') return 'nvidia_drm'
  return consoleVendorOf(name) === undefined ? undefined : name
}

/** Why none of the host's cards shows the prompt. */
function obstacleIn(
  cards: readonly PciDevice[],
  view: BootEntryView,
  early: EarlyDrivers
): Obstacle {
  const candidates = cards.map(device => ({ device, drivers: driversFor(device, view) }))
  const card =
    candidates.find(it => it.drivers.some(at => !early.blocked.has(at))) ??
    candidates.find(it => it.drivers.length > 0) ??
    candidates[0]
  if (!card) return { kind: 'no-card' }
  const { address } = card.device
  const driver = card.drivers.find(it => !early.blocked.has(it)) ?? card.drivers[0]
  if (driver === undefined) return { kind: 'unknown-driver', address }
  const by = early.blocked.get(driver)
  return by === undefined
    ? { kind: 'missing-driver', address, driver, mayLoadMore: early.mayLoadMore }
    : { kind: 'blocked-driver', address, driver, by }
}

/** The module that an edit loads in the initrd; undefined if no edit is certain to help. */
function driverToLoad(obstacle: Obstacle, view: BootEntryView): string | undefined {
  if (obstacle.kind !== 'missing-driver') return undefined
  const { driver } = obstacle
  // The system has NVIDIA's module only if its driver is enabled; otherwise the build would fail.
  const isInstalled = driver !== 'nvidia_drm' || videoDriversOf(view).includes('nvidia')
  return isInstalled ? driver : undefined
}

/**
 * The prompt for a LUKS root that only the machine shows, because the files are not the whole configuration (for
 * example, a flake imports another module). How the root is unlocked is unknown.
 */
function promptsOfMachine(view: BootEntryView, { storage }: Machine): Prompt[] {
  if (view.isComplete) return []
  const roots = storage.filter(it => it.kind === 'mount' && it.name === '/')
  const isMapped = (it: { blockDevice: string }) => it.blockDevice.startsWith('dm-')
  const below = roots.filter(isMapped).flatMap(it => it.through)
  const members = storage.filter(
    it => it.kind === 'luks' && it.through.some(address => below.includes(address))
  )
  if (members.length === 0) return []
  return [{ kind: 'LUKS', name: list(members.map(it => it.name)), condition: 'passphrase' }]
}
