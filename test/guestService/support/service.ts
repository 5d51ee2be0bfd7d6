// The shell of vfio-guests.service, as nixos/guestService.nix puts it together.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Wanted {
  /** The guests that the configuration defines: files with their XML, by name. */
  defined?: Record<string, { xml: string; autostart?: boolean }>
  /** Guests that it has, but not their definitions. */
  undefined?: readonly string[]
  removeOldGuests?: boolean
}

const library = fileURLToPath(new URL('../../../nixos/_lib/defineGuests.nix', import.meta.url))

/** The script that NixOS makes into the unit's, which a test in test/oracle compares. */
export function scriptOf({
  defined = {},
  undefined: others = [],
  removeOldGuests
}: Wanted): string {
  const guests = Object.entries(defined)
  const names = (list: readonly string[]) => quoted([...list].sort().join('\n'))
  const settled = guests.flatMap(([name, { autostart }]) => [
    `start_network ${quoted(name)}`,
    ...(autostart === undefined
      ? []
      : [`set_autostart ${quoted(name)} ${autostart ? 'yes' : 'no'}`])
  ])
  return [
    functions(),
    `defined=${names(Object.keys(defined))}`,
    `undefined=${names(others)}`,
    `removes=${removeOldGuests ? 'yes' : 'no'}`,
    '',
    'look',
    'leave_old_guests',
    'look',
    ...guests.map(([name, { xml }]) => `define_guest ${quoted(name)} ${xml}`),
    '',
    'look',
    ...settled,
    '',
    '[ "$failed" = no ]',
    ''
  ].join('\n')
}

/** The text in defineGuests.nix, which is one string without anything computed. */
function functions(): string {
  const [, inner = ''] = /^''\n([\s\S]*)''\n$/m.exec(readFileSync(library, 'utf8')) ?? []
  return inner.replace(/^ {2}/gm, '')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
