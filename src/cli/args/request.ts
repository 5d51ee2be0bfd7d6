import { readFileSync } from 'node:fs'
import { isAbsolute, join, normalize } from 'node:path'
import { err, ok, type Result } from '../../nix/result.ts'
import {
  type BadSetting,
  parseAddress,
  parseDevice,
  parseDeviceNode,
  parseHugepages,
  parseSharedMemory,
  parseSpecialisation,
  parseUser
} from '../../settings/parse.ts'
import type { Settings } from '../../settings/settings.ts'
import { type Message, usage } from '../message.ts'
import type { Arguments } from './parse.ts'

/** What the flags ask for; a value that is none is a usage error that says how a right one looks. */
export function readSettings(given: Arguments): Result<Settings, Message> {
  const settings: { -readonly [K in keyof Settings]: Settings[K] } = {}
  const wrong: Message[] = []

  const read = <T>(flag: string, value: string, parse: (it: string) => Result<T, BadSetting>) => {
    const parsed = parse(value)
    if (parsed.ok) return parsed.value
    const { message, hint } = parsed.error
    wrong.push(usage(`--${flag}: ${message}.`, { remedy: hint }))
    return undefined
  }
  const readAll = <T>(flag: string, parse: (it: string) => Result<T, BadSetting>) => {
    const values = given.texts(flag)?.map(it => read(flag, it, parse))
    return values?.filter(it => it !== undefined)
  }
  const choose = <T extends string>(flag: string, choices: readonly T[]): T | undefined => {
    const value = given.text(flag)
    const choice = choices.find(it => it === value)
    if (value !== undefined && choice === undefined) {
      wrong.push(usage(`--${flag} takes ${choices.join(' or ')}, got "${value}".`))
    }
    return choice
  }
  const put = <K extends keyof Settings>(name: K, value: Settings[K]) => {
    if (value !== undefined) settings[name] = value
  }

  put('devices', unique(readAll('device', parseDevice)))
  put('addresses', unique(readAll('address', parseAddress)))
  put('IOMMUType', choose('iommu', ['intel', 'amd']))
  const bind = choose('bind', ['boot', 'hooks'])
  put('bindAtBoot', bind === undefined ? undefined : bind === 'boot')
  put('disableEFIfb', given.on('disable-efifb'))
  put('blacklistNvidia', given.on('blacklist-nvidia'))
  put('ignoreMSRs', given.on('ignore-msrs'))
  put('applyACSpatch', given.on('acs-patch'))
  put('users', unique(readAll('user', parseUser)))
  put('sharedMemoryFiles', readAll('shared-memory', parseSharedMemory))
  put('deviceACL', unique(readAll('device-acl', parseDeviceNode)))
  put('clearEmulationCapabilities', given.on('clear-emulation-capabilities'))
  const hugepages = given.text('hugepages')
  put(
    'hugepages',
    hugepages === undefined ? undefined : read('hugepages', hugepages, parseHugepages)
  )

  const names = settings.sharedMemoryFiles?.map(it => it.name) ?? []
  const twice = names.find((it, i) => names.indexOf(it) !== i)
  if (twice !== undefined) {
    wrong.push(usage(`--shared-memory ${twice} was given twice.`, { remedy: 'give it once' }))
  }
  return wrong[0] ? err(wrong[0]) : ok(settings)
}

function unique(all: string[] | undefined): string[] | undefined {
  return all && [...new Set(all)]
}

/** The addresses that a flag was given with, each once. */
export function readAddresses(flag: string, given: Arguments): Result<string[], Message> {
  const found: string[] = []
  for (const value of given.texts(flag) ?? []) {
    const address = parseAddress(value)
    if (!address.ok) {
      const { message } = address.error
      return err(
        usage(`--${flag}: ${message}.`, { remedy: '"vfio-patch scan" shows the addresses' })
      )
    }
    found.push(address.value)
  }
  return ok([...new Set(found)])
}

