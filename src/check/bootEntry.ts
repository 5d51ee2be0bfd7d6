import type { Machine, System } from '../host/machine.ts'
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
export function entryOf(views: readonly View[], { systems }: Machine): BootEntry | undefined {
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
