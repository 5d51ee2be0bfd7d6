import { argumentsIn, megabytes } from '../arguments.ts'
import { attributeOf, find, findAll, textOf, type XmlElement } from '../tree.ts'
import { readSize } from './size.ts'

/** The memory of a guest in KiB; undefined where the domain does not say. */
export function memoryOf(root: XmlElement): number | undefined {
  const memory = find(root, 'memory')
  return memory && readSize(textOf(memory), attributeOf(memory, 'unit'))
}

/**
 * The sizes of the huge pages, in KiB, that a guest's memory is to be made of: undefined for that of
 * the host. None where it takes memory as it comes.
 */
export function pageSizesOf(root: XmlElement): (number | undefined)[] {
  const hugepages = find(root, 'memoryBacking', 'hugepages')
  if (!hugepages) return []
  const pages = findAll(hugepages, 'page')
  const sizes = pages.map(it => readSize(attributeOf(it, 'size') ?? '', attributeOf(it, 'unit')))
  return pages.length === 0 ? [undefined] : [...new Set(sizes)]
}

/** The files in /dev/shm that the guest shares with the host, by name. */
export function sharedFiles(root: XmlElement): string[] {
  const elements = findAll(root, 'devices', 'shmem').filter(it => {
    const model = find(it, 'model')
    // With a server the memory is what that one hands out.
    return (model && attributeOf(model, 'type')) !== 'ivshmem-doorbell' && !find(it, 'server')
  })
  const names = elements.flatMap(it => attributeOf(it, 'name') ?? [])
  const paths = backends(root).map(it => /^\/dev\/shm\/([^/]+)$/.exec(it.path)?.[1])
  return [...new Set([...names, ...paths.filter(it => it !== undefined)])]
}

/** A device of the kernel module kvmfr: the number in `/dev/kvmfr0`, and its size in MiB. */
export interface KvmfrDevice {
  number: number
  /** Undefined where it is not whole. */
  size: number | undefined
}

/** The devices of kvmfr that the guest's memory is shared through, by their numbers. */
export function kvmfrDevices(root: XmlElement): KvmfrDevice[] {
  return backends(root)
    .flatMap(({ path, size }) => {
      const number = /^\/dev\/kvmfr(\d{1,2})$/.exec(path)?.[1]
      return number === undefined ? [] : [{ number: Number(number), size: megabytes(size) }]
    })
    .sort((a, b) => a.number - b.number)
}

function backends(root: XmlElement): { path: string; size: string }[] {
  return argumentsIn(findAll(root, 'qemu:commandline', 'qemu:arg'))
    .filter(it => it.type === 'memory-backend-file')
    .map(({ properties }) => ({
      path: properties.get('mem-path') ?? '',
      size: properties.get('size') ?? ''
    }))
}
