import { type IDPlace, idPlaces, kernelParams, modprobeLines, vendorsOf } from './bindings.ts'
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
  type BootEntryView,
  canApplyTogether,
  hasRelease,
  isOptionOn,
  type OptionDefinition,
  possibleValuesOf,
  valueText
} from './view.ts'

/** Findings about drivers that keep a guest's card busy, and about a blacklist of the host's driver. */
export function lintNvidia(view: BootEntryView): Finding[] {
  return [...blacklist(view), ...prime(view), ...holdsCard(view)]
}

function blacklist(view: BootEntryView): Finding[] {
  const drivers = view.itemsIn('services.xserver.videoDrivers')
  const blacklisted = view.itemsIn('boot.blacklistedKernelModules')
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
function prime(view: BootEntryView): Finding[] {
  const isBound =
    isOptionOn(view, 'virtualisation.vfio.enable', true) !== false &&
    isOptionOn(view, 'virtualisation.vfio.bindAtBoot', true) === true
  return [...primeAtBoot(view, isBound), ...(isBound ? [] : primeWhileRunning(view))]
}

/** PRIME with a card that vfio-pci binds at boot; `virtualisation.vfio` does so only if `isBound` is true. */
function primeAtBoot(view: BootEntryView, isBound: boolean): Finding[] {
  const bindings = idPlaces(view).filter(it => isBound || !it.isDeviceOption)
  return primeCards(view).flatMap(it => {
    const isAddress = isBound && isAtAddress(view, it)
    if (!isAddress && !mayBeBound(it, bindings)) return []
    return findingAt(it.definition, isAddress ? primeUsesGuestCard() : primeMayUseGuestCard())
  })
}

/** PRIME modes that never release a card for a guest, unlike offloading. */
function primeWhileRunning(view: BootEntryView): Finding[] {
  const isGuestCard = (it: PrimeCard) => isAtAddress(view, it) || mayBeBound(it, idPlaces(view))
  if (isOptionOn(view, 'virtualisation.vfio.enable', true) === false) return []
  if (!primeCards(view).some(isGuestCard)) return []
  const modes = ['sync', 'reverseSync'].flatMap(mode =>
    view.definitionsWith(`hardware.nvidia.prime.${mode}.enable`, true)
  )
  return modes.map(it => findingAt(it, primeKeepsCardBusy(it.path.at(-2) ?? '')))
}

/** A card that PRIME uses. */
interface PrimeCard {
  definition: OptionDefinition
  /** Bus and device, such as `01:00`. */
  slot: string
}

function primeCards(view: BootEntryView): PrimeCard[] {
  const hex = (digits = '') => Number(digits).toString(16).padStart(2, '0')
  return ['nvidiaBusId', 'amdgpuBusId', 'intelBusId'].flatMap(name =>
    view.definitionsOf(`hardware.nvidia.prime.${name}`).flatMap(definition => {
      const found = /"PCI:(\d+)(?:@0)?:(\d+):\d+"/.exec(valueText(definition))
      return found ? [{ definition, slot: `${hex(found[1])}:${hex(found[2])}` }] : []
    })
  )
}

function isAtAddress(view: BootEntryView, { definition, slot }: PrimeCard): boolean {
  return view.itemsIn('virtualisation.vfio.addresses').some(at => {
    const source = at.node.text
    const found = /[0-9a-f]{4,8}:([0-9a-f]{2}:[01][0-9a-f])\.[0-7]/i.exec(source)?.[1]
    return found?.toLowerCase() === slot && canApplyTogether(definition, at)
  })
}

/** Whether a card may be one of the NVIDIA cards that these bindings pass through. */
function mayBeBound({ definition }: PrimeCard, bindings: readonly IDPlace[]): boolean {
  return (
    definition.path.at(-1) === 'nvidiaBusId' &&
    vendorsOf(bindings).has('10de') &&
    bindings.some(it => canApplyTogether(definition, it.at))
  )
}

/** Settings that make NVIDIA's driver keep a card that a guest should take after boot. */
function holdsCard(view: BootEntryView): Finding[] {
  const binds = possibleValuesOf(view, 'virtualisation.vfio.bindAtBoot')
  if (!binds.some(it => it.text === 'false')) return []
  const persistent = view
    .definitionsWith('hardware.nvidia.nvidiaPersistenced', true)
    .map(it => findingAt(it, persistencedHoldsCard()))
  return [...drawsConsole(view), ...persistent]
}

/** The settings that let the driver draw the console. A kernel parameter overrides all others. */
function drawsConsole(view: BootEntryView): Finding[] {
  const init = fbdevParam(hasRelease(view, '26.05'))
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
    possibleValuesOf(view, `hardware.nvidia.moduleParams.${name}.fbdev`)
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
    .map(it => findingAt(it.definition, fbdevOption()))
}

/** Whether the kernel or Nix reads a value as true. */
function isTrue(value: string): boolean {
  return /^(?:1|y|yes|on|true)$/i.test(value)
}
