import { expect, test } from 'vitest'
import { readBridges, readKeyboards, readNetworks } from '../../src/machine/read/networkAndInput.ts'
import { sourceFrom } from './support/tree.ts'

const LETTERS = '1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe'
const USB = '/devices/pci0000:00/0000:00:14.0/usb1'

function input(name: string, path: string, handlers: string, events: string, keys: string): string {
  return [
    'I: Bus=0003 Vendor=046d Product=c31c Version=0110',
    `N: Name="${name}"`,
    `S: Sysfs=${path}/input/input7`,
    'U: Uniq=1234',
    `H: Handlers=${handlers} `,
    `B: EV=${events}`,
    `B: KEY=${keys}`,
    ''
  ].join('\n')
}

function keyboards(texts: string[], more: Record<string, string> = {}) {
  return readKeyboards(sourceFrom({ '/proc/bus/input/devices': texts.join('\n'), ...more }))
}

test('recognizes keyboards by letters and key repeat', () => {
  const found = keyboards([
    input('Power Button', '/devices/LNXSYSTM:00/PNP0C0C:00', 'kbd event0', '3', '10000000000000 0'),
    input('USB Keyboard', `${USB}/1-5/1-5:1.0/0003:1`, 'sysrq kbd leds event3', '120013', LETTERS),
    input('Volume Keys', `${USB}/1-6/1-6:1.0/0003:2`, 'kbd event4', '100013', 'e000000000000 0'),
    input('Mouse', `${USB}/1-7/1-7:1.0/0003:3`, 'mouse0 event5', '17', '1f0000 0 0 0 0')
  ])
  expect(found).toEqual([
    { name: 'USB Keyboard', through: ['0000:00:14.0'], hasMouse: false, isBuiltIn: false }
  ])
})

test('recognizes a mouse on the same USB device as a keyboard', () => {
  const found = keyboards([
    input('Gaming Mouse', `${USB}/1-7/1-7:1.0/0003:3`, 'mouse0 event5', '17', '1f0000 0 0 0 0'),
    input('Gaming Mouse Keyboard', `${USB}/1-7/1-7:1.1/0003:4`, 'kbd event6', '120013', LETTERS),
    input('At a hub', `${USB}/1-7/1-7.2/1-7.2:1.0/0003:5`, 'kbd event7', '120013', LETTERS)
  ])
  expect(found.map(it => [it.name, it.hasMouse])).toEqual([
    ['Gaming Mouse Keyboard', true],
    ['At a hub', false]
  ])
})

test('reads built-in and wireless keyboards', () => {
  const texts = [
    input('AT Keyboard', '/devices/platform/i8042/serio0', 'sysrq kbd event3', '120013', LETTERS),
    input('Blue', '/devices/virtual/misc/uhid/0005:046D:B342.0001', 'kbd event4', '120013', LETTERS)
  ]
  const adapter = '-> ../../devices/pci0000:00/0000:00:14.0/usb1/1-14/1-14:1.0/bluetooth/hci0'
  expect(keyboards(texts, { '/sys/class/bluetooth/hci0': adapter })).toEqual([
    { name: 'AT Keyboard', through: [], hasMouse: false, isBuiltIn: true },
    { name: 'Blue', through: ['0000:00:14.0'], hasMouse: false, isBuiltIn: false }
  ])
})

test('ignores keyboards that nobody types on', () => {
  const texts = [
    input('Key Mapper', '/devices/virtual', 'sysrq kbd event3', '120013', LETTERS),
    input('Yubico YubiKey', `${USB}/1-3/1-3:1.0/0003:1050:0407.0002`, 'kbd', '120013', LETTERS)
  ]
  const adapter = '-> ../../devices/pci0000:00/0000:00:14.0/usb1/1-14/1-14:1.0/bluetooth/hci0'
  expect(keyboards(texts, { '/sys/class/bluetooth/hci0': adapter })).toEqual([])
})

test('adds the physical function of a virtual function', () => {
  const source = sourceFrom({
    '/sys/class/net/enp6s0': '-> ../../devices/pci0000:00/0000:00:01.2/0000:06:00.0/net/enp6s0',
    '/sys/class/net/enp6s0v0': '-> ../../devices/pci0000:00/0000:00:01.2/0000:06:10.0/net/enp6s0v0',
    '/sys/bus/pci/devices/0000:06:10.0/physfn': '-> ../0000:06:00.0'
  })
  expect(readNetworks(source).map(it => it.through)).toEqual([
    ['0000:00:01.2', '0000:06:00.0'],
    ['0000:00:01.2', '0000:06:00.0', '0000:06:10.0']
  ])
})

test('reads only interfaces of hardware', () => {
  const devices = '../../devices/pci0000:00'
  const source = sourceFrom({
    '/sys/class/net/lo': '-> ../../devices/virtual/net/lo',
    '/sys/class/net/enp3s0': `-> ${devices}/0000:00:1c.0/0000:03:00.0/net/enp3s0`,
    '/sys/class/net/enp3s0/operstate': 'up\n',
    '/sys/class/net/wlan0': `-> ${devices}/0000:00:14.0/usb1/1-2/1-2:1.0/net/wlan0`
  })
  expect(readNetworks(source)).toEqual([
    { name: 'enp3s0', through: ['0000:00:1c.0', '0000:03:00.0'], isUp: true },
    { name: 'wlan0', through: ['0000:00:14.0'], isUp: false }
  ])
})

test("reads bridges, including libvirt's", () => {
  const source = sourceFrom({
    '/sys/class/net/br0': '-> ../../devices/virtual/net/br0',
    '/sys/class/net/br0/bridge/stp_state': '0\n',
    '/sys/class/net/enp5s0': '-> ../../devices/pci0000:00/0000:05:00.0/net/enp5s0'
  })
  expect(readBridges(source)).toEqual(['br0'])
  expect(readBridges(sourceFrom({}))).toBeUndefined()
})
