import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pciNamesOf } from '../../src/machine/pciNames.ts'
import { nameTables } from '../../src/machine/read/machine.ts'

const DATA = fileURLToPath(new URL('../../data/', import.meta.url))

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pci-names-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function pciIds(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** The names as an object, from the shipped table and `tables`. */
function names(ids: string[], tables: string[] = []): Record<string, string> {
  return Object.fromEntries(pciNamesOf(ids, { pciIds: tables }))
}

describe('the shipped table', () => {
  test('has names for a card and its functions', () => {
    expect(
      names([
        '10de:1b80',
        '10de:10f0',
        '10de:1e82',
        '10de:10f8',
        '10de:1ad8',
        '10de:1ad9',
        '1002:73bf',
        '1002:ab28',
        '1002:73a4',
        '8086:56a0',
        '8086:4f90'
      ])
    ).toEqual({
      '10de:1b80': 'NVIDIA GP104 [GeForce GTX 1080]',
      '10de:10f0': 'NVIDIA GP104 High Definition Audio Controller',
      '10de:1e82': 'NVIDIA TU104 [GeForce RTX 2080]',
      '10de:10f8': 'NVIDIA TU104 HD Audio Controller',
      '10de:1ad8': 'NVIDIA TU104 USB 3.1 Host Controller',
      '10de:1ad9': 'NVIDIA TU104 USB Type-C UCSI Controller',
      '1002:73bf': 'AMD Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]',
      '1002:ab28': 'AMD Navi 21/23 HDMI/DP Audio Controller',
      '1002:73a4': 'AMD Navi 21 USB',
      '8086:56a0': 'Intel DG2 [Arc A770]',
      '8086:4f90': 'Intel DG2 Audio Controller'
    })
  })

  test("takes precedence over the machine's table", () => {
    const machine = pciIds('renamed', '10de  Somebody\n\t1b80  Something\n')

    expect(names(['10de:1b80'], [machine])).toEqual({
      '10de:1b80': 'NVIDIA GP104 [GeForce GTX 1080]'
    })
  })

  test('is sorted, small, and has only lines that are safe in a comment', () => {
    const text = readFileSync(join(DATA, 'pci-names.txt'), 'utf8')
    const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))

    expect(lines).toEqual([...lines].sort())
    expect(Buffer.byteLength(text)).toBeLessThan(250_000)
    expect(
      lines.filter(line => !/^[0-9a-f]{4}(:[0-9a-f]{4})?\t[^\p{C}\s]+( [^\p{C}\s]+)*$/u.test(line))
    ).toEqual([])
  })

  test('is made from the version of pci.ids that data/README.md names', () => {
    const table = readFileSync(join(DATA, 'pci-names.txt'), 'utf8')
    const version = /^# version (\S+)/m.exec(table)?.[1]

    expect(readFileSync(join(DATA, 'README.md'), 'utf8')).toContain(`version ${version} `)
  })
})

describe('pciNamesOf', () => {
  test('returns the IDs as written and in their order', () => {
    const given = ['10DE:10F0', '10de:1b80:1043:85aa', '10de:1b80:1043:85aa:030000:ffff00']

    expect([...pciNamesOf(given, { pciIds: [] })]).toEqual([
      ['10DE:10F0', 'NVIDIA GP104 High Definition Audio Controller'],
      ['10de:1b80:1043:85aa', 'NVIDIA GP104 [GeForce GTX 1080]'],
      ['10de:1b80:1043:85aa:030000:ffff00', 'NVIDIA GP104 [GeForce GTX 1080]']
    ])
  })

  test('omits unknown and invalid IDs', () => {
    expect(names(['10de:ffff', 'ffff:0001', '10de', '10de:1b8', '0000:01:00.0', ''])).toEqual({})
  })
})

