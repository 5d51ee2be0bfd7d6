import { type Binding, idBindings, kernelParams, modprobeLines, vendorsOf } from './bindings.ts'
import { type Finding, findingAt, placeWithin } from './finding.ts'
import {
  contendersFor,
  type Entry,
  isOn,
  isSince,
  spellingOf,
  together,
  type View
} from './view.ts'

/** What keeps a card busy that a guest is to have, or a host without its own. */
export function lintNvidia(view: View): Finding[] {
  return [...blacklist(view), ...prime(view), ...holdsCard(view)]
}

function blacklist(view: View): Finding[] {
  const drivers = view.items('services.xserver.videoDrivers')
  const black = view.items('boot.blacklistedKernelModules')
  const takes = (driver: string, module: string) =>
    driver === 'nvidia' ? /^nvidia(?:[-_](?:drm|modeset))?$/.test(module) : driver === module
  const named = ['nvidia', 'nouveau'].flatMap(driver => {
    const host = drivers.find(it => it.text === driver)
    return host ? black.filter(it => takes(driver, it.text ?? '') && together(it, host)) : []
  })
  const host = drivers.find(it => it.text === 'nvidia' || it.text === 'nouveau')
  const ours = host ? view.says('virtualisation.vfio.blacklistNvidia', true) : []
  const effective = ours.filter(it => host && together(it, host))
  return [...named, ...effective].map(it =>
    findingAt(it, {
      code: 'BLACKLISTS_HOST',
      level: 'problem',
      message: 'this takes the driver away that services.xserver.videoDrivers asks for',
      why: 'a blacklisted driver is not loaded for any card, so there is no desktop.',
      remedy: "take it out; the guest's card goes to vfio-pci without a blacklist too"
    })
  )
}

/** PRIME that draws with a card which goes to a guest. */
function prime(view: View): Finding[] {
  const isBound =
    isOn(view, 'virtualisation.vfio.enable', true) !== false &&
    isOn(view, 'virtualisation.vfio.bindAtBoot', true) === true
  return [...primeAtBoot(view, isBound), ...(isBound ? [] : primeAllTheTime(view))]
}

/** PRIME with a card that vfio-pci has from the start; our options count only if `isBound` is true. */
function primeAtBoot(view: View, isBound: boolean): Finding[] {
  const bindings = idBindings(view).filter(it => isBound || !it.isOurs)
  return primeCards(view).flatMap(it => {
    const isAddress = isBound && isAtAddress(view, it)
    if (!isAddress && !mayBeBound(it, bindings)) return []
    return findingAt(it.entry, {
      code: 'PRIME_GUEST',
      level: 'problem',
      message: isAddress
        ? 'PRIME is to draw with a card that goes to a guest'
        : 'PRIME is to draw with an NVIDIA card, and one goes to a guest at boot',
      why: 'the driver of the host and vfio-pci want the same card, and one of them fails.',
      remedy:
        'take the options of hardware.nvidia.prime out, or give the card away in a specialisation; with two NVIDIA cards of which this is the other, all is well'
    })
  })
}

/** PRIME that never leaves a card alone which a guest is to have later. Offloading does. */
function primeAllTheTime(view: View): Finding[] {
  const isLent = (it: PrimeCard) => isAtAddress(view, it) || mayBeBound(it, idBindings(view))
  if (isOn(view, 'virtualisation.vfio.enable', true) === false) return []
  if (!primeCards(view).some(isLent)) return []
  const modes = ['sync', 'reverseSync'].flatMap(mode =>
    view.says(`hardware.nvidia.prime.${mode}.enable`, true)
  )
  return modes.map(it =>
    findingAt(it, {
      code: 'PRIME_GUEST',
      level: 'note',
      message: `PRIME with ${it.path.at(-2)} uses the card of the guest as long as the desktop runs`,
      why: 'a guest can get a card only while no program of the host uses it.',
      remedy:
        'use hardware.nvidia.prime.offload.enable = true; instead, or stop the desktop before the guest starts'
    })
  )
}

