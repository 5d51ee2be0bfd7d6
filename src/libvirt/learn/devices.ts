import { argumentsIn } from '../arguments.ts'
import { attributeOf, find, findAll, type XmlElement } from '../tree.ts'

/** A PCI device of the host that the guest gets. */
export interface PassedDevice {
  /** With its domain: `0000:01:00.0`. */
  address: string
  /** As what: an argument of QEMU is one that libvirt knows nothing of. */
  as: 'hostdev' | 'disk' | 'interface' | 'argument'
  /** Whether libvirt takes it from the host's driver, and gives it back. */
  isManaged: boolean
  /** Whether the domain says in so many words that libvirt does not do that. */
  isUnmanaged?: true
}

/** The PCI devices of the host in a domain, each once, in the order of the elements. */
export function passedDevices(root: XmlElement): PassedDevice[] {
  const elements = passedElements(root).map(({ element, holder, as, address }): PassedDevice => {
    const managed = attributeOf(element, 'managed') ?? attributeOf(holder, 'managed')
    const isManaged = managed === 'yes'
    return { address, as, isManaged, ...(managed === 'no' ? { isUnmanaged: true } : {}) }
  })
  const all = [...elements, ...argumentDevices(root)]
  return all.filter((it, i) => all.findIndex(at => at.address === it.address) === i)
}

/** An element that gives the guest a PCI device of the host. */
export interface PassedElement<T extends XmlElement> {
  element: T
  /** The one that says whether libvirt manages the device: the element itself, of an NVMe disk its source. */
  holder: T
  as: Exclude<PassedDevice['as'], 'argument'>
  address: string
}

/** The elements of a domain that give it PCI devices of the host, those of one kind after the other. */
export function passedElements<T extends XmlElement>(root: T): PassedElement<T>[] {
  return [
    ...elementsWith(root, 'hostdev', 'pci', 'hostdev'),
    ...elementsWith(root, 'disk', 'nvme', 'disk'),
    ...elementsWith(root, 'interface', 'hostdev', 'interface')
  ]
}

function elementsWith<T extends XmlElement>(
  root: T,
  name: string,
  type: string,
  as: PassedElement<T>['as']
): PassedElement<T>[] {
  // The children of an element are of its own kind.
  return (findAll(root, 'devices', name) as T[])
    .filter(it => attributeOf(it, 'type') === type)
    .flatMap(element => {
      const source = find(element, 'source') as T | undefined
      const place = source && find(source, 'address')
      const address = place && addressOf(place)
      if (source === undefined || address === undefined) return []
      return [{ element, holder: as === 'disk' ? source : element, as, address }]
    })
}

function argumentDevices(root: XmlElement): PassedDevice[] {
  return argumentsIn(findAll(root, 'qemu:commandline', 'qemu:arg'))
    .filter(it => it.flag === 'device' && it.type === 'vfio-pci')
    .flatMap(({ properties }) => {
      const place = properties.get('host') ?? properties.get('sysfsdev')?.split('/').at(-1) ?? ''
      const found = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(place)
      if (!found) return []
      const address = `${found[1] ?? '0000'}:${found[2]}`.toLowerCase()
      return [{ address, as: 'argument' as const, isManaged: false }]
    })
}

/** `<address domain= bus= slot= function=>`, each number in the base that its prefix says. */
function addressOf(place: XmlElement): string | undefined {
  const numbers = ['domain', 'bus', 'slot', 'function'].map(it =>
    numberOf(attributeOf(place, it) ?? '0')
  )
  if (!numbers.every(it => it !== undefined)) return undefined
  const [domain = 0, bus = 0, slot = 0, part = 0] = numbers
  if (bus > 0xff || slot > 0x1f || part > 7) return undefined
  const hex = (it: number, width: number) => it.toString(16).padStart(width, '0')
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${part}`
}

function numberOf(text: string): number | undefined {
  const it = text.trim()
  if (/^0x[0-9a-f]{1,8}$/i.test(it)) return Number.parseInt(it, 16)
  if (/^0[0-7]{1,10}$/.test(it)) return Number.parseInt(it, 8)
  return /^(?:0|[1-9]\d{0,8})$/.test(it) ? Number(it) : undefined
}