describe('a pci.ids of the machine', () => {
  const PCI_IDS = `#
#\tVersion: 2031.01.02
# A comment, as in: 144d  nobody
10de  NVIDIA Corporation
# a comment between devices
\tffff  GZ999 [GeForce RTX 9999]
\t\t1043 85aa  a board of somebody

1022  Advanced Micro Devices, Inc. [AMD]
\t15e3  Family 17h/19h HD Audio Controller
144d  Samsung Electronics Co Ltd
\ta808  NVMe SSD Controller SM981/PM981/PM983
\t\t144d a801  SSD 970 EVO
C 03  Display controller
\t00  VGA compatible controller
`

  test('has names for devices that the shipped table lacks', () => {
    const machine = pciIds('machine', PCI_IDS)

    expect(names(['10de:ffff', '1022:15e3', '144d:a808', '1043:85aa'], [machine])).toEqual({
      '10de:ffff': 'NVIDIA GZ999 [GeForce RTX 9999]',
      '1022:15e3': 'AMD Family 17h/19h HD Audio Controller',
      '144d:a808': 'Samsung Electronics Co Ltd NVMe SSD Controller SM981/PM981/PM983'
    })
  })

  test('is skipped if it is missing or a folder, and several are searched in order', () => {
    const first = pciIds('first', '144d  Samsung\n\ta808  from the first\n')
    const second = pciIds(
      'second',
      '144d  Samsung\n\ta808  from the second\n\ta809  only in the second\n'
    )

    expect(
      names(['144d:a808', '144d:a809'], [join(folder, 'none'), folder, first, second])
    ).toEqual({
      '144d:a808': 'Samsung from the first',
      '144d:a809': 'Samsung only in the second'
    })
  })

  test('has no names that could end a Nix comment', () => {
    const machine = pciIds(
      'hostile',
      '144d  Sam\u001b[31msung \r\n\ta808  one\rtwo\ttab\u2028line\u202eleft\u0085  \r\n\ta809  \u0007\r\n'
    )

    expect(names(['144d:a808', '144d:a809'], [machine])).toEqual({
      '144d:a808': 'Sam [31msung one two tab line left'
    })
  })
})

test('make-pci-names.js keeps graphics cards and their functions', () => {
  const input = pciIds(
    'full',
    `#
#\tVersion: 2031.01.02
#\tDate:    2031-01-02 03:15:01
#
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t1478  Navi 10 XL Upstream Port of PCI Express Switch
\t4383  SBx00 Azalia (Intel HDA)
\t73a4  Navi 21 USB
10de  NVIDIA Corporation
\t03d0  C61 [GeForce 6150SE nForce 430]
\t03d1  MCP61 Memory Controller
# the order in the file is not always right
\t1ad8  TU104 USB 3.1 Host Controller
\t\t1043 85aa  a board
\t10f8  TU104 HD Audio Controller
\t20b1  GA100 [A100 PCIe 40GB]
144d  Samsung Electronics Co Ltd
\ta808  NVMe SSD Controller
8086  Intel Corporation
\t1533  I210 Gigabit Network Connection
\t56a0  DG2 [Arc A770]
\t4f90  DG2 Audio Controller
\t4c01  PCIe Root Port Graphics Bridge
C 03  Display controller
`
  )
  const output = join(folder, 'table')

  execFileSync(process.execPath, [join(DATA, 'make-pci-names.js'), input, output])

  expect(readFileSync(output, 'utf8')).toBe(
    `# Names of graphics cards and of the functions on them, cut down from pci.ids
# version 2031.01.02 (2031-01-02 03:15:01). License and copyright: README.md.
1002\tAMD
1002:73a4\tNavi 21 USB
10de\tNVIDIA
10de:03d0\tC61 [GeForce 6150SE nForce 430]
10de:10f8\tTU104 HD Audio Controller
10de:1ad8\tTU104 USB 3.1 Host Controller
10de:20b1\tGA100 [A100 PCIe 40GB]
8086\tIntel
8086:4f90\tDG2 Audio Controller
8086:56a0\tDG2 [Arc A770]
`
  )
})

test('nameTables returns the tables of the machine that is read', () => {
  const dump = fileURLToPath(new URL('machines/x570-two-makers', import.meta.url))
  expect(nameTables(dump)).toEqual({ pciIds: [join(dump, 'pci.ids')] })
  expect(nameTables('/mnt')).toEqual({
    pciIds: ['/mnt/usr/share/hwdata/pci.ids', '/mnt/usr/share/misc/pci.ids']
  })
  expect(nameTables(undefined)).toEqual({})
})
