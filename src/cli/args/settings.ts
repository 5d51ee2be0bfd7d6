import { parseAddress, parseEach, parseSpecialisation } from '../../settings/parse.ts'
import type { Settings } from '../../settings/settings.ts'
import { type FlagSettings, SETTINGS, type Setting } from '../../settings/table.ts'
import { CommandError, orThrow } from '../message.ts'
import * as messages from '../messages/arguments.ts'
import type { Arguments } from './parse.ts'

/** The settings of the flags; an invalid value is a usage error. */
export function readSettings(args: Arguments): Settings {
  const all = SETTINGS.map(it => [it.setting, readSetting(args, it)] as const)
  const given = all.filter(([setting, value]) => setting !== null && value !== undefined)
  const settings: Settings = Object.fromEntries(given) as FlagSettings
  const names = settings.sharedMemoryFiles?.map(it => it.name) ?? []
  const repeated = names.find((it, i) => names.indexOf(it) !== i)
  if (repeated !== undefined) throw new CommandError(messages.repeatedMemory(repeated))
  return settings
}

/** The value of a setting; undefined if its flag was not given. */
function readSetting(args: Arguments, flag: Setting): unknown {
  const { name } = flag
  if (flag.kind === 'toggle') return args.on(name)
  const text = args.text(name)
  if (!('parse' in flag)) return text
  const values = flag.kind === 'texts' ? args.texts(name) : text === undefined ? undefined : [text]
  if (values === undefined) return undefined
  const parsed = orThrow(parseEach(values, flag.parse), it => messages.badSetting(name, it))
  return flag.kind === 'texts' ? parsed : parsed[0]
}

/** The addresses in the values of a flag, without duplicates. */
export function parseAddresses(flag: string, values: readonly string[]): string[] {
  return orThrow(parseEach(values, parseAddress), it => messages.badAddress(flag, it))
}

/** The value of `--specialisation`; undefined without it. */
export function readSpecialisation(args: Arguments): string | undefined {
  const name = args.text('specialisation')
  if (name === undefined) return undefined
  return orThrow(parseSpecialisation(name), it => messages.badSetting('specialisation', it))
}
