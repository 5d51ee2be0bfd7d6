import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { cautionsFor } from '../../src/machine/gates.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { framebuffersIn, readKernelLog, readLoadedModules } from '../../src/machine/read/systems.ts'
import { systemAt } from '../../src/machine/source.ts'
import { sourceFrom } from './support/tree.ts'

test('finds the card with the framebuffer, with and without root', () => {
  const asRoot = [
    '00000000-00000fff : Reserved',
    'c0000000-fcffffff : PCI Bus 0000:00',
    '  d0000000-e1ffffff : PCI Bus 0000:01',
    '    d0000000-dfffffff : 0000:01:00.0',
    '    e0000000-e1ffffff : 0000:01:00.0',
    '      e0000000-e02fffff : BOOTFB',
    '  e2000000-e20fffff : 0000:02:00.0',
    '    e2000000-e20fffff : nvme',
    ''
  ].join('\n')
  const asUser = asRoot.replace(/[0-9a-f]{8}-[0-9a-f]{8}/g, '00000000-00000000')
  expect([...framebuffersIn(asRoot)]).toEqual(['0000:01:00.0'])
  expect([...framebuffersIn(asUser)]).toEqual(['0000:01:00.0'])
  expect([...framebuffersIn(asRoot.replace('BOOTFB', 'vfio-pci'))]).toEqual([])
  // The framebuffer is not in the memory of a card.
  expect([...framebuffersIn('c0000000-c02fffff : BOOTFB\n')]).toEqual([])
})

test('cautions about the card with the framebuffer, even if another card is the boot display', () => {
  const folder = '/sys/bus/pci/devices/0000:01:00.0'
  const machine = readMachine(
    sourceFrom({
      [`${folder}/vendor`]: '0x10de\n',
      [`${folder}/device`]: '0x1b80\n',
      [`${folder}/class`]: '0x030000\n',
      [`${folder}/boot_vga`]: '0\n',
      '/proc/iomem': '0-0 : 0000:01:00.0\n  0-0 : simple-framebuffer.0\n'
    })
  )
  const [device] = machine.devices
  expect(cautionsFor(machine, new Set(['0000:01:00.0']))).toEqual([
    { code: 'BOOT_SCREEN', device, isOnly: true }
  ])
  expect(device?.holdsFramebuffer).toBe(true)
})

test('reads the loaded modules', () => {
  const text = 'vfio_pci 16384 0 - Live 0x0000000000000000\nkvm 1 1 kvm_amd, Live 0x0\n'
  expect(readLoadedModules(sourceFrom({ '/proc/modules': text }))).toEqual(['vfio_pci', 'kvm'])
  expect(readLoadedModules(sourceFrom({}))).toBeUndefined()
})

test('reads the kernel log to its end without waiting for more', () => {
  const root = mkdtempSync(join(tmpdir(), 'vfio-patch-log-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'dev'))
  const filler = '6,1,0,-;x\n'.repeat(5000)
  const log = `5,0,0,-;Linux version 6.18.2\n${filler}4,9,0,-;PCIe ACS overrides enabled\n`
  writeFileSync(join(root, 'dev/kmsg'), log)
  expect(systemAt(root).text('/dev/kmsg')).toBe(log)
  expect(readKernelLog(systemAt(root))).toEqual({ isComplete: true, hasAcsOverride: true })
  expect(readKernelLog(systemAt(join(root, 'dev')))).toBeUndefined()
  // The log of this machine, if it can be read.
  const own = systemAt('/').text('/dev/kmsg')
  expect(own === undefined || own.includes(';')).toBe(true)
})
