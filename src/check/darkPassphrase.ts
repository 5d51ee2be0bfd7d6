// A passphrase that the initrd asks for while no screen shows anything, on the machine at hand.

import { uniqueBy } from '../collections.ts'
import { isUnconditional, kernelParams } from '../lints/bindings.ts'
import {
  BLACKLIST,
  bindsByOurs,
  consoleDriversOf,
  type EarlyDrivers,
  earlyDriversOf,
  loadsVfioEarly,
  makerOf,
  moduleName,
  overriddenEarly,
  videoDriversOf
} from '../lints/earlyDrivers.ts'
import { type Finding, findingAt, findingPlace, type Place, placeWithin } from '../lints/finding.ts'
import {
  earlyLine,
  firmwareFramebufferOff,
  hasOtherConsole,
  loadEarly,
  type Prompt,
  promptsOf,
  sayDark
} from '../lints/passphrase.ts'
import {
  type Facts,
  hasKernel,
  type LintFile,
  type View,
  viewsOf,
  type Written,
  withParts
} from '../lints/view.ts'
import { cardsOf, isForGuests, monitorsAt } from '../machine/cards.ts'
import type { Machine, PciDevice } from '../machine/machine.ts'
import { list } from '../machine/messages.ts'
import { canShow } from '../machine/read/pci.ts'
import { isBoundByID, namedIn } from './requirements.ts'

/**
 * The passphrase prompts that nobody can see on this machine, in any boot entry: the firmware's
 * framebuffer is off, or vfio-pci removes it with the card that it is on, and the initrd loads no driver
 * of a card that stays. The machine knows which card that is, so these findings take the place of those that the
 * text alone gives (DECIDED_CODES). Files need not give any device to guests.
 */
export function darkPassphrases(
  files: readonly LintFile[],
  facts: Facts,
  machine: Machine
): Finding[] {
  const found = viewsOf(files.flatMap(withParts), facts).flatMap(view => darkIn(view, machine))
  // What holds for the system holds for its specialisations too, unless another card is in question.
  return uniqueBy(found, it => [it.path, it.range.start, it.why, it.remedy].join('\0'))
}

function darkIn(view: View, machine: Machine): Finding[] {
  const known = promptsOf(view)
  const prompts = known.length > 0 ? known : promptsOfMachine(view, machine)
  if (prompts.length === 0) return []
  const bound = boundEarly(view, machine)
  const cause = causeOf(view, machine, bound)
  if (!cause) return []
  const early = earlyDriversOf(view)
  const looked = lookedAt(machine, new Set(bound.map(it => it.device.address)))
  if (looked.some(it => isDrawnOn(it, view, early))) return []
  const init = sayDark(view, prompts, cause.isCertain && !early.isVague)
  const other = hasOtherConsole(view) ? ' It can still be typed over ssh or a serial line.' : ''
  const { outcome, remedy, driver } = darkAdvice(looked, view, early)
  const why = `${cause.why}, and ${outcome}.${other}`
  const edit = init.level === 'problem' ? loadEarly(cause.entry, driver) : {}
  return [findingAt(cause.place, { ...init, why, remedy, ...edit })]
}

/** A definition that brings something about; an edit goes into its boot entry. */
interface Source {
  entry: Written
  place: Place
}

/** A device of a guest, and what names it. */
interface Bound extends Source {
  device: PciDevice
  /** Whether it goes to the guest in any case, and not only under a condition. */
  isSure: boolean
}

