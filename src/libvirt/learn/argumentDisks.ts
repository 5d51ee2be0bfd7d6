// The disks and folders of the host in QEMU's own arguments, of which libvirt knows nothing.

import { attributeOf, findAll, type XmlElement } from '../tree.ts'
import type { PassedDisk } from './disks.ts'

/** The flags whose value is a path alone. */
const DRIVES = /^(?:hd[a-d]|mtdblock|sd|pflash|fd[ab]|cdrom)$/

/** The properties that hold a path of a disk or image, also below that of an inner node. */
const FILES = /(?:^|\.)(?:file|filename|mem-path)$/

/**
 * The disks and shared folders in `<qemu:arg>`, in their order. A path below `/dev` counts wherever it is, as long
 * as it can be told from the text around it; whether it is a block device only the machine can say.
 */
export function argumentDisks(root: XmlElement): PassedDisk[] {
  const all = findAll(root, 'qemu:commandline', 'qemu:arg')
  return all.flatMap((element, i) => {
    const value = attributeOf(element, 'value') ?? ''
    const before = all[i - 1]
    const flag = ((before && attributeOf(before, 'value')) ?? '').replace(/^--?/, '')
    const { start } = element
    return pathsIn(value, flag).map(it => ({ ...it, ...(start === undefined ? {} : { start }) }))
  })
}

function pathsIn(value: string, flag: string): PassedDisk[] {
  const properties = propertiesOf(value)
  const isOn = (name: RegExp) =>
    properties.some(([key, it]) => name.test(key) && /^(?:on|yes|true)$/.test(it))
  const isReadOnly =
    flag === 'cdrom' || isOn(/^(?:readonly|read-only|snapshot)$/) || isCdrom(properties)
  if (flag === 'virtfs' || flag === 'fsdev') {
    const folders = properties.filter(([key]) => key === 'path')
    return folders.map(([, path]) => ({
      ...{ name: { kind: 'folder', path }, isReadOnly, isFloppy: false, isBlock: false }
    }))
  }
  const isDrive = DRIVES.test(flag)
  const named = properties.flatMap(([key, it]) => {
    const path = it.replace(/^(?:(?:raw|file|host_device|host_cdrom):)+/, '')
    const isFile = FILES.test(key) || (isDrive && key === '')
    const isDevice = /^\/+(?:\.\/+)*dev\//.test(path)
    return path.startsWith('/') && (isFile || isDevice) ? [{ path, isFile }] : []
  })
  return named.map(({ path, isFile }) => ({
    name: { kind: 'path', path },
    isReadOnly,
    isFloppy: /^fd[ab]$/.test(flag),
    isBlock: isFile && (isDrive || flag === 'drive' || flag === 'blockdev')
  }))
}

function isCdrom(properties: readonly (readonly [string, string])[]): boolean {
  return properties.some(([key, value]) => key === 'media' && value === 'cdrom')
}

/** `name=value,…` or JSON as pairs; what has no name has a blank one. */
function propertiesOf(value: string): (readonly [string, string])[] {
  if (/^\s*\{/.test(value)) return fromJson(value)
  // In a value a comma is written twice.
  const words = value.split(/(?<!,),(?!,)/)
  return words.flatMap((word): (readonly [string, string])[] => {
    const [, key = '', text = word] = /^([\w.-]+)=(.*)$/s.exec(word) ?? []
    const plain = text.replaceAll(',,', ',')
    return plain.startsWith('json:') ? fromJson(plain.slice('json:'.length)) : [[key, plain]]
  })
}

function fromJson(text: string): (readonly [string, string])[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // QEMU does not read it either.
    return []
  }
  return pairsOf('', parsed)
}

function pairsOf(key: string, value: unknown): (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[key, String(value)]]
  return Object.entries(value).flatMap(([name, it]) => pairsOf(name, it))
}
