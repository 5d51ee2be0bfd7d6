// Plans a guest's file in a folder with other guests.

import { expect, test } from 'vitest'
import { planGuest } from '../../src/plan/guest.ts'
import { documentOf } from '../guests/support/text.ts'
import { listingOf } from '../support/configuration.ts'

const UUID = '8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10'

/** The plan for the guest in a folder with these files. */
function planned(name: string, files: Record<string, string>) {
  return planGuest({
    name,
    document: documentOf(
      `<domain type='kvm'>\n<name>${name}</name>\n<uuid>${UUID}</uuid><memory>1</memory></domain>`
    ),
    folder: '/etc/nixos/vfio/guests',
    listing: listingOf(Object.entries(files)),
    identities: { uuid: () => 'new', mac: () => 'new' },
    version: '1.0.0',
    files: [],
    mayReplace: true
  })
}

function warningsFor(name: string, files: Record<string, string>): string[] {
  const plan = planned(name, files)
  if (!plan.ok) throw new Error(plan.error.code)
  return plan.value.warnings.map(it => `${it.code} ${it.path}: ${it.what}`)
}

const fileOf = (name: string, uuid: string) =>
  `{ virtualisation.vfio.guests.${name}.domain = { type = "kvm"; name = "${name}"; uuid = "${uuid}"; }; }\n`

test('refuses a guest with the same UUID as a guest in another file', () => {
  const files = {
    'linux.nix': fileOf('linux', UUID.replace('8', '9')),
    'notes.txt': fileOf('notes', UUID),
    'win10.nix': fileOf('win10', UUID.toUpperCase())
  }
  expect(planned('windows', files)).toEqual({
    ok: false,
    error: {
      code: 'GUEST_UUID',
      name: 'windows',
      path: '/etc/nixos/vfio/guests/win10.nix',
      uuid: UUID
    }
  })
})

test("accepts a guest's own file and files without a UUID", () => {
  const files = { 'a.nix': '{ }\n', 'b.nix': fileOf('win10', UUID), 'c.nix': fileOf('linux', '1') }
  expect(warningsFor('win10', files)).toEqual([])
})

test('refuses to replace a file with several guests', () => {
  const both = `{
  virtualisation.vfio.guests = {
    linux.domain = { type = "kvm"; name = "linux"; };
    win10.domain = { type = "kvm"; name = "win10"; };
  };
}
`
  expect(planned('win10', { 'mine.nix': both })).toEqual({
    ok: false,
    error: {
      code: 'GUEST_DEFINED',
      name: 'win10',
      path: '/etc/nixos/vfio/guests/mine.nix',
      at: { line: 4, column: 5 }
    }
  })
})
