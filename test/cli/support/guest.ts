// Guests for `--domain`, and the notes about them.

import { folderOf } from '../../machine/support/machines.ts'
import { CHECKED } from './machine.ts'
import { makePlace, type Place } from './place.ts'
import { text } from './text.ts'

export const PLAIN = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
export const MACHINE = ['--sysfs', folderOf('x570-two-makers')]

/** A call with the guest in win10.xml. */
export const call = (command: string, ...more: string[]): string[] => [
  ...[command, 'configuration.nix', '--domain', 'win10.xml'],
  ...more
]
export const APPLY = call('apply', ...MACHINE, '--yes')
export const DIFF = call('diff', ...MACHINE)

/** A place with a configuration and the XML of a guest. */
export function given(guest: string, configuration = PLAIN): Place {
  return makePlace({ 'configuration.nix': configuration, 'win10.xml': guest })
}

/** A minimal guest with these additional elements. */
export function small(inner: string, name = 'small'): string {
  return text`
    <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
      <name>${name}</name>
      <uuid>8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10</uuid>
      <os><type arch='x86_64' machine='q35'>hvm</type></os>
      ${inner}
    </domain>
    `
}

/** A hostdev; the parameters are the last parts of its address. */
export function device(bus: string, slot = '0x00', part = '0x0'): string {
  const address = `<address domain='0x0000' bus='${bus}' slot='${slot}' function='${part}'/>`
  return `<hostdev mode='subsystem' type='pci' managed='yes'><source>${address}</source></hostdev>`
}

/** The lines between the headline and the check. Generated UUIDs and MAC addresses become UUID and MAC. */
export function notesIn(stderr: string): string[] {
  const lines = stderr
    .replace(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UUID')
    .replace(/\b52:54:00(?::[0-9a-f]{2}){3}\b/g, 'MAC')
    .split('\n')
  return lines.slice(1, lines.indexOf(CHECKED))
}

/** What `apply` prints and writes for a guest: the notes before the question, and the options. */
export async function planned(guest: string): Promise<{ notes: string[]; options: string }> {
  const place = given(guest)
  const outcome = await place.run(APPLY)
  if (outcome.code !== 0) throw new Error(outcome.stderr)
  const [, options = ''] = place.read('configuration.nix').split('  imports = [ ./vfio ];\n\n')
  return {
    notes: notesIn(outcome.stderr),
    options: options.split('\n  system.stateVersion')[0] ?? ''
  }
}
