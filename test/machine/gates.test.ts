// Finds the gates that are closed for devices.

import { describe, expect, test } from 'vitest'
import { cautionsFor, closedGates, gateDevices } from '../../src/machine/gates.ts'
import type { Keyboard, Machine, Network, PciDevice } from '../../src/machine/machine.ts'
import { machineCalled } from './support/machines.ts'

/** The codes of the closed gates, each with its device. */
function gates(
  machine: Machine,
  passed: string[],
  more: { confirmed?: string[]; bindsAtBoot?: boolean } = {}
): string[] {
  const found = closedGates(machine, new Set(passed), {
    confirmed: more.confirmed ?? [],
    bindsAtBoot: more.bindsAtBoot ?? true
  })
  return found.map(it => `${it.code} ${it.device.address}`)
}

const X570 = machineCalled('x570-two-makers')
const GTX = ['0000:01:00.0', '0000:01:00.1']
const WX = ['0000:0a:00.0', '0000:0a:00.1']

function withoutDriver({ driver: _, ...rest }: PciDevice): PciDevice {
  return rest
}

function changed(change: Partial<Machine>): Machine {
  return { ...X570, ...change }
}

test('opens all gates for a card that the host does not need', () => {
  expect(gates(X570, GTX)).toEqual([])
  expect(gates(X570, ['0000:0c:00.4', '0000:7f:00.0'])).toEqual([])
})

test('closes one gate each for the disk, the network and the keyboard', () => {
  expect(gates(X570, ['0000:04:00.0', '0000:06:00.0', '0000:0c:00.3'])).toEqual([
    'CARRIES_DISK 0000:04:00.0',
    'ONLY_NETWORK 0000:06:00.0',
    'ONLY_KEYBOARD 0000:0c:00.3'
  ])
})

test('closes a gate for a bridge if it is closed for the devices below the bridge', () => {
  expect(gates(X570, ['0000:00:01.2'])).toEqual([
    'CARRIES_DISK 0000:00:01.2',
    'ONLY_NETWORK 0000:00:01.2'
  ])
})

describe('the network gate', () => {
  const network = (name: string, address: string | undefined, isUp = true): Network => {
    return { name, through: address === undefined ? [] : [address], isUp }
  }
  const wired = network('enp6s0', '0000:06:00.0')
  test('the network gate is open if another network card is left, even one that is down', () => {
    const two = changed({ networks: [wired, network('wlan0', '0000:07:00.0', false)] })
    expect(gates(two, ['0000:06:00.0'])).toEqual([])
    expect(cautionsFor(two, new Set(['0000:06:00.0'])).map(it => it.code)).toEqual([
      'NETWORK_IN_USE'
    ])
  })
  test('the network gate is closed for two network cards if no other card is left', () => {
    const two = changed({ networks: [wired, network('enp4s0', '0000:04:00.0')], storage: [] })
    const [gate] = closedGates(two, new Set(['0000:04:00.0', '0000:06:00.0']), {
      confirmed: [],
      bindsAtBoot: true
    })
    expect(gate && gateDevices(gate).map(it => it.address)).toEqual([
      '0000:04:00.0',
      '0000:06:00.0'
    ])
  })
  test('the network gate is closed for a controller that leads to all interfaces', () => {
    const two = changed({ networks: [wired, network('enp6s0d1', '0000:06:00.0')] })
    expect(gates(two, ['0000:06:00.0'])).toEqual(['ONLY_NETWORK 0000:06:00.0'])
  })
})

describe('the keyboard gate', () => {
  const keyboard = (more: Partial<Keyboard>): Keyboard => {
    return { name: 'x', through: ['0000:0c:00.3'], hasMouse: false, isBuiltIn: false, ...more }
  }
  const on = (...keyboards: Keyboard[]) => gates(changed({ keyboards }), ['0000:0c:00.3'])
  const closed = ['ONLY_KEYBOARD 0000:0c:00.3']
  test.each([
    ['open with another keyboard', [keyboard({}), keyboard({ through: ['0000:02:00.0'] })], []],
    [
      'open with a built-in keyboard',
      [keyboard({}), keyboard({ through: [], isBuiltIn: true })],
      []
    ],
    [
      'closed if the only other keyboard is a mouse that reports keys',
      [keyboard({}), keyboard({ through: ['0000:02:00.0'], hasMouse: true })],
      closed
    ],
    [
      'closed if the only other keyboard is wireless and its adapter unknown',
      [keyboard({}), keyboard({ through: [] })],
      closed
    ],
    [
      'closed for the only receiver of a keyboard and mouse',
      [keyboard({ hasMouse: true })],
      closed
    ],
    ['open if the machine has no keyboard', [], []]
  ] as const)('the keyboard gate is %s', (_, keyboards, expected) => {
    expect(on(...keyboards)).toEqual(expected)
  })
})