/** A card that PRIME draws with. */
interface PrimeCard {
  entry: Entry
  /** Bus and device, such as `01:00`. */
  slot: string
}

function primeCards(view: View): PrimeCard[] {
  const hex = (digits = '') => Number(digits).toString(16).padStart(2, '0')
  return ['nvidiaBusId', 'amdgpuBusId', 'intelBusId'].flatMap(name =>
    view.at(`hardware.nvidia.prime.${name}`).flatMap(entry => {
      const found = /"PCI:(\d+)(?:@0)?:(\d+):\d+"/.exec(spellingOf(entry))
      return found ? [{ entry, slot: `${hex(found[1])}:${hex(found[2])}` }] : []
    })
  )
}

function isAtAddress(view: View, { entry, slot }: PrimeCard): boolean {
  return view.items('virtualisation.vfio.addresses').some(at => {
    const source = at.node.text
    const own = /[0-9a-f]{4,8}:([0-9a-f]{2}:[01][0-9a-f])\.[0-7]/i.exec(source)?.[1]
    return own?.toLowerCase() === slot && together(entry, at)
  })
}

/** Whether it may be one of the NVIDIA cards that these bindings give away. */
function mayBeBound({ entry }: PrimeCard, bindings: readonly Binding[]): boolean {
  return (
    entry.path.at(-1) === 'nvidiaBusId' &&
    vendorsOf(bindings).has('10de') &&
    bindings.some(it => together(entry, it.at))
  )
}

/** The driver of NVIDIA holds a card that a guest is to have while the host runs. */
function holdsCard(view: View): Finding[] {
  const binds = contendersFor(view, 'virtualisation.vfio.bindAtBoot')
  if (!binds.some(it => it.spelling === 'false')) return []
  const persistent = view.says('hardware.nvidia.nvidiaPersistenced', true).map(it =>
    findingAt(it, {
      ...HOLDS,
      why: 'nvidia-persistenced keeps it open all the time.',
      remedy: 'turn it off, or stop nvidia-persistenced.service before the guest starts'
    })
  )
  return [...drawsConsole(view), ...persistent]
}

const HOLDS = {
  code: 'NVIDIA_HOLDS',
  level: 'problem',
  message: 'this keeps the NVIDIA card in use, so that no guest can get it later'
} as const

/** Where the driver is told to draw the console, which a kernel parameter decides before any other. */
function drawsConsole(view: View): Finding[] {
  const draws = { ...HOLDS, why: 'with fbdev=1 the driver draws the console on it.' }
  const remedy = isSince(view, '26.05')
    ? `take it out, and write ${FBDEV_OFF}`
    : 'boot.kernelParams = lib.mkAfter [ "nvidia-drm.fbdev=0" ];'
  const params = kernelParams(view).flatMap(({ item, param }) => {
    const found = /^nvidia[-_]drm\.fbdev=(.*)$/.exec(param)
    return found ? [{ item, value: found[1] ?? '' }] : []
  })
  const last = params.at(-1)
  if (last) {
    return isYes(last.value) ? [findingAt(last.item, { ...draws, remedy })] : []
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
    return line && isYes(line.value)
      ? [findingAt(placeWithin(line.at, line.start, line.length), { ...draws, remedy })]
      : []
  }
  // Which of the two modprobe reads last is not known.
  if (line && !isYes(line.value)) return []
  return options
    .filter(it => isYes(it.spelling.replace(/^"(.*)"$/, '$1')))
    .map(it => findingAt(it.entry, { ...draws, remedy: `write ${FBDEV_OFF}` }))
}

const FBDEV_OFF = 'hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;'

/** What the kernel, and Nix, take for true. */
function isYes(value: string): boolean {
  return /^(?:1|y|yes|on|true)$/i.test(value)
}
