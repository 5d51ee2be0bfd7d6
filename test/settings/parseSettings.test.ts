import { describe, expect, it } from 'vitest'
import type { Result } from '../../src/nix/result.ts'
import {
  type BadSetting,
  parseAddress,
  parseDevice,
  parseDeviceNode,
  parseHugepages,
  parseSharedMemory,
  parseUser
} from '../../src/settings/parse.ts'

const shown = <T>(result: Result<T, BadSetting>) =>
  result.ok ? result.value : result.error.message

describe('parseDevice', () => {
  it('accepts capitals and the further fields of vfio-pci.ids', () => {
    expect(shown(parseDevice('10DE:1B80'))).toBe('10de:1b80')
    expect(shown(parseDevice('10de:1b80:1043:85aa'))).toBe('10de:1b80:1043:85aa')
  })
  it.each(['', '10de', '1-de:10f12', '10de:1b8', '10de:1b80 ', '10de:1b80,10de:10f0', 'x:y'])(
    'rejects "%s"',
    value => expect(shown(parseDevice(value))).toBe(`"${value}" is not a PCI ID`)
  )
  it('rejects an address where an ID is expected, and says so', () => {
    expect(shown(parseDevice('01:00.0'))).toBe('"01:00.0" is an address, not a PCI ID')
  })
})

describe('parseAddress', () => {
  it('adds the domain 0000 if the address has no domain', () => {
    expect(shown(parseAddress('01:00.0'))).toBe('0000:01:00.0')
    expect(shown(parseAddress('0000:0A:1F.7'))).toBe('0000:0a:1f.7')
  })
  it.each(['', '01:00', '01:00.8', '01:20.0', '1:00.0', '0000:01:00.0x'])('rejects "%s"', value =>
    expect(shown(parseAddress(value))).toBe(`"${value}" is not a PCI address`)
  )
  it('rejects a device ID where an address is expected, and says so', () => {
    expect(shown(parseAddress('10de:1b80'))).toBe('"10de:1b80" is a PCI ID, not an address')
  })
})

describe('parseSharedMemory', () => {
  it('accepts a name with optional user, group and mode', () => {
    expect(shown(parseSharedMemory('scream'))).toEqual({ name: 'scream' })
    expect(shown(parseSharedMemory('scream:ann'))).toEqual({ name: 'scream', user: 'ann' })
    expect(shown(parseSharedMemory('scream::kvm:660'))).toEqual({
      name: 'scream',
      group: 'kvm',
      mode: '0660'
    })
  })
  it.each([
    ['', '"" is not a name for a file in /dev/shm'],
    ['../x', '"../x" is not a name for a file in /dev/shm'],
    ['x:Ann', '"Ann" is not a user name'],
    ['x:a:b:9', '"9" is not a file mode'],
    ['x:a:b:0660:y', '"x:a:b:0660:y" has too many parts']
  ])('rejects "%s"', (value, message) => expect(shown(parseSharedMemory(value))).toBe(message))
})

describe('parseHugepages', () => {
  it('accepts a size and a number of pages', () => {
    expect(shown(parseHugepages('1g:16'))).toEqual({ pageSize: '1G', numPages: 16 })
    expect(shown(parseHugepages('2M:512'))).toEqual({ pageSize: '2M', numPages: 512 })
  })
  it.each([
    ['1M:4', 'x86 has no huge pages of size "1M"'],
    ['1G', '"1G" is not a size and a number of huge pages'],
    ['1G:0', '"1G:0" is not a size and a number of huge pages'],
    ['1G:1e3', '"1G:1e3" is not a size and a number of huge pages']
  ])('rejects "%s"', (value, message) => expect(shown(parseHugepages(value))).toBe(message))
})

describe('parseUser and parseDeviceNode', () => {
  it('reject spaces, quotes and paths outside /dev', () => {
    expect(shown(parseUser('alice'))).toBe('alice')
    expect(shown(parseUser('Alice A'))).toBe('"Alice A" is not a user name')
    expect(shown(parseDeviceNode('/dev/input/by-id/usb-kbd'))).toBe('/dev/input/by-id/usb-kbd')
    for (const bad of ['kvmfr0', '/dev/', '/dev/../etc/shadow', '/dev/a b', '/dev/a"']) {
      expect(shown(parseDeviceNode(bad))).toBe(`"${bad}" is not a device node`)
    }
  })
})
