import { expect, it } from 'vitest'
import { MachineReader } from '../../src/cli/request/machine.ts'
import { idOf } from '../../src/machine/machine.ts'

const DUMP = new URL('../machine/machines/amd-reset', import.meta.url).pathname

it('the machine is read once', () => {
  const reader = new MachineReader(DUMP)
  expect(reader.read()).toBe(reader.read())
})

it('nothing is read before it is needed', () => {
  const reader = new MachineReader('/no/such/folder')
  expect(() => reader.read()).toThrow('--sysfs: there is no directory /no/such/folder.')
})

it('a name is the same for a device of the machine and for its ID alone', () => {
  const reader = new MachineReader(DUMP)
  const { machine, names } = reader.read()
  const ids = machine.devices.map(idOf)
  expect(reader.namesOf(ids)).toEqual(names)
  expect(new MachineReader(DUMP).namesOf(ids)).toEqual(names)
  expect(reader.namesOf(['0000:0000'])).toEqual(new Map())
})
