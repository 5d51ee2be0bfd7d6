import { err, ok, type Result } from '../../nix/result.ts'
import {
  type BadSetting,
  parseAddress,
  parseDevice,
  parseDeviceNode,
  parseHugepages,
  parseSharedMemory,
  parseUser
} from '../../vfio/parseSettings.ts'
import type { Settings } from '../../vfio/settings.ts'
import { type Message, usage } from '../message.ts'
import type { Arguments } from './parseArguments.ts'

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
