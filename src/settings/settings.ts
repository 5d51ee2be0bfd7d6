import { formatFlag } from './flag.ts'
import type { OptionChange, SettingsContext } from './options.ts'
import { DERIVED, type FlagSettings, SETTINGS } from './table.ts'
import type { NamedSettings } from './values.ts'

/** What a person asked for, by the names of the options. What is absent stays as the configuration has it. */
export type Settings = NamedSettings & Omit<FlagSettings, keyof NamedSettings>

/** Whether nothing was asked for. */
export function isEmpty(settings: Settings): boolean {
  return Object.values(settings).every(it => it === undefined)
}

/** The options that these settings change, in the order in which they are written. */
export function wantedOptions(settings: Settings, context: SettingsContext): OptionChange[] {
  return [...SETTINGS, ...DERIVED]
    .flatMap(it => it.options)
    .sort((a, b) => a.order - b.order)
    .flatMap(it => it.changes(settings, context))
}

const RULES = [...SETTINGS.map(it => ({ ...it, rule: formatFlag(it) })), ...DERIVED].flatMap(
  ({ rule, options }) => options.map(it => ({ rule, option: it.path.join('.') }))
)

/** Why an option is written, or the set of options that it is in: a flag or another rule; undefined for others. */
export function ruleFor(option: string): string | undefined {
  return RULES.find(it => option === it.option || option.startsWith(`${it.option}.`))?.rule
}
