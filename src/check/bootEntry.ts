import type { Machine, System, Systems } from '../host/machine.ts'
import { isPlaceholder } from '../host/mask/placeholders.ts'
import type { View } from '../lints/configuration.ts'
import { passesDevices } from '../lints/find.ts'

/** The boot entry of a configuration that is held against the machine. */
export interface BootEntry {
  view: View
  /** Whether the machine was started with this entry, be that an older build of it. */
  isRunning: boolean
  /** The entry as it was built last; absent where it was not, or this is no NixOS. */
  built?: System
  /** Whether there is a system that was built, of this entry or not. */
  isNixOS: boolean
}

/**
 * The entry that gives devices to guests: the one that runs if it does, else that of the system itself,
 * else the first of the specialisations. Undefined where none does.
 */
export function entryOf(views: readonly View[], machine: Machine): BootEntry | undefined {
  const systems = withNames(machine.systems, views)
  const running = systems?.entry ?? ''
  const passing = views.filter(passesDevices)
  const view = [running, ''].map(name => passing.find(it => it.name === name)).find(Boolean)
  const chosen = view ?? passing[0]
  if (!chosen) return undefined
  const next = systems?.next ?? systems?.current
  const built =
    chosen.name === '' ? next : next?.specialisations.find(it => it.name === chosen.name)?.system
  return {
    view: chosen,
    isRunning: chosen.name === running,
    isNixOS: next !== undefined,
    ...(built === undefined ? {} : { built })
  }
}

/**
 * In a dump the entries have placeholders for names. Where the configuration has one entry that was not built
 * by its name, and the machine one with a placeholder, they are the same.
 */
function withNames(systems: Systems | undefined, views: readonly View[]): Systems | undefined {
  const next = systems?.next ?? systems?.current
  const built = new Set((next?.specialisations ?? []).map(it => it.name))
  const named = views.map(it => it.name).filter(it => it !== '' && !built.has(it))
  const nameless = [...built].filter(
    it => isPlaceholder('entry', it) && !views.some(view => view.name === it)
  )
  const [name, ...moreNames] = named
  const [placeholder, ...more] = nameless
  if (!systems || name === undefined || placeholder === undefined) return systems
  if (moreNames.length + more.length > 0) return systems
  const rename = (it: string) => (it === placeholder ? name : it)
  const inside = (system: System): System => ({
    ...system,
    specialisations: system.specialisations.map(it => ({ ...it, name: rename(it.name) }))
  })
  return {
    ...systems,
    ...(systems.current ? { current: inside(systems.current) } : {}),
    ...(systems.next ? { next: inside(systems.next) } : {}),
    ...(systems.entry === undefined ? {} : { entry: rename(systems.entry) })
  }
}
