// Arguments of QEMU for which libvirt has elements of its own by now.

import { attributeOf, element, elementsOf, type XmlElement } from '../tree.ts'
import {
  addChild,
  type Draft,
  draftsIn,
  type Mended,
  place,
  removeChild,
  setAttribute
} from './change.ts'

/** `-object` or `-device` with what stands behind it, in either spelling. */
interface Argument {
  flag: string
  /** `input-linux`, `ivshmem-plain`, … */
  type: string
  properties: ReadonlyMap<string, string>
  value: string
  elements: readonly Draft[]
}

/**
 * `-object input-linux` becomes `<input type='evdev'>`, and an `ivshmem-plain` over a file in
 * `/dev/shm` becomes `<shmem>`. One that says more than these elements can is left, and told.
 */
export function mendArguments(root: Draft): Mended {
  const mended: Mended = { changes: [], remarks: [] }
  for (const commandline of draftsIn(root, 'qemu:commandline')) {
    const all = argumentsOf(commandline)
    const used = [...mendEvdev(root, all, mended), ...mendShmem(root, all, mended)]
    for (const it of used.flatMap(({ elements }) => elements)) removeChild(commandline, it)
    const isEmpty = commandline.children.every(it => it.kind === 'text')
    if (used.length > 0 && isEmpty) removeChild(root, commandline)
  }
  if (mended.changes.length > 0 && !usesPrefix(root)) setAttribute(root, 'xmlns:qemu', undefined)
  return mended
}

function usesPrefix(from: Draft): boolean {
  const isOf = (name: string) => name.startsWith('qemu:')
  if (isOf(from.name) || from.attributes.some(it => isOf(it.name))) return true
  return from.children.some(it => it.kind === 'element' && usesPrefix(it))
}

function argumentsOf(commandline: Draft): Argument[] {
  const all = draftsIn(commandline, 'qemu:arg')
  return all.flatMap((flagged, i): Argument[] => {
    const flag = attributeOf(flagged, 'value')?.replace(/^--?/, '')
    const behind = all[i + 1]
    const value = behind && attributeOf(behind, 'value')
    if (!behind || value === undefined || (flag !== 'object' && flag !== 'device')) return []
    const parts = value.startsWith('{') ? fromJson(value) : fromWords(value)
    return parts ? [{ flag, ...parts, value, elements: [flagged, behind] }] : []
  })
}

type Parts = Pick<Argument, 'type' | 'properties'>

function fromJson(value: string): Parts | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const properties = new Map(Object.entries(parsed).map(([key, it]) => [key, String(it)]))
  const type = properties.get('qom-type') ?? properties.get('driver')
  properties.delete('qom-type')
  properties.delete('driver')
  return type === undefined ? undefined : { type, properties }
}

/** `type,name=value,…`, where a comma in a value is written twice. */
function fromWords(value: string): Parts | undefined {
  const words = value.split(/(?<!,),(?!,)/)
  const [type, ...rest] = words
  if (type === undefined || type.includes('=') || value.includes(',,')) return undefined
  const pairs = rest.map(it => /^([^=]+)=(.*)$/s.exec(it))
  if (!pairs.every(it => it !== null)) return undefined
  return { type, properties: new Map(pairs.map(it => [it[1] ?? '', it[2] ?? ''])) }
}

const YES = new Set(['on', 'yes', 'true'])
const NO = new Set(['off', 'no', 'false'])
const TOGGLES = new Set([
  ...['ctrl-ctrl', 'alt-alt', 'shift-shift'],
  ...['meta-meta', 'scrolllock', 'ctrl-scrolllock']
])

function mendEvdev(
  root: Draft,
  all: readonly Argument[],
  { changes, remarks }: Mended
): Argument[] {
  return all.filter(argument => {
    const { flag, type, properties, value, elements } = argument
    if (flag !== 'object' || type !== 'input-linux') return false
    const input = evdevOf(properties)
    if (!input) {
      const what = `${value} says more than <input type='evdev'> can, and is left`
      remarks.push({ code: 'ARGUMENT', path: 'qemu:commandline', what, ...placeOf(elements) })
      return false
    }
    addChild(devicesOf(root), input)
    changes.push({
      ...{ code: 'EVDEV', path: 'qemu:commandline', before: `-object ${value}` },
      after: spelt(input),
      why: 'libvirt then lets QEMU open the device by itself',
      ...placeOf(elements)
    })
    return true
  })
}

