import { formatFlag } from './flag.ts'
import type { OptionChange, SettingsContext } from './options.ts'
import { DERIVED, type FlagSettings, SETTINGS } from './table.ts'
import type { NamedSettings } from './values.ts'

/** The requested values, by setting. Absent settings leave the configuration as it is. */
export type Settings = NamedSettings & Omit<FlagSettings, keyof NamedSettings>

/** Whether no setting is present. */
export function isEmpty(settings: Settings): boolean {
  return Object.values(settings).every(it => it === undefined)
}

/** The changes to options for these settings, in the order in which they are written. */
export function wantedOptions(settings: Settings, context: SettingsContext): OptionChange[] {
  return [...SETTINGS, ...DERIVED]
    .flatMap(it => it.options)
    .sort((a, b) => a.order - b.order)
    .flatMap(it => it.changes(settings, context))
}

const RULES = [...SETTINGS.map(it => ({ ...it, rule: formatFlag(it) })), ...DERIVED].flatMap(
  ({ rule, options }) => options.map(it => ({ rule, option: it.path.join('.') }))
)

/** The flag or other rule that an option, or an option above it, is written for; undefined if there is none. */
export function ruleFor(option: string): string | undefined {
  return RULES.find(it => option === it.option || option.startsWith(`${it.option}.`))?.rule
}
