// Replaces QEMU arguments with the elements that libvirt now has for them.

import { defined } from '../../collections.ts'
import { type Argument, argumentsIn, mebibytes } from '../arguments.ts'
import { argumentKept, evdevElement, shmemElement } from '../messages/changes.ts'
import { childElements, element, findElement, type XmlElement } from '../xml/tree.ts'
import { addChild, type Modernized, removeChild, setAttribute } from './change.ts'

const COMMANDLINE_ELEMENT = 'qemu:commandline'

/**
 * `-object input-linux` becomes `<input type='evdev'>`, and an `ivshmem-plain` over a file in
 * `/dev/shm` becomes `<shmem>`. An argument that these elements can't express is kept, with a warning.
 */
export function modernizeArguments(root: XmlElement, result: Modernized): void {
  const before = result.changes.length
  for (const commandline of childElements(root, COMMANDLINE_ELEMENT)) {
    const all = argumentsIn(childElements(commandline, 'qemu:arg'))
    const used = [...modernizeEvdev(root, all, result), ...modernizeShmem(root, all, result)]
    for (const it of used.flatMap(({ elements }) => elements)) removeChild(commandline, it)
    const isEmpty = commandline.children.every(it => it.kind === 'text')
    if (used.length > 0 && isEmpty) removeChild(root, commandline)
  }
  const isChanged = result.changes.length > before
  if (isChanged && !usesPrefix(root)) setAttribute(root, 'xmlns:qemu', undefined)
}

function usesPrefix(from: XmlElement): boolean {
  const isOf = (name: string) => name.startsWith('qemu:')
  if (isOf(from.name) || from.attributes.some(it => isOf(it.name))) return true
  return from.children.some(it => it.kind === 'element' && usesPrefix(it))
}

const YES_WORDS = new Set(['on', 'yes', 'true'])
const NO_WORDS = new Set(['off', 'no', 'false'])
const GRAB_TOGGLES = new Set([
  ...['ctrl-ctrl', 'alt-alt', 'shift-shift'],
  ...['meta-meta', 'scrolllock', 'ctrl-scrolllock']
])

function modernizeEvdev(
  root: XmlElement,
  all: readonly Argument[],
  { changes, warnings }: Modernized
): Argument[] {
  return all.filter(argument => {
    const { flag, type, properties, value, elements } = argument
    if (flag !== 'object' || type !== 'input-linux') return false
    const { start } = elements[0] ?? {}
    const input = evdevOf(properties)
    if (!input) {
      warnings.push({
        ...argumentKept(value, "<input type='evdev'>"),
        path: COMMANDLINE_ELEMENT,
        start
      })
      return false
    }
    addChild(devicesOf(root), input)
    const before = `-object ${value}`
    changes.push({
      ...evdevElement(),
      path: COMMANDLINE_ELEMENT,
      before,
      after: onOneLine(input),
      start
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
  const isSwitch = (it: string) => YES_WORDS.has(it) || NO_WORDS.has(it)
  if (!dev?.startsWith('/') || !isSwitch(grab) || (repeat !== undefined && !isSwitch(repeat))) {
    return undefined
  }
  if (toggle !== undefined && !GRAB_TOGGLES.has(toggle)) return undefined
  const attributes = defined({
    dev,
    grab: YES_WORDS.has(grab) ? 'all' : undefined,
    grabToggle: toggle,
    repeat: repeat && (YES_WORDS.has(repeat) ? 'on' : 'off')
  })
  return element('input', { type: 'evdev' }, element('source', attributes))
}

function modernizeShmem(
  root: XmlElement,
  all: readonly Argument[],
  { changes, warnings }: Modernized
): Argument[] {
  return all.flatMap(device => {
    if (device.flag !== 'device' || device.type !== 'ivshmem-plain') return []
    const memory = device.properties.get('memdev')
    const backends = all.filter(
      it => it.flag === 'object' && memory !== undefined && it.properties.get('id') === memory
    )
    const [backend] = backends
    // /dev/kvmfr is a device, not a file in /dev/shm, and libvirt has no element for it.
    if (!backend || backend.properties.get('mem-path')?.startsWith('/dev/kvmfr')) return []
    const isShared = all.filter(it => it.properties.get('memdev') === memory).length > 1
    const shmem = backends.length > 1 || isShared ? undefined : shmemOf(device, backend)
    const { start } = device.elements[0] ?? {}
    if (!shmem) {
      warnings.push({ ...argumentKept(device.value, '<shmem>'), path: COMMANDLINE_ELEMENT, start })
      return []
    }
    addChild(devicesOf(root), shmem)
    const before = `-device ${device.value} -object ${backend.value}`
    changes.push({
      ...shmemElement(),
      path: COMMANDLINE_ELEMENT,
      after: onOneLine(shmem),
      before,
      start
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
  const size = mebibytes(properties.get('size') ?? '')
  if (name === undefined || size === undefined || !YES_WORDS.has(properties.get('share') ?? '')) {
    return undefined
  }
  return element(
    'shmem',
    { name },
    element('model', { type: 'ivshmem-plain' }),
    element('size', { unit: 'M' }, String(size))
  )
}

function devicesOf(root: XmlElement): XmlElement {
  const existing = findElement(root, 'devices')
  if (existing) return existing
  const devices = element('devices', {})
  addChild(root, devices)
  return devices
}

/** An element on one line, for a list of changes. */
function onOneLine(it: XmlElement): string {
  const tag = `${it.name}${it.attributes.map(({ name, value }) => ` ${name}='${value}'`).join('')}`
  const inner = childElements(it).map(onOneLine).join('')
  const text = it.children.map(child => (child.kind === 'text' ? child.text : '')).join('')
  return inner + text === '' ? `<${tag}/>` : `<${tag}>${inner}${text}</${it.name}>`
}