/** What vfio-pci takes in the initrd: by our options, by IDs, and by scripts that override a driver. */
function boundEarly(view: View, machine: Machine): Bound[] {
  const binds = bindsByOurs(view)
  const named = namedIn(view, machine, machine.kernelParams, true)
    .filter(({ by }) => binds || (by.kind === 'id' && !by.binding.isOurs))
    .flatMap(it => {
      const entry = it.by.kind === 'id' ? it.by.binding.at : it.by.item
      const isRunning = it.by.kind === 'id' && isBoundByID(machine.kernelParams, it.by.id)
      const isSure = isUnconditional(entry) || isRunning
      return it.devices.map((device): Bound => ({ device, isSure, entry, place: it }))
    })
  const scripted = overriddenEarly(view).flatMap(({ text, index, address }) => {
    const place = placeWithin(text, index, address.length)
    const devices = machine.devices.filter(it => it.address === address)
    const isSure = isUnconditional(text)
    return devices.map((device): Bound => ({ device, isSure, entry: text, place }))
  })
  return [...(loadsVfioEarly(view) ? named : []), ...scripted]
}

interface Cause extends Source {
  why: string
  isCertain: boolean
}

/** Why there is no framebuffer of the firmware, a certain cause first; undefined where there is one. */
function causeOf(view: View, machine: Machine, bound: readonly Bound[]): Cause | undefined {
  const all = [...framebufferOff(view), ...removed(view, machine, bound)]
  return all.find(it => it.isCertain) ?? all[0]
}

function framebufferOff(view: View): Cause[] {
  return firmwareFramebufferOff(view).map(({ at, name }) => ({
    why: `with ${name}, nothing is drawn before a graphics driver loads`,
    isCertain: isUnconditional(at),
    entry: at,
    place: findingPlace(at)
  }))
}

function removed(view: View, machine: Machine, bound: readonly Bound[]): Cause[] {
  // Since Linux 6.0 vfio_pci_vga_init calls aperture_remove_conflicting_pci_devices
  // (drivers/vfio/pci/vfio_pci_core.c).
  if (!hasKernel(view, '6.0')) return []
  const isFirst = (it: PciDevice) => it.bootVga === true || it.holdsFramebuffer === true
  const isKnown = machine.devices.some(isFirst)
  // vfio-pci does it for cards of class VGA alone.
  const cards = bound.filter(({ device }) => device.class.startsWith('0300'))
  return cards
    .filter(({ device }) => (isKnown ? isFirst(device) : device.bootVga === undefined))
    .map(({ device, isSure, entry, place }) => ({
      why: `vfio-pci binds ${device.address} in the initrd, which removes the firmware's framebuffer${isKnown ? '' : ' if that is on this card'}`,
      isCertain: isKnown && isSure,
      entry,
      place
    }))
}

/**
 * The cards that a person may look at: those that stay and have a monitor, or where no monitor is known
 * all that stay and can have one; those of the processor first.
 */
function lookedAt(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const integrated = new Set(
    cardsOf(machine).flatMap(it => (it.isIntegrated ? it.display.address : []))
  )
  const stay = machine.devices.filter(it => canShow(it) && !passed.has(it.address))
  const shown = stay.filter(it => monitorsAt(it).length > 0)
  const rank = (it: PciDevice) => (integrated.has(it.address) ? 0 : 1)
  return (shown.length > 0 ? shown : stay).sort((a, b) => rank(a) - rank(b))
}

/** Whether the initrd has what draws on a card. */
function isDrawnOn(device: PciDevice, view: View, early: EarlyDrivers): boolean {
  // A driver without a module is part of the kernel.
  const isBuiltIn =
    device.driver !== undefined && device.module === undefined && !isForGuests(device)
  const loads = (it: string) =>
    (early.isEvery && it !== 'nouveau') || early.forced.has(it) || early.available.has(it)
  return (
    (isBuiltIn && !early.blocked.has(moduleName(device.driver ?? ''))) ||
    driversFor(device, view).some(it => loads(it) && !early.blocked.has(it))
  )
}

/**
 * The modules that draw a console on a card, the best first: the one that it has now, else those that
 * say they are for it, else the usual ones of its maker.
 */
