// The script of vfio-guests.service, built as in nixos/guestService.nix.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Wanted {
  /** Guests with a definition in the configuration, by name; `xml` is the path of a file. */
  defined?: Record<string, { xml: string; autostart?: boolean }>
  /** Guests in the configuration without a definition. */
  undefined?: readonly string[]
  removeOldGuests?: boolean
}

const library = fileURLToPath(new URL('../../../nixos/_lib/defineGuests.nix', import.meta.url))

/** The script of the unit. A test in test/oracle compares it with the script that the module builds. */
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
    'list_guests',
    'handle_old_guests',
    'list_guests',
    ...guests.map(([name, { xml }]) => `define_guest ${quoted(name)} ${xml}`),
    '',
    'list_guests',
    ...settled,
    '',
    '[ "$failed" = no ]',
    ''
  ].join('\n')
}

/** The text of defineGuests.nix, which is a single string without interpolation. */
function functions(): string {
  const [, inner = ''] = /^''\n([\s\S]*)''\n$/m.exec(readFileSync(library, 'utf8')) ?? []
  return inner.replace(/^ {2}/gm, '')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
