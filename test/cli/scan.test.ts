// What `scan` shows for each machine: whole tables and documents, in test/cli/scans.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folderOf, NAMES } from '../machine/support/machines.ts'
import { AS_NOBODY, needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { expectRefusal, makePlace } from './support/place.ts'

function scan(name: string, ...more: string[]): string[] {
  return ['scan', '--sysfs', folderOf(name), ...more]
}

describe.each(NAMES)('the machine %s', name => {
  test.concurrent('scan prints the table in 100 columns', async ({ expect }) => {
    const outcome = await makePlace().run(scan(name), { env: { COLUMNS: '100' } })
    expect({ ...outcome, stdout: '' }).toEqual({ code: 0, stdout: '', stderr: '' })
    await expect(outcome.stdout).toMatchFileSnapshot(`scans/${name}.txt`)
  })

  test.concurrent('scan --json prints the document', async ({ expect }) => {
    const outcome = await makePlace().run(scan(name, '--json'))
    expect({ ...outcome, stdout: '' }).toEqual({ code: 0, stdout: '', stderr: '' })
    await expect(outcome.stdout).toMatchFileSnapshot(`scans/${name}.json`)
  })

  test.concurrent('scan --verbose fits any width in ASCII', async ({ expect }) => {
    const place = makePlace()
    for (const width of [40, 80, 500]) {
      const env = { COLUMNS: String(width), LANG: 'C' }
      const { stdout } = await place.run(scan(name, '--verbose'), { env })
      const lines = stdout.split('\n')
      // The command of the next step is not wrapped, so that it can be copied.
      const wrapped = lines.filter(it => !it.startsWith('Next:  '))
      expect(wrapped.filter(it => it.length > Math.min(200, Math.max(60, width)))).toEqual([])
      expect(stdout).not.toMatch(/[^\n\x20-\x7e]| \n/)
      const addresses = [...stdout.matchAll(/^[ *] (0000:\S+\.\d) /gm)].map(([, it]) => it)
      const text = readFileSync(join(folderOf(name), 'sys.txt'), 'utf8')
      const all = new Set(
        [...text.matchAll(/^\/sys\/bus\/pci\/devices\/(\S+?)\//gm)].map(([, it]) => it)
      )
      expect(addresses.sort()).toEqual([...all].sort())
    }
  })
})

needing('python3')('scan prints cards in bold on a terminal', async () => {
  const { terminal, code } = await onTerminal(makePlace(), scan('iommu-off'), { width: 120 })
  expect(code).toBe(0)
  expect(terminal.split('\n').slice(0, 6)).toEqual([
    '<bold>In no IOMMU group</>',
    '  0000:00:00.0  8086:4668  bridge   -              Intel 12th Gen Core Processor Host Bridge',
    '  0000:00:01.0  8086:460d  bridge   pcieport       Intel 12th Gen Core Processor PCI Express x16 Controller #1',
    '<bold>● 0000:00:02.0  8086:4680  display  i915           Intel AlderLake-S GT1</>',
    "                monitor at HDMI-A-1; the firmware's boot display (boot_vga); resets: flr, pm",
    '                stays with the host: it is part of the processor; it shows your screen (HDMI-A-1)'
  ])
})

/** Lines that the table has on any machine. */
const COMMON_LINES = /^Processor {2}.*\nIOMMU {6}.*\nMemory .*\nSystem .*\n(?:.*\n)*Next: {2}/m

test.concurrent('scan lists all devices of the machine that the tests run on', async ({
  expect
}) => {
  const outcome = await makePlace().run(['scan'])
  expect(outcome).toMatchObject({ code: 0, stderr: '' })
  expect(outcome.stdout).toMatch(COMMON_LINES)
  const { stdout } = await makePlace().run(['scan', '--json'])
  const devices = JSON.parse(stdout).groups.flatMap((it: { devices: unknown[] }) => it.devices)
  // A container may have no /sys.
  const present = existsSync('/sys/bus/pci/devices') ? readdirSync('/sys/bus/pci/devices') : []
  expect(devices.map((it: { address: string }) => it.address).sort()).toEqual(present.sort())
})

needing('root', 'nobody')('scan shows a user the same as root', async () => {
  const asRoot = await makePlace().run(['scan', '--verbose'])
  const asNobody = await makePlace().run(['scan', '--verbose'], { through: AS_NOBODY })
  expect(asNobody).toEqual(asRoot)
})

test.concurrent('scan --json prints the same for a dump as for the machine', async ({ expect }) => {
  const place = makePlace()
  const folder = join(place.top, 'dump')
  const original = await place.run(['scan', '--json', '--dump', folder])
  expect(original.code).toBe(0)
  // A dump does not have the local suffix of the kernel version.
  const upstream = original.stdout.replace(/("kernel": "[\d.]+(?:-rc\d+)?)[^"]*/, '$1')
  expect((await place.run(['scan', '--json', '--sysfs', folder])).stdout).toBe(upstream)

  // --sysfs also accepts the root folder of a system.
  const root = join(place.top, 'root')
  mkdirSync(join(root, 'sys/bus/pci/devices/0000:01:00.0'), { recursive: true })
  const device = { vendor: '0x10de\n', device: '0x1b80\n', class: '0x030000\n', boot_vga: '1\n' }
  for (const [name, text] of Object.entries(device)) {
    writeFileSync(join(root, 'sys/bus/pci/devices/0000:01:00.0', name), text)
  }
  const { stdout } = await place.run(['scan', '--sysfs', root])
  expect(stdout).toContain('● 0000:01:00.0  10de:1b80  display  -')
})

test.concurrent('scan prints names in ASCII if the locale has no other characters', async ({
  expect
}) => {
  const place = makePlace()
  place.write('mine/sys.txt', readFileSync(join(folderOf('single-gpu'), 'sys.txt'), 'utf8'))
  place.write('mine/pci.ids', '10ec  Großkarten [Größe]\n\t8168  Gerät\n')
  const words = ['scan', '--sysfs', 'mine']
  expect((await place.run(words)).stdout).toContain('r8169          Größe Gerät\n')
  const env = { LC_ALL: 'C', LANG: 'de_DE.UTF-8' }
  expect((await place.run(words, { env })).stdout).toContain('r8169          Gr??e Ger?t\n')
})

test.concurrent('scan --dump says where the dump is, and refuses a folder that is not empty', async ({
  expect
}) => {
  const place = makePlace()
  const outcome = await place.run(scan('single-gpu', '--dump', 'mine'))
  expect(outcome).toMatchObject({
    code: 0,
    stderr: [
      'Saved the machine in mine.',
      'No names had to be replaced.',
      'The dump contains the models of the devices, the board and the processor, PCI',
      'addresses and IDs, drivers, generic names such as enp5s0 and /home, the kernel',
      'version (6.12.60), the release of NixOS and kernel parameters about devices.',
      'Read it before you send it.\n'
    ].join('\n')
  })
  expect(readdirSync(join(place.nixos, 'mine')).sort()).toEqual(
    readdirSync(folderOf('single-gpu')).sort()
  )
  for (const file of readdirSync(folderOf('single-gpu')).filter(it => it.endsWith('.txt'))) {
    expect(place.read(`mine/${file}`)).toBe(
      readFileSync(join(folderOf('single-gpu'), file), 'utf8')
    )
  }
  await expectRefusal(place, scan('single-gpu', '--dump', 'mine'), {
    code: 2,
    stderr:
      'vfio-patch: --dump: mine is not empty. Nothing was written.\n  Do:  name a new folder, e.g. --dump my-machine\n'
  })
})

const DUMP = '  Do:  pass the folder that "vfio-patch scan --dump FOLDER" wrote\n'

test.concurrent.each([
  [['--sysfs', 'nowhere'], `--sysfs: there is no folder nowhere.\n${DUMP}`],
  [['--sysfs', '.'], `--sysfs: . contains neither a dump nor a folder "sys".\n${DUMP}`],
  [['--sysfs', 'bad'], `--sysfs: bad has a line that is not part of a dump: what is this\n${DUMP}`],
  [
    ['pc.nix'],
    'unexpected argument "pc.nix".\n  Why: "scan" reads the machine, not a file.\n  Do:  vfio-patch scan\n'
  ]
])('scan refuses %j', async (words, stderr) => {
  const place = makePlace({ 'pc.nix': '{ }', 'bad/sys.txt': 'what is this\n' })
  await expectRefusal(place, ['scan', ...words], { code: 2, stderr: `vfio-patch: ${stderr}` })
})
