import {
  type BadSetting,
  parseAddress,
  parseEach,
  parseSpecialisation
} from '../../settings/parse.ts'
import type { Settings } from '../../settings/settings.ts'
import { type FlagSettings, SETTINGS, type Setting } from '../../settings/table.ts'
import { CommandError, type Message, orThrow, usage } from '../message.ts'
import { type Arguments, readChoice } from './parse.ts'

/** What the flags ask for; a bad value is a usage error that says what a right one looks like. */
export function readSettings(args: Arguments): Settings {
  const all = SETTINGS.map(it => [it.setting, readSetting(args, it)] as const)
  const given = all.filter(([setting, value]) => setting !== null && value !== undefined)
  const settings: Settings = Object.fromEntries(given) as FlagSettings
  const names = settings.sharedMemoryFiles?.map(it => it.name) ?? []
  const twice = names.find((it, i) => names.indexOf(it) !== i)
  if (twice !== undefined) {
    const remedy = 'give it once'
    throw new CommandError(usage(`--shared-memory ${twice} was given twice.`, { remedy }))
  }
  return settings
}

/** The value of the setting that a flag has; undefined if it was not given. */
function readSetting(args: Arguments, flag: Setting): unknown {
  const { name } = flag
  if (flag.kind === 'toggle') return args.on(name)
  const text = readChoice(args, name)
  if (!('parse' in flag)) return text
  const values = flag.kind === 'texts' ? args.texts(name) : text === undefined ? undefined : [text]
  if (values === undefined) return undefined
  const parsed = orThrow(parseEach(values, flag.parse), it => badSetting(name, it))
  return flag.kind === 'texts' ? parsed : parsed[0]
}

function badSetting(name: string, { message, hint }: BadSetting): Message {
  return usage(`--${name}: ${message}.`, { remedy: hint })
}

/** The addresses that a flag was given with, each once. */
export function parseAddresses(flag: string, values: readonly string[]): string[] {
  const remedy = '"vfio-patch scan" shows the addresses'
  return orThrow(parseEach(values, parseAddress), ({ message }) =>
    usage(`--${flag}: ${message}.`, { remedy })
  )
}

/** The name that `--specialisation` gives; undefined without it. */
export function readSpecialisation(args: Arguments): string | undefined {
  const name = args.text('specialisation')
  if (name === undefined) return undefined
  return orThrow(parseSpecialisation(name), it => badSetting('specialisation', it))
}
