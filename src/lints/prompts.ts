// The passphrases that a person types before the root file system is mounted.

import { groupBy, uniqueBy } from '../collections.ts'
import { formatPath } from '../nix/index.ts'
import { itemsOfValue } from './values.ts'
import { type BootEntryView, type OptionDefinition, plainStringOf, valueText } from './view.ts'

/** A passphrase that the initrd asks for. */
export interface Prompt {
  kind: 'LUKS' | 'ZFS' | 'bcachefs'
  /** The device, pool or mount point that it unlocks; undefined for the root pool if its name is unknown. */
  name: string | undefined
  /** The condition under which it is asked for, if the text does not show whether the condition is met. */
  condition?: 'encrypted' | 'passphrase' | 'pin' | undefined
}

/**
 * The passphrases that the initrd of a view asks for during a normal boot. Devices that unlock by
 * themselves are left out: with a key file, TPM2 without a PIN, or clevis. File systems that are mounted after
 * the initrd are also left out: by then, udev has loaded all graphics drivers.
 */
export function promptsOf(view: BootEntryView): Prompt[] {
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

const LUKS_OPTION = 'boot.initrd.luks.devices'

function luksDevices(view: BootEntryView): Prompt[] {
  const named = optionsByName(
    view.definitionsBelow(LUKS_OPTION),
    LUKS_OPTION.split('.').length
  ).flatMap(([name, options]) => luksPrompt(view, name, options))
  // A list, which old NixOS releases accepted, or a computed value.
  const whole = view
    .definitionsOf(LUKS_OPTION)
    .filter(it => !isEmptyValue(it) && !/\bkeyFile\b/.test(valueText(it)))
  return [...named, ...whole.map((): Prompt => ({ kind: 'LUKS', name: LUKS_OPTION }))]
}

/** The prompt for a LUKS device with these options; none if it unlocks by itself. */
function luksPrompt(view: BootEntryView, name: string, options: Options): Prompt[] {
  const unlocksItself =
    isOptionSet(options, 'keyFile') ||
    optionHas(options, 'yubikey.twoFactor', 'false') ||
    optionHas(options, 'fido2.passwordLess', 'true') ||
    hasClevis(view, name)
  if (unlocksItself) return []
  const prompt: Prompt = { kind: 'LUKS', name }
  return withToken(prompt, stringItems(options.get('crypttabExtraOpts')))
}

/** The prompt that is left with a token for systemd-cryptsetup; none if the token is enough. */
function withToken(prompt: Prompt, crypttabOptions: readonly string[]): Prompt[] {
  const has = (start: string) => crypttabOptions.some(it => it.startsWith(start))
  if (has('tpm2-device=')) {
    return crypttabOptions.some(it => /^tpm2-pin=(?:1|yes|true|on)$/.test(it)) ? [prompt] : []
  }
  // Both ask for a PIN unless the key was enrolled without a PIN. Only the LUKS header shows whether it was.
  const usesFido2OrPkcs11 = has('fido2-device=') || has('pkcs11-uri=')
  return [usesFido2OrPkcs11 ? { ...prompt, condition: 'pin' } : prompt]
}

/** LUKS devices from `fileSystems.NAME.encrypted`. */
function encryptedFileSystems(view: BootEntryView): Prompt[] {
  return optionsByName(view.definitionsBelow('fileSystems'), 1).flatMap(
    ([point, options]): Prompt[] => {
      const isOn = optionHas(options, 'encrypted.enable', 'true')
      if (!isOn || isOptionSet(options, 'encrypted.keyFile')) return []
      const [label] = options.get('encrypted.label') ?? []
      return [{ kind: 'LUKS', name: (label && plainStringOf(label)) ?? point }]
    }
  )
}

/** LUKS devices from `encrypted` in the items of `swapDevices`. */
function encryptedSwap(view: BootEntryView): Prompt[] {
  return view.itemsIn('swapDevices').flatMap(({ node }): Prompt[] => {
    const source = node.text.replace(/#.*/g, '')
    const isOn = /\bencrypted\b[^;]*\benable\s*=\s*true\b/.test(source)
    const name = /\blabel\s*=\s*"([^"$]*)"/.exec(source.slice(source.search(/\bencrypted\b/)))?.[1]
    return isOn && !/\bkeyFile\b/.test(source) ? [{ kind: 'LUKS', name: name ?? 'swap' }] : []
  })
}