/** The folder that `--modules-dir` names, relative to that of the configuration. */
export function readModulesDir(given: Arguments): Result<string | undefined, Message> {
  const spelt = given.text('modules-dir')
  if (spelt === undefined) return ok(undefined)
  const path = normalize(spelt).replace(/\/$/, '')
  if (isAbsolute(path) || path.startsWith('..') || path === '.') {
    return err(
      usage(`--modules-dir needs a folder beside the configuration, got "${spelt}".`, {
        remedy: 'e.g. --modules-dir modules/vfio'
      })
    )
  }
  return ok(path)
}

/** The name that `--specialisation` gives; undefined without it. */
export function readSpecialisation(given: Arguments): Result<string | undefined, Message> {
  const name = given.text('specialisation')
  if (name === undefined) return ok(undefined)
  const parsed = parseSpecialisation(name)
  if (parsed.ok) return parsed
  const { message, hint } = parsed.error
  return err(usage(`--specialisation: ${message}.`, { remedy: hint }))
}

/** Why `--assume-isolated` can't be meant here. */
export function misplacedAssumption(
  given: Arguments,
  specialisation: string | undefined
): Message | undefined {
  if (given.on('assume-isolated') !== true || specialisation !== undefined) return undefined
  return usage('--assume-isolated goes only with --specialisation.', {
    why: 'nobody can see yet what goes along with the card, so the usual boot entry has to stay as it is.',
    remedy: 'add --specialisation vfio'
  })
}

/** What the flags say about showing and writing a change. */
export interface WriteOptions {
  writes: boolean
  /** Whether anything but errors is told while it goes on; `--json` tells all at the end. */
  quiet: boolean
  verbose: boolean
  /** Whether it is told what each edit is for. */
  reasons: boolean
  /** Lines of context in the diff. */
  lines: number
}

/** Reads these flags; `mayWrite` is whether the command writes at all. */
export function readWriteOptions(
  given: Arguments,
  mayWrite: boolean
): Result<WriteOptions, Message> {
  const quiet = isQuiet(given)
  const writes = mayWrite && given.on('dry-run') !== true
  const yes = given.on('yes') === true
  if (given.on('quiet') === true && writes && !yes) {
    return err(
      usage('--quiet does not go with a question.', {
        remedy: 'add --yes, or leave --quiet away'
      })
    )
  }
  if (given.on('backup') === false && !yes) {
    return err(
      usage('--no-backup needs --yes.', {
        why: 'without a backup there is no undo, so it has to be meant.',
        remedy: 'add --yes, or leave --no-backup away'
      })
    )
  }
  const verbose = given.on('verbose') === true
  const reasons = verbose || given.on('json') === true
  const text = given.text('unified') ?? '3'
  return /^\d{1,4}$/.test(text)
    ? ok({ writes, quiet, verbose, reasons, lines: Number(text) })
    : err(usage(`-U needs a number of lines, got "${text}".`, { remedy: 'e.g. -U 5' }))
}

/** Whether nothing but errors is told while the command goes on. */
export function isQuiet(given: Arguments): boolean {
  return given.on('quiet') === true || given.on('json') === true
}

/**
 * The release of NixOS that `--release` names, else that of the system below the root; undefined
 * where that is no NixOS, or does not say.
 */
export function readRelease(given: Arguments, root: string): Result<string | undefined, Message> {
  const named = given.text('release')
  if (named === undefined) return ok(releaseOf(root))
  if (/^\d\d\.(?:05|11)$/.test(named)) return ok(named)
  if (named === 'unstable') return ok(undefined)
  return err(
    usage(`--release takes a release of NixOS, got "${named}".`, {
      remedy: 'give it like 26.05, or unstable'
    })
  )
}

function releaseOf(root: string): string | undefined {
  try {
    const text = readFileSync(join(root, 'etc/os-release'), 'utf8')
    if (!/^ID="?nixos"?$/m.test(text)) return undefined
    return /^VERSION_ID="?(\d\d\.(?:05|11))"?$/m.exec(text)?.[1]
  } catch {
    return undefined
  }
}
