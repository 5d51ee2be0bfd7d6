import type { Result } from '../../nix/result.ts'
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
import { CommandError, orThrow, usage } from '../message.ts'
import type { Arguments } from './parse.ts'

type Parse<T> = (value: string) => Result<T, BadSetting>

/** What the flags ask for; a value that is none is a usage error that says how a right one looks. */
export function readSettings(args: Arguments): Settings {
  const settings: { -readonly [K in keyof Settings]: Settings[K] } = {}
  const put = <K extends keyof Settings>(name: K, value: Settings[K]) => {
    if (value !== undefined) settings[name] = value
  }
  const readAll = <T>(flag: string, parse: Parse<T>) =>
    args.texts(flag)?.map(it => parseFlag(flag, it, parse))

  put('devices', unique(readAll('device', parseDevice)))
  put('addresses', unique(readAll('address', parseAddress)))
  put('IOMMUType', choose(args, 'iommu', ['intel', 'amd']))
  const bind = choose(args, 'bind', ['boot', 'hooks'])
  put('bindAtBoot', bind === undefined ? undefined : bind === 'boot')
  put('disableEFIfb', args.on('disable-efifb'))
  put('blacklistNvidia', args.on('blacklist-nvidia'))
  put('ignoreMSRs', args.on('ignore-msrs'))
  put('applyACSpatch', args.on('acs-patch'))
  put('users', unique(readAll('user', parseUser)))
  put('sharedMemoryFiles', readAll('shared-memory', parseSharedMemory))
  put('deviceACL', unique(readAll('device-acl', parseDeviceNode)))
  put('clearEmulationCapabilities', args.on('clear-emulation-capabilities'))
  const hugepages = args.text('hugepages')
  if (hugepages !== undefined) {
    put('hugepages', parseFlag('hugepages', hugepages, parseHugepages))
  }

  const names = settings.sharedMemoryFiles?.map(it => it.name) ?? []
  const twice = names.find((it, i) => names.indexOf(it) !== i)
  if (twice !== undefined) {
    const remedy = 'give it once'
    throw new CommandError(usage(`--shared-memory ${twice} was given twice.`, { remedy }))
  }
  return settings
}

function parseFlag<T>(flag: string, value: string, parse: Parse<T>): T {
  return orThrow(parse(value), ({ message, hint }) =>
    usage(`--${flag}: ${message}.`, { remedy: hint })
  )
}

function choose<T extends string>(
  args: Arguments,
  flag: string,
  choices: readonly T[]
): T | undefined {
  const value = args.text(flag)
  const choice = choices.find(it => it === value)
  if (value !== undefined && choice === undefined) {
    throw new CommandError(usage(`--${flag} takes ${choices.join(' or ')}, got "${value}".`))
  }
  return choice
}

function unique(all: string[] | undefined): string[] | undefined {
  return all && [...new Set(all)]
}

/** The addresses that a flag was given with, each once. */
export function parseAddresses(flag: string, values: readonly string[]): string[] {
  const remedy = '"vfio-patch scan" shows the addresses'
  const addresses = values.map(value =>
    orThrow(parseAddress(value), ({ message }) => usage(`--${flag}: ${message}.`, { remedy }))
  )
  return [...new Set(addresses)]
}

/** The name that `--specialisation` gives; undefined without it. */
export function readSpecialisation(args: Arguments): string | undefined {
  const name = args.text('specialisation')
  return name === undefined ? undefined : parseFlag('specialisation', name, parseSpecialisation)
}
