// Creates pci-names.txt from a complete pci.ids: node data/make-pci-names.js <pci.ids> [<output>]
//
// pci.ids doesn't have the class of a device, so the names decide: for NVIDIA and AMD it keeps everything
// except parts of chipsets, for Intel only graphics and HD audio (which carries HDMI audio for
// integrated graphics).
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// Functions of chipsets, and the bridges and switches on cards, which are never passed to a guest.
const NOT_A_CARD =
  /\b(bridge|switch|hub|northbridge|SMBus|SMU|PMU|IDE|ATA|SATA|AHCI|RAID|Ethernet|LPC|modem|AC ?'?97|Express Port|(memory|DRAM) controller|system management|co-?processor|cryptographic|IOMMU|TV Wonder)\b/i

const VENDORS = [
  {
    id: '10de',
    name: 'NVIDIA',
    // Chipset graphics are recognized by the product in brackets at the end: "C61 [GeForce 6100]".
    keeps: name =>
      name.endsWith(']') || (outside(name) && !/^(MCP|nForce|CK8|C5\d|NF\d|Tegra|Xavier)/.test(name))
  },
  {
    id: '1002',
    name: 'AMD',
    keeps: name => outside(name) && !/^(SB\d|SBx|IXP|Xilleon|Theater)/.test(name)
  },
  {
    id: '8086',
    name: 'Intel',
    keeps: name =>
      outside(name) &&
      /\b(Graphics|GPU|Iris|Arc|[DS]G\d|Arctic Sound|Ponte Vecchio|(HD|High Definition) Audio|cAVS|Audio Controller)\b/.test(
        name
      )
  }
]

const [input, output = fileURLToPath(new URL('pci-names.txt', import.meta.url))] =
  process.argv.slice(2)
if (input === undefined) {
  console.error('usage: node data/make-pci-names.js <pci.ids> [<output>]')
  process.exit(2)
}
writeFileSync(output, table(readFileSync(input, 'utf8')))

function table(pciIds) {
  const header = field => new RegExp(`^#\\s*${field}:\\s*(.+)$`, 'm').exec(pciIds)?.[1].trim()
  const lines = [...VENDORS].sort((a, b) => (a.id < b.id ? -1 : 1)).flatMap(vendor => [
    `${vendor.id}\t${vendor.name}`,
    ...devicesOf(pciIds, vendor.id)
      .filter(device => vendor.keeps(device.name))
      .map(device => `${vendor.id}:${device.id}\t${device.name}`)
      .sort()
  ])
  return [
    '# Names of graphics cards and of the functions on them, cut down from pci.ids',
    `# version ${header('Version')} (${header('Date')}). License and copyright: README.md.`,
    ...lines,
    ''
  ].join('\n')
}

function devicesOf(pciIds, vendor) {
  const devices = []
  let inside = false
  for (const line of pciIds.split('\n')) {
    if (/^[^\t#]/.test(line)) inside = line.startsWith(`${vendor}  `)
    const device = inside ? /^\t([0-9a-f]{4}) {2}(.+)/.exec(line) : null
    if (device) devices.push({ id: device[1], name: device[2].replace(/\s+/g, ' ').trim() })
  }
  return devices
}

// A product name, such as "[A100 PCIe 40GB]", doesn't show the kind of device.
function outside(name) {
  return !NOT_A_CARD.test(name.replace(/\[[^\]]*\]/g, ''))
}
