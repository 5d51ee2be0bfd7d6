import { type Binding, idBindings, kernelParams, modprobeLines, vendorsOf } from './bindings.ts'
import { type Finding, findingAt, placeWithin } from './finding.ts'
import {
  fbdevOption,
  fbdevParam,
  hostDriverBlacklisted,
  persistencedHoldsCard,
  primeKeepsCardBusy,
  primeMayUseGuestCard,
  primeUsesGuestCard
} from './messages/nvidia.ts'
import {
  canApplyTogether,
  contendersFor,
  type Entry,
  isOn,
  isSince,
  type View,
  valueText
} from './view.ts'

/** Findings about drivers that keep a guest's card busy, and about a blacklist of the host's driver. */
export function lintNvidia(view: View): Finding[] {
  return [...blacklist(view), ...prime(view), ...holdsCard(view)]
}

function blacklist(view: View): Finding[] {
  const drivers = view.items('services.xserver.videoDrivers')
  const blacklisted = view.items('boot.blacklistedKernelModules')
  const takes = (driver: string, module: string) =>
    driver === 'nvidia' ? /^nvidia(?:[-_](?:drm|modeset))?$/.test(module) : driver === module
  const named = ['nvidia', 'nouveau'].flatMap(driver => {
    const host = drivers.find(it => it.text === driver)
    return host
      ? blacklisted.filter(it => takes(driver, it.text ?? '') && canApplyTogether(it, host))
      : []
  })
  const host = drivers.find(it => it.text === 'nvidia' || it.text === 'nouveau')
  const byOption = host ? view.definitionsWith('virtualisation.vfio.blacklistNvidia', true) : []
  const effective = byOption.filter(it => host && canApplyTogether(it, host))
  return [...named, ...effective].map(it => findingAt(it, hostDriverBlacklisted()))
}

/** PRIME with a card that is passed through. */
function prime(view: View): Finding[] {
  const isBound =
    isOn(view, 'virtualisation.vfio.enable', true) !== false &&
    isOn(view, 'virtualisation.vfio.bindAtBoot', true) === true
  return [...primeAtBoot(view, isBound), ...(isBound ? [] : primeWhileRunning(view))]
}

/** PRIME with a card that vfio-pci binds at boot; `virtualisation.vfio` does so only if `isBound` is true. */
function primeAtBoot(view: View, isBound: boolean): Finding[] {
  const bindings = idBindings(view).filter(it => isBound || !it.isDeviceOption)
  return primeCards(view).flatMap(it => {
    const isAddress = isBound && isAtAddress(view, it)
    if (!isAddress && !mayBeBound(it, bindings)) return []
    return findingAt(it.entry, isAddress ? primeUsesGuestCard() : primeMayUseGuestCard())
  })
}

/** PRIME modes that never release a card for a guest, unlike offloading. */
function primeWhileRunning(view: View): Finding[] {
  const isGuestCard = (it: PrimeCard) => isAtAddress(view, it) || mayBeBound(it, idBindings(view))
  if (isOn(view, 'virtualisation.vfio.enable', true) === false) return []
  if (!primeCards(view).some(isGuestCard)) return []
  const modes = ['sync', 'reverseSync'].flatMap(mode =>
    view.definitionsWith(`hardware.nvidia.prime.${mode}.enable`, true)
  )
  return modes.map(it => findingAt(it, primeKeepsCardBusy(it.path.at(-2) ?? '')))
}

/** A card that PRIME uses. */
interface PrimeCard {
  entry: Entry
  /** Bus and device, such as `01:00`. */
  slot: string
}

function primeCards(view: View): PrimeCard[] {
  const hex = (digits = '') => Number(digits).toString(16).padStart(2, '0')
  return ['nvidiaBusId', 'amdgpuBusId', 'intelBusId'].flatMap(name =>
    view.at(`hardware.nvidia.prime.${name}`).flatMap(entry => {
      const found = /"PCI:(\d+)(?:@0)?:(\d+):\d+"/.exec(valueText(entry))
      return found ? [{ entry, slot: `${hex(found[1])}:${hex(found[2])}` }] : []
    })
  )
}

function isAtAddress(view: View, { entry, slot }: PrimeCard): boolean {
  return view.items('virtualisation.vfio.addresses').some(at => {
    const source = at.node.text
    const found = /[0-9a-f]{4,8}:([0-9a-f]{2}:[01][0-9a-f])\.[0-7]/i.exec(source)?.[1]
    return found?.toLowerCase() === slot && canApplyTogether(entry, at)
  })
}

/** Whether a card may be one of the NVIDIA cards that these bindings pass through. */
function mayBeBound({ entry }: PrimeCard, bindings: readonly Binding[]): boolean {
  return (
    entry.path.at(-1) === 'nvidiaBusId' &&
    vendorsOf(bindings).has('10de') &&
    bindings.some(it => canApplyTogether(entry, it.at))
  )
}

/** Settings that make NVIDIA's driver keep a card that a guest should take after boot. */
function holdsCard(view: View): Finding[] {
  const binds = contendersFor(view, 'virtualisation.vfio.bindAtBoot')
  if (!binds.some(it => it.text === 'false')) return []
  const persistent = view
    .definitionsWith('hardware.nvidia.nvidiaPersistenced', true)
    .map(it => findingAt(it, persistencedHoldsCard()))
  return [...drawsConsole(view), ...persistent]
}

/** The settings that let the driver draw the console. A kernel parameter overrides all others. */
function drawsConsole(view: View): Finding[] {
  const init = fbdevParam(isSince(view, '26.05'))
  const params = kernelParams(view).flatMap(({ item, param }) => {
    const found = /^nvidia[-_]drm\.fbdev=(.*)$/.exec(param)
    return found ? [{ item, value: found[1] ?? '' }] : []
  })
  const last = params.at(-1)
  if (last) {
    return isTrue(last.value) ? [findingAt(last.item, init)] : []
  }
  const lines = modprobeLines(view).flatMap(({ at, line, index }) => {
    const [found = '', option = '', value] =
      /^options\s+nvidia[-_]drm\s(?:.*\s)?(fbdev=(\S*))/.exec(line) ?? []
    const start = index + found.length - option.length
    return value === undefined ? [] : [{ at, start, length: option.length, value }]
  })
  const options = ['nvidia-drm', 'nvidia_drm'].flatMap(name =>
    contendersFor(view, `hardware.nvidia.moduleParams.${name}.fbdev`)
  )
  const line = lines.at(-1)
  if (options.length === 0) {
    return line && isTrue(line.value)
      ? [findingAt(placeWithin(line.at, line.start, line.length), init)]
      : []
  }
  // It is unknown whether modprobe reads the line or the option last.
  if (line && !isTrue(line.value)) return []
  return options
    .filter(it => isTrue(it.text.replace(/^"(.*)"$/, '$1')))
    .map(it => findingAt(it.entry, fbdevOption()))
}

/** Whether the kernel or Nix reads a value as true. */
function isTrue(value: string): boolean {
  return /^(?:1|y|yes|on|true)$/i.test(value)
}
