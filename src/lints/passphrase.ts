// Passphrase prompts in the initrd that no screen shows.

import { idPlaces, kernelParams, vendorsOf } from './bindings.ts'
import { type Blocker, consoleVendorOf, earlyDriversOf, videoDriversOf } from './earlyDrivers.ts'
import { type Finding, findingAt } from './finding.ts'
import { paramValues } from './kernelParams.ts'
import { type InvisiblePrompts, noHostDriverInInitrd } from './messages/passphrase.ts'
import { type Prompt, promptsOf } from './prompts.ts'
import {
  type BootEntryView,
  type DefinitionItem,
  type DefinitionPart,
  hasKernel,
  type OptionDefinition
} from './view.ts'

/**
 * Prompts that are invisible according to the text alone: the firmware's framebuffer is off, and the initrd
 * loads no driver of a card that may be the host's. Only the machine shows which card the firmware draws on,
 * and so whether vfio-pci removes its framebuffer; if the machine is read, `check/darkPassphrase.ts` replaces this lint.
 */
export function lintDarkPassphrase(view: BootEntryView): Finding[] {
  const off = firmwareFramebufferOff(view)
  const prompts = off.length > 0 ? promptsOf(view) : []
  if (prompts.length === 0) return []
  const early = earlyDriversOf(view)
  const drivers = [...new Set([...early.alwaysLoaded, ...early.available])]
  if (early.loadsAllDrivers || drivers.some(it => mayBeOfHost(view, it))) return []
  const driver = driverByText(view, early.blocked)
  const invisible = invisiblePrompts(view, prompts, !early.mayLoadMore)
  const edit = (at: OptionDefinition | DefinitionItem) =>
    invisible.level === 'problem' && loadEarly(at, driver)
  return off.map(({ at, name }) =>
    findingAt(at, { ...noHostDriverInInitrd(invisible, name, drivers, driver), ...edit(at) })
  )
}

/**
 * These prompts with the level of their finding. It is `problem` only if a prompt certainly appears, is certainly
 * invisible, and can't be answered elsewhere. Only a problem gets a fix.
 */
export function invisiblePrompts(
  view: BootEntryView,
  prompts: readonly Prompt[],
  isCertain: boolean
): InvisiblePrompts {
  const isAsked = prompts.some(it => it.condition === undefined)
  const level = isCertain && isAsked && !hasOtherConsole(view) ? 'problem' : 'note'
  return { level, prompts, entry: view.name, isCertain }
}

/** Whether a prompt can also be answered over SSH in the initrd, or on a serial line. */
export function hasOtherConsole(view: BootEntryView): boolean {
  return (
    view.definitionsWith('boot.initrd.network.ssh.enable', true).length > 0 ||
    kernelParams(view).some(it => /^console=(?:ttyS|ttyUSB|ttyAMA|hvc)\d/.test(it.param))
  )
}

/** The definitions that turn the firmware's framebuffer off; `name` is the parameter or option. */
export function firmwareFramebufferOff(
  view: BootEntryView
): { at: OptionDefinition | DefinitionItem; name: string }[] {
  const params = kernelParams(view).filter(
    ({ param }) =>
      paramValues(param, 'initcall_blacklist').includes('sysfb_init') ||
      // Only efifb reads this parameter, and later kernels have no efifb.
      (/^video=efifb:off\b/.test(param) && !hasKernel(view, '5.15'))
  )
  const option = 'virtualisation.vfio.disableEFIfb'
  return [
    ...params.map(({ item, param }) => ({ at: item, name: param })),
    ...view.definitionsWith(option, true).map(at => ({ at, name: option }))
  ]
}

/**
 * The kernel module for the initrd, and the fix that loads it in the definition's boot entry; nothing without a
 * driver. There is no fix in a module that is a value inside a file.
 */
export function loadEarly(
  at: DefinitionPart,
  driver: string | undefined
): Pick<Finding, 'fix' | 'initrdModules'> {
  if (driver === undefined) return {}
  const { path, fullPath, file } = 'definition' in at ? at.definition : at
  const entry = fullPath.slice(0, fullPath.length - path.length)
  const option = [...entry, 'boot', 'initrd', 'kernelModules']
  const fix = [{ op: 'add', path: option, items: [driver] }] as const
  return { initrdModules: [driver], ...(file.isInnerModule ? {} : { fix }) }
}

/** X drivers, with the vendor of their cards. Drivers for cards of any vendor are left out. */
const VENDORS_OF_X: ReadonlyMap<string, string> = new Map([
  ['amdgpu', '1002'],
  ['radeon', '1002'],
  ['ati', '1002'],
  ['intel', '8086'],
  ['nvidia', '10de'],
  ['nouveau', '10de']
])

/**
 * Whether a driver in the initrd may be for the host's card. The host may have a card of the guest's vendor as
 * well, unless its desktop uses only other vendors' cards.
 */
function mayBeOfHost(view: BootEntryView, driver: string): boolean {
  const vendor = consoleVendorOf(driver)
  if (vendor === undefined || !vendorsOf(idPlaces(view)).has(vendor)) return true
  const desktop = videoDriversOf(view).map(it => VENDORS_OF_X.get(it))
  return desktop.length === 0 || desktop.includes(undefined) || desktop.includes(vendor)
}

/** The desktop's driver for cards of another vendor than the guest's; undefined unless there is exactly one. */
function driverByText(
  view: BootEntryView,
  blocked: ReadonlyMap<string, Blocker>
): string | undefined {
  const passed = vendorsOf(idPlaces(view))
  const drivers = videoDriversOf(view).flatMap(it => {
    const vendor = VENDORS_OF_X.get(it)
    if (vendor === undefined || passed.has(vendor)) return []
    return { intel: 'i915', ati: 'radeon', nvidia: 'nvidia_drm' }[it] ?? it
  })
  const [driver] = drivers
  const isOnly = driver !== undefined && new Set(drivers).size === 1
  return isOnly && !blocked.has(driver) ? driver : undefined
}