describe('the display gates', () => {
  const shown = (monitors: Record<string, boolean>, bootVga: Record<string, boolean>): Machine => {
    const devices = X570.devices.map(it =>
      it.class.startsWith('03')
        ? {
            ...it,
            connectors: [{ name: 'DP-1', isConnected: monitors[it.address] === true }],
            bootVga: bootVga[it.address] === true
          }
        : it
    )
    return changed({ devices })
  }
  const [gtx = '', wx = ''] = [GTX[0], WX[0]]

  test('the display gates are closed for the only card with a monitor', () => {
    expect(gates(X570, WX)).toEqual(['SHOWS_SCREEN 0000:0a:00.0'])
    expect(gates(X570, WX, { confirmed: [wx] })).toEqual([])
    expect(gates(X570, WX, { confirmed: [gtx] })).toEqual(['SHOWS_SCREEN 0000:0a:00.0'])
    expect(gates(X570, WX, { bindsAtBoot: false })).toEqual([])
  })

  test('the display gates are open if two cards have monitors', () => {
    const both = shown({ [gtx]: true, [wx]: true }, { [wx]: true })
    expect(gates(both, WX)).toEqual([])
    expect(cautionsFor(both, new Set(WX)).map(it => it.code)).toEqual([
      'BOOT_SCREEN',
      'MONITOR_GOES',
      'AMD_RESET'
    ])
  })

  test('the display gates are closed for the boot display if no driver reports a monitor', () => {
    expect(gates(shown({}, { [gtx]: true }), GTX)).toEqual(['SHOWS_SCREEN 0000:01:00.0'])
    // The monitor is connected to the other card.
    expect(gates(shown({ [wx]: true }, { [gtx]: true }), GTX)).toEqual([])
  })

  test('the display gates are closed for a card without reported connectors if the other card has no monitor', () => {
    const silent = (bootVga: boolean | undefined, other: Partial<PciDevice>): Machine => {
      const devices = X570.devices.map(it =>
        it.address === gtx
          ? { ...it, connectors: [], bootVga }
          : it.address === wx
            ? { ...it, ...other }
            : it
      )
      return changed({
        devices: devices.map(({ bootVga, ...it }) => ({
          ...it,
          ...(bootVga === undefined ? {} : { bootVga })
        }))
      })
    }
    const dark = [{ name: 'DP-1', isConnected: false }]
    const closed = ['SHOWS_SCREEN 0000:01:00.0']
    expect(gates(silent(false, { connectors: dark }), GTX)).toEqual(closed)
    expect(gates(silent(false, { connectors: dark }), GTX, { confirmed: [gtx] })).toEqual([])
    expect(gates(silent(undefined, { connectors: [], bootVga: false }), GTX)).toEqual(closed)
    // The other card is the boot display, also without reported connectors.
    expect(gates(silent(false, { connectors: [], bootVga: true }), GTX)).toEqual([])
    expect(gates(silent(false, {}), GTX)).toEqual([])
  })

  test('the display gates are closed for both cards together, even if the user confirms both', () => {
    const confirmed = [gtx, wx]
    expect(gates(X570, [...GTX, ...WX], { confirmed })).toEqual(['ONLY_DISPLAY 0000:01:00.0'])
    expect(gates(X570, [...GTX, ...WX], { confirmed, bindsAtBoot: false })).toEqual([])
  })

  test('the display gates are closed for a card if the other one is bound to vfio-pci', () => {
    const bound = machineCalled('already-bound')
    expect(gates(bound, WX, { confirmed: [wx] })).toEqual(['ONLY_DISPLAY 0000:0a:00.0'])
  })

  test("the display gates are closed for the card to which a laptop's mux connects the panel", () => {
    const laptop = machineCalled('laptop-mux')
    const card = ['0000:01:00.0', '0000:01:00.1']
    expect(gates(laptop, card)).toEqual([])
    const dark = laptop.devices.map(it => ({ ...it, connectors: [] }))
    const firmware = { ...laptop.firmware, mux: 'discrete' } as const
    expect(gates({ ...laptop, devices: dark, firmware }, card)).toEqual([
      'SHOWS_SCREEN 0000:01:00.0'
    ])
  })
})

test('returns cautions about problems that close no gate', () => {
  const codes = (name: string, passed: string[]) =>
    cautionsFor(machineCalled(name), new Set(passed)).map(it => it.code)
  expect(codes('amd-reset', ['0000:01:00.0'])).toEqual(['BOOT_SCREEN', 'AMD_RESET'])
  expect(codes('x570-two-makers', GTX)).toEqual([])
  const weak = changed({ cpu: { hasVirtualisation: false } })
  expect(cautionsFor(weak, new Set(['0000:7f:00.0']))).toEqual([])
  expect(cautionsFor(machineCalled('three-cards'), new Set(GTX), true).map(it => it.code)).toEqual([
    'HOST_BLACKLISTED'
  ])
  const without = changed({
    cpu: { hasVirtualisation: false },
    devices: X570.devices.map(it =>
      it.address === WX[0]
        ? withoutDriver(it)
        : it.address === GTX[0]
          ? { ...it, resetMethods: [] }
          : it
    )
  })
  expect(cautionsFor(without, new Set(GTX)).map(it => it.code)).toEqual([
    'NO_RESET',
    'HOST_WITHOUT_DRIVER',
    'NO_VIRTUALISATION'
  ])
})
