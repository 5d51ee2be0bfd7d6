// A passphrase that the initrd asks for while no screen shows anything.

import { passedVendors } from './bindings.ts'
import type { Entry, EntryItem, EntryText, View } from './configuration.ts'
import { earlyDriversOf, makerOf, videoDriversOf } from './earlyDrivers.ts'
import { findingAt, kernelParams } from './find.ts'
import type { Finding } from './finding.ts'
import { wordsOf } from './paramLists.ts'
import { hasOtherConsole, type Prompt, promptsOf } from './passphrase.ts'
import { hasKernel } from './releases.ts'

/**
 * What the text alone shows: the firmware's framebuffer is off, and no driver of a card that may be
 * the host's is in the initrd. Which card the firmware draws on, and so what vfio-pci takes away, only
 * the machine shows: there `check/darkPassphrase.ts` takes the place of this lint.
 */
export function lintDarkPassphrase(view: View): Finding[] {
  const off = firmwareFramebufferOff(view)
  const prompts = off.length > 0 ? promptsOf(view) : []
  if (prompts.length === 0) return []
  const early = earlyDriversOf(view)
  const drivers = [...new Set([...early.forced, ...early.available])]
  if (early.isEvery || drivers.some(it => mayBeOfHost(view, it))) return []
  const driver = driverByText(view, early.blocked)
  const said = sayDark(view, prompts, !early.isVague)
  const modules = driver !== undefined && said.level === 'problem' ? [driver] : []
  const others =
    drivers.length > 0 ? `only the driver of the guest's card (${drivers.join(', ')})` : 'none'
  return off.map(({ at, name }) =>
    findingAt(at, {
      ...said,
      why: `with ${name}, nothing is drawn before a graphics driver loads, and the initrd loads ${others}.`,
      remedy:
        driver === undefined
          ? 'load the driver of the card that you look at early, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915", "xe")'
          : `add ${earlyLine([driver])}`,
      ...loadEarly(at, modules)
    })
  )
}

/**
 * Code, level and message; a `problem` only where the prompt is asked for and nobody can see it for
 * sure. Only a problem gets an edit.
 */
export function sayDark(
  view: View,
  prompts: readonly Prompt[],
  isCertain: boolean
): Pick<Finding, 'code' | 'level' | 'message'> {
  const isAsked = prompts.some(it => it.onlyIf === undefined)
  const level = isCertain && isAsked && !hasOtherConsole(view) ? 'problem' : 'note'
  const names = prompts.map(({ kind, name, onlyIf }) => {
    return `${name} (${kind}${onlyIf === undefined ? '' : `, if it ${onlyIf}`})`
  })
  const last = names.at(-1) ?? ''
  const all = names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
  const entry = view.name === '' ? '' : ` in the boot entry "${view.name}"`
  const verb = isCertain ? 'is' : 'may be'
  const message = `the passphrase prompt for ${all} ${verb} invisible${entry}`
  return { code: 'DARK_PASSPHRASE', level, message }
}

/** Where a view turns off what the firmware set up to draw on, and by which name. */
export function firmwareFramebufferOff(view: View): { at: Entry | EntryItem; name: string }[] {
  const params = kernelParams(view).filter(
    ({ param }) =>
      wordsOf(param, 'initcall_blacklist').includes('sysfb_init') ||
      // Later kernels have no efifb that heeds it.
      (/^video=efifb:off\b/.test(param) && !hasKernel(view, '5.15'))
  )
  const option = 'virtualisation.vfio.disableEFIfb'
  return [
    ...params.map(({ item, param }) => ({ at: item, name: param })),
    ...view.says(option, true).map(at => ({ at, name: option }))
  ]
}

/** The line that loads these drivers in the initrd. */
export function earlyLine(drivers: readonly string[]): string {
  return `boot.initrd.kernelModules = [ ${drivers.map(it => `"${it}"`).join(' ')} ];`
}

/**
 * The modules, and the edit that has the initrd load them in the boot entry that a definition is for;
 * nothing where there are none. What a module inside the file defines is no option of the file.
 */
export function loadEarly(
  at: Entry | EntryItem | EntryText,
  modules: readonly string[]
): Pick<Finding, 'fix' | 'initrdModules'> {
  if (modules.length === 0) return {}
  const { path, fullPath, file } = 'entry' in at ? at.entry : at
  if (file.isPart) return { initrdModules: modules }
  const entry = fullPath.slice(0, fullPath.length - path.length)
  const option = [...entry, 'boot', 'initrd', 'kernelModules']
  return { initrdModules: modules, fix: [{ op: 'add', path: option, items: [...modules] }] }
}

/** The maker whose cards a driver of X is for; undefined for those that are for any, or unknown. */
const MAKERS_OF_X: ReadonlyMap<string, string> = new Map([
  ['amdgpu', '1002'],
  ['radeon', '1002'],
  ['ati', '1002'],
  ['intel', '8086'],
  ['nvidia', '10de'],
  ['nouveau', '10de']
])

/**
 * Whether a driver in the initrd may be that of a card of the host. The guest's maker alone does not
 * rule it out, since the host may have another card of that maker; a desktop on other makers does.
 */
function mayBeOfHost(view: View, driver: string): boolean {
  const maker = makerOf(driver)
  if (maker === undefined || !passedVendors(view).has(maker)) return true
  const desktop = videoDriversOf(view).map(it => MAKERS_OF_X.get(it))
  return desktop.length === 0 || desktop.includes(undefined) || desktop.includes(maker)
}

/** The one driver of the desktop that is not for the guest's maker; undefined where none is, or several. */
function driverByText(view: View, blocked: ReadonlyMap<string, string>): string | undefined {
  const passed = passedVendors(view)
  const drivers = videoDriversOf(view).flatMap(it => {
    const maker = MAKERS_OF_X.get(it)
    if (maker === undefined || passed.has(maker)) return []
    return { intel: 'i915', ati: 'radeon', nvidia: 'nvidia_drm' }[it] ?? it
  })
  const [driver] = drivers
  const isOnly = driver !== undefined && new Set(drivers).size === 1
  return isOnly && !blocked.has(driver) ? driver : undefined
}
