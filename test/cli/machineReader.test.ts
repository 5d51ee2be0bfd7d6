import { expect, it } from 'vitest'
import { MachineReader } from '../../src/cli/request/machine.ts'
import { idOf } from '../../src/machine/machine.ts'

const DUMP = new URL('../machine/machines/amd-reset', import.meta.url).pathname

it('MachineReader reads the machine once', () => {
  const reader = new MachineReader(DUMP)
  expect(reader.read()).toBe(reader.read())
})

it('MachineReader reads nothing before the first call of read', () => {
  const reader = new MachineReader('/no/such/folder')
  expect(() => reader.read()).toThrow('--sysfs: there is no folder /no/such/folder.')
})

it('MachineReader finds the same device names for PCI IDs whether or not the machine was read', () => {
  const reader = new MachineReader(DUMP)
  const { machine, names } = reader.read()
  const ids = machine.devices.map(idOf)
  expect(reader.namesOf(ids)).toEqual(names)
  expect(new MachineReader(DUMP).namesOf(ids)).toEqual(names)
  expect(reader.namesOf(['0000:0000'])).toEqual(new Map())
})
