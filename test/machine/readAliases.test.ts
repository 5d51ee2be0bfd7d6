import { expect, test } from 'vitest'
import { competingDrivers } from '../../src/machine/cards.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { parseAliases } from '../../src/machine/read/pci.ts'
import { sourceFrom } from './support/tree.ts'

const ALIASES = [
  '# Aliases extracted from modules themselves.',
  'alias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia',
  'alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau',
  'alias pci:v000010DEd00001B80sv*sd*bc*sc*i* other-driver',
  'alias pci:v000010DEd00001B81sv*sd*bc*sc*i* another',
  'alias pci:v*d*sv*sd*bc04sc03i00* snd_hda_intel',
  'alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci',
  'alias usb:v10DEp*d*dc*dsc*dp*ic*isc*ip*in* nvidia_usb',
  ''
].join('\n')

const VGA = 'pci:v000010DEd00001B80sv00001043sd000085AAbc03sc00i00'
const AUDIO = 'pci:v000010DEd000010F0sv00001043sd000085AAbc04sc03i00'

test('finds the modules with an alias for a device', () => {
  const drivers = parseAliases(ALIASES)
  expect(drivers(VGA)).toEqual(['nouveau', 'nvidia', 'other_driver'])
  expect(drivers(AUDIO)).toEqual(['snd_hda_intel'])
  expect(drivers('')).toEqual([])
})

test('competingDrivers includes modules with an alias if the device has no driver', () => {
  const folder = '/sys/bus/pci/devices/0000:01:00.0'
  const modules = `/nix/store/${'m'.repeat(32)}-linux-6.18.2-modules`
  const system = `/nix/store/${'s'.repeat(32)}-nixos-system-pc-26.05`
  const tree = {
    [`${folder}/vendor`]: '0x10de\n',
    [`${folder}/device`]: '0x1b80\n',
    [`${folder}/class`]: '0x030000\n',
    [`${folder}/modalias`]: `${VGA}\n`,
    '/proc/sys/kernel/osrelease': '6.18.2\n'
  }
  const competing = (more: Record<string, string>) =>
    readMachine(sourceFrom({ ...tree, ...more })).devices.map(competingDrivers)
  const usual = ['nouveau', 'nova_core', 'nvidia', 'nvidiafb']
  expect(competing({})).toEqual([usual])
  const all = [[...usual, 'other_driver']]
  expect(competing({ '/lib/modules/6.18.2/modules.alias': ALIASES })).toEqual(all)
  expect(
    competing({
      '/run/booted-system': `-> ${system}`,
      [`${system}/kernel-modules`]: `-> ${modules}`,
      [`${modules}/lib/modules/6.18.2/modules.alias`]: ALIASES
    })
  ).toEqual(all)
})