function driversFor(device: PciDevice, view: View): string[] {
  const { driver, module, vendor, suitable = [] } = device
  const now = driver === undefined || isForGuests(device) ? undefined : drawing(module)
  if (now !== undefined) {
    // Two drivers are for the same cards of Intel, and these parameters say which takes them.
    const isMoved = kernelParams(view).some(it => /^(?:i915|xe)\.force_probe=/.test(it.param))
    const other = { i915: 'xe', xe: 'i915' }[now]
    return isMoved && other !== undefined ? [now, other] : [now]
  }
  const fitting = suitable.map(drawing).filter(it => it !== undefined)
  const usual = consoleDriversOf(vendor)
  const all = fitting.length > 0 ? fitting : usual
  const wanted = videoDriversOf(view).includes('nvidia') ? 'nvidia_drm' : undefined
  const rank = (it: string) => (it === wanted ? -1 : usual.indexOf(it))
  return [...new Set(all)].sort((a, b) => rank(a) - rank(b))
}

/** The module that draws for this driver; that of NVIDIA has one of its own for it. */
function drawing(module: string | undefined): string | undefined {
  const name = moduleName(module ?? '')
  if (name === 'nvidia') return 'nvidia_drm'
  return makerOf(name) === undefined ? undefined : name
}

interface Advice {
  /** Why none of the cards shows the prompt, as a clause. */
  outcome: string
  remedy: string
  /** The module that an edit is to load; undefined where no edit is sure to help. */
  driver?: string | undefined
}

const WITHOUT_CARD =
  'unlock the disk without a passphrase (TPM2, a key file) or over the network (boot.initrd.network.ssh), or let the guest have the card only while it runs: vfio-patch apply --bind hooks'

function darkAdvice(looked: readonly PciDevice[], view: View, early: EarlyDrivers): Advice {
  if (looked.length === 0) {
    const outcome = 'no other card is left to show the prompt'
    return { outcome, remedy: WITHOUT_CARD }
  }
  const fitting = looked.map(device => ({ device, drivers: driversFor(device, view) }))
  const found = fitting.find(it => it.drivers.some(at => !early.blocked.has(at)))
  const card = found ?? fitting.find(it => it.drivers.length > 0) ?? fitting[0]
  const address = card?.device.address ?? ''
  const driver = card?.drivers.find(it => !early.blocked.has(it)) ?? card?.drivers[0]
  if (driver === undefined) {
    return {
      outcome: `no driver is known for ${address}, which stays with the host`,
      remedy: `load the driver of ${address} with boot.initrd.kernelModules`
    }
  }
  const by = early.blocked.get(driver)
  if (by !== undefined) {
    return {
      outcome: `${by} disables ${driver}, the driver of ${address}, which stays with the host`,
      remedy: `take out ${by === BLACKLIST ? `${driver} there` : by}, and add ${earlyLine(driver)}`
    }
  }
  // The module of NVIDIA is in the system only where its driver is asked for; else the build would fail.
  const isSure = driver !== 'nvidia_drm' || videoDriversOf(view).includes('nvidia')
  const missing = early.isVague
    ? 'the files do not show that the initrd loads'
    : 'the initrd does not load'
  return {
    outcome: `${missing} ${driver}, the driver of ${address}, which stays with the host`,
    remedy: `add ${earlyLine(driver)}`,
    driver: isSure ? driver : undefined
  }
}

/**
 * A root on LUKS that only the machine shows, where the files are not all of the configuration (an
 * imported module, such as a flake's). How it is unlocked is not known then.
 */
function promptsOfMachine(view: View, { storage }: Machine): Prompt[] {
  if (view.isWhole) return []
  const roots = storage.filter(it => it.kind === 'mount' && it.name === '/')
  const isMapped = (it: { blockDevice: string }) => it.blockDevice.startsWith('dm-')
  const below = roots.filter(isMapped).flatMap(it => it.through)
  const members = storage.filter(
    it => it.kind === 'luks' && it.through.some(address => below.includes(address))
  )
  if (members.length === 0) return []
  return [{ kind: 'LUKS', name: list(members.map(it => it.name)), onlyIf: 'asks for one' }]
}