function evdevOf(properties: ReadonlyMap<string, string>): XmlElement | undefined {
  const known = new Set(['id', 'evdev', 'grab_all', 'repeat', 'grab-toggle'])
  if ([...properties.keys()].some(it => !known.has(it))) return undefined
  const dev = properties.get('evdev')
  const grab = properties.get('grab_all') ?? 'off'
  const repeat = properties.get('repeat')
  const toggle = properties.get('grab-toggle')
  const isSwitch = (it: string) => YES.has(it) || NO.has(it)
  if (!dev?.startsWith('/') || !isSwitch(grab) || (repeat !== undefined && !isSwitch(repeat))) {
    return undefined
  }
  if (toggle !== undefined && !TOGGLES.has(toggle)) return undefined
  const source = element('source', {
    dev,
    ...(YES.has(grab) ? { grab: 'all' } : {}),
    ...(toggle === undefined ? {} : { grabToggle: toggle }),
    ...(repeat === undefined ? {} : { repeat: YES.has(repeat) ? 'on' : 'off' })
  })
  return element('input', { type: 'evdev' }, source)
}

function mendShmem(
  root: Draft,
  all: readonly Argument[],
  { changes, remarks }: Mended
): Argument[] {
  return all.flatMap(device => {
    if (device.flag !== 'device' || device.type !== 'ivshmem-plain') return []
    const memory = device.properties.get('memdev')
    const backends = all.filter(
      it => it.flag === 'object' && memory !== undefined && it.properties.get('id') === memory
    )
    const [backend] = backends
    // kvmfr is no file in /dev/shm, and has no element.
    if (!backend || backend.properties.get('mem-path')?.startsWith('/dev/kvmfr')) return []
    const isShared = all.filter(it => it.properties.get('memdev') === memory).length > 1
    const shmem = backends.length > 1 || isShared ? undefined : shmemOf(device, backend)
    if (!shmem) {
      const what = `${device.value} says more than <shmem> can, and is left`
      remarks.push({
        code: 'ARGUMENT',
        path: 'qemu:commandline',
        what,
        ...placeOf(device.elements)
      })
      return []
    }
    addChild(devicesOf(root), shmem)
    changes.push({
      ...{ code: 'SHMEM', path: 'qemu:commandline', after: spelt(shmem) },
      before: `-device ${device.value} -object ${backend.value}`,
      why: 'libvirt then knows of the memory and of the place on the PCI bus',
      ...placeOf(device.elements)
    })
    return [device, backend]
  })
}

function shmemOf(device: Argument, backend: Argument): XmlElement | undefined {
  const allows = (argument: Argument, ...names: string[]) =>
    [...argument.properties.keys()].every(it => names.includes(it))
  if (backend.type !== 'memory-backend-file') return undefined
  if (!allows(backend, 'id', 'mem-path', 'size', 'share')) return undefined
  if (!allows(device, 'id', 'memdev', 'bus')) return undefined
  if (!/^pcie?\.0$/.test(device.properties.get('bus') ?? 'pcie.0')) return undefined
  const { properties } = backend
  const name = /^\/dev\/shm\/([^/]+)$/.exec(properties.get('mem-path') ?? '')?.[1]
  const size = megabytes(properties.get('size') ?? '')
  if (name === undefined || size === undefined || !YES.has(properties.get('share') ?? '')) {
    return undefined
  }
  return element(
    'shmem',
    { name },
    element('model', { type: 'ivshmem-plain' }),
    element('size', { unit: 'M' }, String(size))
  )
}

/** A size as QEMU reads it (bytes without a unit) in MiB; undefined for one that is not whole. */
function megabytes(size: string): number | undefined {
  const found = /^(\d+)([BKMGbkmg]?)$/.exec(size)
  if (!found) return undefined
  const power = { b: 0, k: 1, m: 2, g: 3 }[(found[2] ?? '').toLowerCase()] ?? 0
  const count = (Number(found[1]) * 1024 ** power) / 1024 ** 2
  return Number.isSafeInteger(count) && count > 0 ? count : undefined
}

function devicesOf(root: Draft): Draft {
  const [devices] = draftsIn(root, 'devices')
  if (devices) return devices
  addChild(root, element('devices', {}))
  return draftsIn(root, 'devices')[0] as Draft
}

/** An element on one line, for a list of changes. */
function spelt(it: XmlElement): string {
  const tag = `${it.name}${it.attributes.map(({ name, value }) => ` ${name}='${value}'`).join('')}`
  const inner = elementsOf(it).map(spelt).join('')
  const text = it.children.map(child => (child.kind === 'text' ? child.text : '')).join('')
  return inner + text === '' ? `<${tag}/>` : `<${tag}>${inner}${text}</${it.name}>`
}

function placeOf(elements: readonly Draft[]): { start?: number } {
  const [first] = elements
  return first ? place(first) : {}
}
