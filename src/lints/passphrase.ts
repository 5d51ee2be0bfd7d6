// A passphrase that the initrd asks for while no screen shows anything.

import { groupBy, uniqueBy } from '../collections.ts'
import { formatPath } from '../nix/index.ts'
import { idBindings, kernelParams, vendorsOf } from './bindings.ts'
import { earlyDriversOf, makerOf, videoDriversOf } from './earlyDrivers.ts'
import { type Finding, findingAt } from './finding.ts'
import { wordsOf } from './kernelParams.ts'
import { itemsOfValue } from './values.ts'
import {
  type Entry,
  type EntryItem,
  hasKernel,
  plainStringOf,
  spellingOf,
  type View,
  type Written
} from './view.ts'

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
  const others =
    drivers.length > 0 ? `only the driver of the guest's card (${drivers.join(', ')})` : 'none'
  return off.map(({ at, name }) =>
    findingAt(at, {
      ...said,
      why: `with ${name}, nothing is drawn before a graphics driver loads, and the initrd loads ${others}.`,
      remedy:
        driver === undefined
          ? 'load the driver of the card that you look at early, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915", "xe")'
          : `add ${earlyLine(driver)}`,
      ...(said.level === 'problem' ? loadEarly(at, driver) : {})
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

/** The line that loads a driver in the initrd. */
export function earlyLine(driver: string): string {
  return `boot.initrd.kernelModules = [ "${driver}" ];`
}

/**
 * The driver as a module for the initrd, and the edit that loads it in the boot entry of this definition;
 * nothing without a driver. There is no edit for a definition in a module inside a file.
 */
export function loadEarly(
  at: Written,
  driver: string | undefined
): Pick<Finding, 'fix' | 'initrdModules'> {
  if (driver === undefined) return {}
  const { path, fullPath, file } = 'entry' in at ? at.entry : at
  const entry = fullPath.slice(0, fullPath.length - path.length)
  const option = [...entry, 'boot', 'initrd', 'kernelModules']
  const fix = [{ op: 'add', path: option, items: [driver] }] as const
  return { initrdModules: [driver], ...(file.isPart ? {} : { fix }) }
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
  if (maker === undefined || !vendorsOf(idBindings(view)).has(maker)) return true
  const desktop = videoDriversOf(view).map(it => MAKERS_OF_X.get(it))
  return desktop.length === 0 || desktop.includes(undefined) || desktop.includes(maker)
}

/** The one driver of the desktop that is not for the guest's maker; undefined where none is, or several. */
function driverByText(view: View, blocked: ReadonlyMap<string, string>): string | undefined {
  const passed = vendorsOf(idBindings(view))
  const drivers = videoDriversOf(view).flatMap(it => {
    const maker = MAKERS_OF_X.get(it)
    if (maker === undefined || passed.has(maker)) return []
    return { intel: 'i915', ati: 'radeon', nvidia: 'nvidia_drm' }[it] ?? it
  })
  const [driver] = drivers
  const isOnly = driver !== undefined && new Set(drivers).size === 1
  return isOnly && !blocked.has(driver) ? driver : undefined
}

// The passphrases that a person types before the root file system is there.

/** A passphrase that the initrd asks for. */
export interface Prompt {
  kind: 'LUKS' | 'ZFS' | 'bcachefs'
  /** The device, pool or mount point that it unlocks. */
  name: string
  /** What has to hold for it to be asked for, where the text does not show it: `is encrypted`. */
  onlyIf?: string | undefined
}

/**
 * The passphrases that the initrd of a view asks for in an ordinary start. What unlocks without a
 * person is left out: a key file, TPM2 without a PIN, clevis. File systems that are mounted after the
 * initrd are left out too, since udev has loaded every graphics driver by then.
 */
export function promptsOf(view: View): Prompt[] {
  const all = [
    ...luksDevices(view),
    ...encryptedFileSystems(view),
    ...encryptedSwap(view),
    ...diskoDevices(view),
    ...zfsPools(view),
    ...bcachefs(view)
  ]
  return uniqueBy(all, it => `${it.kind} ${it.name}`)
}

/** Whether the prompt can also be answered elsewhere: by ssh in the initrd, or on a serial line. */
export function hasOtherConsole(view: View): boolean {
  return (
    view.says('boot.initrd.network.ssh.enable', true).length > 0 ||
    kernelParams(view).some(it => /^console=(?:ttyS|ttyUSB|ttyAMA|hvc)\d/.test(it.param))
  )
}

const LUKS = 'boot.initrd.luks.devices'

function luksDevices(view: View): Prompt[] {
  const named = optionsByName(view.below(LUKS), LUKS.split('.').length).flatMap(([name, options]) =>
    luksPrompt(view, name, options)
  )
  // A list as NixOS had it once, or a value that is computed.
  const whole = view.at(LUKS).filter(it => !isEmptyValue(it) && !/\bkeyFile\b/.test(spellingOf(it)))
  return [...named, ...whole.map((): Prompt => ({ kind: 'LUKS', name: LUKS }))]
}

/** The prompt for one LUKS device with these options; none where it opens by itself. */
function luksPrompt(view: View, name: string, options: Options): Prompt[] {
  const opensItself =
    isOptionSet(options, 'keyFile') ||
    optionHas(options, 'yubikey.twoFactor', 'false') ||
    optionHas(options, 'fido2.passwordLess', 'true') ||
    hasClevis(view, name)
  if (opensItself) return []
  const prompt: Prompt = { kind: 'LUKS', name }
  return withToken(prompt, stringItems(options.get('crypttabExtraOpts')))
}

/** What a token of systemd-cryptsetup leaves of a prompt. */
function withToken(prompt: Prompt, crypttabOptions: readonly string[]): Prompt[] {
  const has = (start: string) => crypttabOptions.some(it => it.startsWith(start))
  if (has('tpm2-device=')) {
    return crypttabOptions.some(it => /^tpm2-pin=(?:1|yes|true|on)$/.test(it)) ? [prompt] : []
  }
  // Both ask for a PIN unless the key was enrolled without one, which only its header says.
  const hasKey = has('fido2-device=') || has('pkcs11-uri=')
  return [hasKey ? { ...prompt, onlyIf: 'asks for a PIN' } : prompt]
}

/** `fileSystems.NAME.encrypted`, which makes LUKS devices. */
function encryptedFileSystems(view: View): Prompt[] {
  return optionsByName(view.below('fileSystems'), 1).flatMap(([point, options]): Prompt[] => {
    const isOn = optionHas(options, 'encrypted.enable', 'true')
    if (!isOn || isOptionSet(options, 'encrypted.keyFile')) return []
    const [label] = options.get('encrypted.label') ?? []
    return [{ kind: 'LUKS', name: (label && plainStringOf(label)) ?? point }]
  })
}

/** The same of items of `swapDevices`, which are sets in a list. */
function encryptedSwap(view: View): Prompt[] {
  return view.items('swapDevices').flatMap(({ node }): Prompt[] => {
    const source = node.text.replace(/#.*/g, '')
    const isOn = /\bencrypted\b[^;]*\benable\s*=\s*true\b/.test(source)
    const name = /\blabel\s*=\s*"([^"$]*)"/.exec(source.slice(source.search(/\bencrypted\b/)))?.[1]
    return isOn && !/\bkeyFile\b/.test(source) ? [{ kind: 'LUKS', name: name ?? 'swap' }] : []
  })
}

/** What disko makes of its layout: LUKS devices that the initrd opens, and encrypted pools. */
function diskoDevices(view: View): Prompt[] {
  const all = view.below('disko.devices')
  return all
    .filter(it => it.path.at(-1) === 'type' && spellingOf(it) === '"luks"')
    .flatMap((type): Prompt[] => {
      const base = type.path.slice(0, -1)
      const below = all.filter(({ path }) => base.every((name, i) => path[i] === name))
      const options = optionsBelow(below, base.length)
      const name = options.get('name')?.map(plainStringOf)[0] ?? base.at(-1) ?? ''
      if (optionHas(options, 'initrdUnlock', 'false') || hasClevis(view, name)) return []
      if (isOptionSet(options, 'settings.keyFile') || isOptionSet(options, 'keyFile')) return []
      return withToken(
        { kind: 'LUKS', name },
        stringItems(options.get('settings.crypttabExtraOpts'))
      )
    })
}

// fsNeededForBoot of nixpkgs' nixos/lib/utils.nix.
const EARLY = '/ /nix /nix/store /var /var/log /var/lib /var/lib/nixos /etc /usr'.split(' ')

/** The file systems of a type that the initrd mounts, as their mount points and devices. */
function earlyFileSystems(
  view: View,
  type: string
): { point: string; device?: string | undefined }[] {
  const all = optionsByName(view.below('fileSystems'), 1)
  return all
    .filter(([, options]) => optionHas(options, 'fsType', `"${type}"`))
    .filter(
      ([point, options]) => EARLY.includes(point) || optionHas(options, 'neededForBoot', 'true')
    )
    .map(([point, options]) => ({ point, device: options.get('device')?.map(plainStringOf)[0] }))
}

const REQUEST = 'boot.zfs.requestEncryptionCredentials'

/**
 * Pools that the initrd imports. NixOS asks for the key of every encrypted data set of them unless it is
 * told otherwise; whether there is one is seen only where somebody named it.
 */
function zfsPools(view: View): Prompt[] {
  const requests = view.at(REQUEST)
  if (requests.some(it => spellingOf(it) === 'false')) return []
  const named = view.items(REQUEST).flatMap(it => it.text ?? [])
  if (requests.length > 0 && requests.every(isEmptyValue)) return []
  const prompts = (names: readonly string[], onlyIf?: string) =>
    names.filter(it => !hasClevis(view, it)).map(name => ({ kind: 'ZFS', name, onlyIf }) as const)
  const early = earlyFileSystems(view, 'zfs')
  if (early.length === 0) {
    // Nobody knows what is mounted early where the files leave it out.
    return view.below('fileSystems').length === 0 ? prompts(named) : []
  }
  const pools = new Set(early.flatMap(it => it.device?.split('/')[0] ?? []))
  const isKnown = early.every(it => it.device !== undefined)
  if (named.length > 0) {
    return prompts(named.filter(it => !isKnown || pools.has(it.split('/')[0] ?? '')))
  }
  const names = pools.size > 0 ? [...pools] : ['the root pool']
  // A pool or data set of disko's layout may be created with encryption.
  const encryption = view.below('disko.devices').filter(it => it.path.at(-1) === 'encryption')
  const isSaid =
    requests.some(it => spellingOf(it) === 'true') ||
    encryption.some(it => spellingOf(it) !== '"off"')
  return prompts(names, isSaid ? undefined : 'is encrypted')
}

function bcachefs(view: View): Prompt[] {
  return earlyFileSystems(view, 'bcachefs')
    .filter(it => it.device === undefined || !hasClevis(view, it.device))
    .map(({ point }) => ({ kind: 'bcachefs', name: point, onlyIf: 'is encrypted' }))
}

function hasClevis(view: View, name: string): boolean {
  const isOn = view.says('boot.initrd.clevis.enable', true).length > 0
  const path = ['boot', 'initrd', 'clevis', 'devices', name]
  const device = formatPath(path)
  return isOn && view.at(device).length + view.below(device).length > 0
}

type Options = ReadonlyMap<string, readonly Entry[]>

/** Definitions by the name at this position of their paths, then by what follows it. */
function optionsByName(entries: readonly Entry[], position: number): [string, Options][] {
  const groups = groupBy(entries, it => it.path[position] ?? '')
  return [...groups].map(([name, group]) => [name, optionsBelow(group, position + 1)])
}

function optionsBelow(entries: readonly Entry[], position: number): Options {
  return groupBy(entries, it => it.path.slice(position).join('.'))
}

function optionHas(options: Options, name: string, value: string): boolean {
  return options.get(name)?.some(it => spellingOf(it) === value) === true
}

function isOptionSet(options: Options, name: string): boolean {
  return options.get(name)?.some(it => spellingOf(it) !== 'null') === true
}

function isEmptyValue(entry: Entry): boolean {
  return /^(?:\[\s*\]|\{\s*\})$/.test(spellingOf(entry))
}

function stringItems(entries: readonly Entry[] = []): string[] {
  return entries.flatMap(({ value }) => itemsOfValue(value).flatMap(it => it.text ?? []))
}
