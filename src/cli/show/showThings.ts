// What of a configuration is at work on its machine, for people and for programs.

import type { OnMachine } from '../../check/onMachine.ts'
import type { Thing } from '../../check/state.ts'
import { idOf } from '../../host/machine.ts'
import { callDevice, type Names } from '../messages/deviceWords.ts'
import type { CheckBody } from '../report.ts'
import { paint, type Screen } from './terminal.ts'
import { wrap } from './wrap.ts'

/** A line for each thing, under a line that says what it is about. */
export function showThings(
  { entry, things, isNixOS }: OnMachine,
  names: Names,
  screen: Screen
): string {
  const title =
    entry === '' ? 'On this machine:' : `On this machine, for the boot entry "${entry}":`
  const lines = things.flatMap(it => {
    const text = `  ${nameOf(it, names)}: ${verdictOf(it, isNixOS)}`
    return wrap(text, Math.max(60, screen.width), '    ')
  })
  return [paint(screen, 'bold', title), ...lines].join('\n')
}

function nameOf({ kind, name, device }: Thing, names: Names): string {
  switch (kind) {
    case 'device':
      return device ? callDevice(device, names) : name
    case 'module':
      return `module ${name}`
    default:
      return name
  }
}

function verdictOf({ verdict, because }: Thing, isNixOS: boolean): string {
  const more = because === undefined ? '' : ` (${because})`
  switch (verdict) {
    case 'active':
      return `active${more}`
    case 'after-reboot':
      return `configured, active after reboot${more}`
    case 'not-built':
      return isNixOS
        ? `configured, not active because the system is not built with it yet${more}`
        : `configured, not active because the machine was not started with it${more}`
    case 'not-active':
      return `not active because ${because}`
    case 'unknown':
      return `not known, as ${because}`
  }
}

/** The same for a program. */
export function reportThings(
  { entry, things, isNixOS }: OnMachine,
  names: Names
): NonNullable<CheckBody['running']> {
  const active = things.filter(it => it.verdict === 'active').length
  const isWhole = things.every(it => it.verdict === 'active' || it.verdict === 'unknown')
  return {
    state: isWhole ? 'active' : active === 0 ? 'not-active' : 'partial',
    specialisation: entry === '' ? null : entry,
    reasons: things
      .filter(it => it.verdict !== 'active' && it.verdict !== 'unknown')
      .map(it => `${nameOf(it, names)}: ${verdictOf(it, isNixOS)}`),
    things: things.map(({ kind, name, verdict, because, device }) => ({
      kind,
      name,
      verdict,
      because: because ?? null,
      device: device
        ? { address: device.address, id: idOf(device), driver: device.driver ?? null }
        : null
    }))
  }
}
