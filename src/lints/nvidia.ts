import { bindingsOf, passedVendors } from './bindings.ts'
import { spellingOf, together, type View } from './configuration.ts'
import { findingAt, kernelParams } from './find.ts'
import type { Finding } from './finding.ts'

/** What keeps a card busy that a guest is to have, or a host without its own. */
export function lintNvidia(view: View): Finding[] {
  return [...blacklist(view), ...prime(view), ...holds(view)]
}

function blacklist(view: View): Finding[] {
  const drivers = view.items('services.xserver.videoDrivers')
  const black = view.items('boot.blacklistedKernelModules')
  const takes = (driver: string, module: string) =>
    driver === 'nvidia' ? /^nvidia(?:[-_](?:drm|modeset))?$/.test(module) : driver === module
  const named = ['nvidia', 'nouveau'].flatMap(driver => {
    const host = drivers.find(it => it.text === driver)
    if (!host) return []
    return black.filter(it => takes(driver, it.text ?? '') && together(it, host))
  })
  const host = drivers.find(it => it.text === 'nvidia' || it.text === 'nouveau')
  const ours = view
    .says('virtualisation.vfio.blacklistNvidia', true)
    .filter(it => host !== undefined && together(it, host))
  return [...named, ...ours].map(it =>
    findingAt(it, {
      code: 'BLACKLISTS_HOST',
      level: 'problem',
      message: 'this takes the driver away that services.xserver.videoDrivers asks for',
      why: 'a blacklisted driver is not loaded for any card, so there is no desktop.',
      remedy: "take it out; the guest's card goes to vfio-pci without a blacklist too"
    })
  )
}

/** PRIME that draws with a card which goes to a guest at boot. */
function prime(view: View): Finding[] {
  const busIds = ['nvidiaBusId', 'amdgpuBusId', 'intelBusId'].flatMap(name =>
    view.at(`hardware.nvidia.prime.${name}`)
  )
  const slots = view.items('virtualisation.vfio.addresses').flatMap(at => {
    const { text } = at.entry.file.doc
    const address = /[0-9a-f]{4,8}:([0-9a-f]{2}):([01][0-9a-f])\.[0-7]/i.exec(
      text.slice(at.node.start, at.node.end)
    )
    return address ? [{ at, slot: `${address[1]}:${address[2]}`.toLowerCase() }] : []
  })
  const bindsNvidia = passedVendors(view).has('10de')
  return busIds.flatMap(it => {
    const found = /"PCI:(\d+)(?:@0)?:(\d+):\d+"/.exec(spellingOf(it))
    if (!found) return []
    const hex = (digits = '') => Number(digits).toString(16).padStart(2, '0')
    const slot = `${hex(found[1])}:${hex(found[2])}`
    const isAddress = slots.some(other => other.slot === slot && together(it, other.at))
    const bindings = bindingsOf(view).filter(other => together(it, other.at))
    const isOnly = it.path.at(-1) === 'nvidiaBusId' && bindsNvidia && bindings.length > 0
    if (!isAddress && !isOnly) return []
    return [
      findingAt(it, {
        code: 'PRIME_GUEST',
        level: 'problem',
        message: isAddress
          ? 'PRIME is to draw with a card that goes to a guest'
          : 'PRIME is to draw with an NVIDIA card, and one goes to a guest at boot',
        why: 'the driver of the host and vfio-pci want the same card, and one of them fails.',
        remedy:
          'take the options of hardware.nvidia.prime out, or give the card away in a specialisation; with two NVIDIA cards of which this is the other, all is well'
      })
    ]
  })
}

/** The driver of NVIDIA holds a card that a guest is to have while the host runs. */
function holds(view: View): Finding[] {
  if (view.says('virtualisation.vfio.bindAtBoot', false).length === 0) return []
  const params = kernelParams(view).filter(it => /^nvidia[-_]drm\.fbdev=/.test(it.param))
  const console = params.at(-1)
  const busy = [
    ...(console?.param.endsWith('=1') ? [console.item] : []),
    ...view.says('hardware.nvidia.nvidiaPersistenced', true)
  ]
  return busy.map(it =>
    findingAt(it, {
      code: 'NVIDIA_HOLDS',
      level: 'problem',
      message: 'this keeps the NVIDIA card in use, so that no guest can get it later',
      why:
        'text' in it || 'entry' in it
          ? 'with fbdev=1 the driver draws the console on it.'
          : 'nvidia-persistenced keeps it open all the time.',
      remedy:
        'entry' in it
          ? 'boot.kernelParams = lib.mkAfter [ "nvidia-drm.fbdev=0" ];'
          : 'turn it off, or stop nvidia-persistenced.service before the guest starts'
    })
  )
}