/** LUKS devices in disko's layout that the initrd unlocks. */
function diskoDevices(view: BootEntryView): Prompt[] {
  const all = view.definitionsBelow('disko.devices')
  return all
    .filter(it => it.path.at(-1) === 'type' && valueText(it) === '"luks"')
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
const EARLY_MOUNT_POINTS =
  '/ /nix /nix/store /var /var/log /var/lib /var/lib/nixos /etc /usr'.split(' ')

/** The mount points and devices of the file systems of a type that the initrd mounts. */
function earlyFileSystems(
  view: BootEntryView,
  type: string
): { point: string; device?: string | undefined }[] {
  const all = optionsByName(view.definitionsBelow('fileSystems'), 1)
  return all
    .filter(([, options]) => optionHas(options, 'fsType', `"${type}"`))
    .filter(
      ([point, options]) =>
        EARLY_MOUNT_POINTS.includes(point) || optionHas(options, 'neededForBoot', 'true')
    )
    .map(([point, options]) => ({ point, device: options.get('device')?.map(plainStringOf)[0] }))
}

const ZFS_REQUEST_OPTION = 'boot.zfs.requestEncryptionCredentials'

/**
 * Pools that the initrd imports. By default, NixOS asks for the key of every encrypted dataset in them. The
 * text shows only for the datasets that it names that they are encrypted.
 */
function zfsPools(view: BootEntryView): Prompt[] {
  const requests = view.definitionsOf(ZFS_REQUEST_OPTION)
  if (requests.some(it => valueText(it) === 'false')) return []
  const named = view.itemsIn(ZFS_REQUEST_OPTION).flatMap(it => it.text ?? [])
  if (requests.length > 0 && requests.every(isEmptyValue)) return []
  const prompts = (names: readonly string[], condition?: Prompt['condition']) =>
    names
      .filter(it => !hasClevis(view, it))
      .map((name): Prompt => ({ kind: 'ZFS', name, condition }))
  const early = earlyFileSystems(view, 'zfs')
  if (early.length === 0) {
    // If the files define no file systems, it is unknown which are mounted early.
    return view.definitionsBelow('fileSystems').length === 0 ? prompts(named) : []
  }
  const pools = new Set(early.flatMap(it => it.device?.split('/')[0] ?? []))
  const isKnown = early.every(it => it.device !== undefined)
  if (named.length > 0) {
    return prompts(named.filter(it => !isKnown || pools.has(it.split('/')[0] ?? '')))
  }
  // A pool or dataset in disko's layout may be created with encryption.
  const encryption = view
    .definitionsBelow('disko.devices')
    .filter(it => it.path.at(-1) === 'encryption')
  const isCertain =
    requests.some(it => valueText(it) === 'true') ||
    encryption.some(it => valueText(it) !== '"off"')
  const condition = isCertain ? undefined : 'encrypted'
  return pools.size > 0
    ? prompts([...pools], condition)
    : [{ kind: 'ZFS', name: undefined, condition }]
}

function bcachefs(view: BootEntryView): Prompt[] {
  return earlyFileSystems(view, 'bcachefs')
    .filter(it => it.device === undefined || !hasClevis(view, it.device))
    .map(({ point }) => ({ kind: 'bcachefs', name: point, condition: 'encrypted' }))
}

function hasClevis(view: BootEntryView, name: string): boolean {
  const isOn = view.definitionsWith('boot.initrd.clevis.enable', true).length > 0
  const path = ['boot', 'initrd', 'clevis', 'devices', name]
  const device = formatPath(path)
  return isOn && view.definitionsOf(device).length + view.definitionsBelow(device).length > 0
}

type Options = ReadonlyMap<string, readonly OptionDefinition[]>

/** Definitions by the name at this position of their paths, then by the rest of the path. */
function optionsByName(
  definitions: readonly OptionDefinition[],
  position: number
): [string, Options][] {
  const groups = groupBy(definitions, it => it.path[position] ?? '')
  return [...groups].map(([name, group]) => [name, optionsBelow(group, position + 1)])
}

function optionsBelow(definitions: readonly OptionDefinition[], position: number): Options {
  return groupBy(definitions, it => it.path.slice(position).join('.'))
}

function optionHas(options: Options, name: string, value: string): boolean {
  return options.get(name)?.some(it => valueText(it) === value) === true
}

function isOptionSet(options: Options, name: string): boolean {
  return options.get(name)?.some(it => valueText(it) !== 'null') === true
}

function isEmptyValue(definition: OptionDefinition): boolean {
  return /^(?:\[\s*\]|\{\s*\})$/.test(valueText(definition))
}

function stringItems(definitions: readonly OptionDefinition[] = []): string[] {
  return definitions.flatMap(({ value }) => itemsOfValue(value).flatMap(it => it.text ?? []))
}
