// The words of QEMU's command line in `<qemu:commandline>`.

import { attributeOf, type XmlElement } from './xml/tree.ts'

/** `-object` or `-device` with what stands behind it, in either spelling. */
export interface Argument {
  flag: string
  /** `input-linux`, `ivshmem-plain`, … */
  type: string
  properties: ReadonlyMap<string, string>
  value: string
  elements: readonly XmlElement[]
}

/** The objects and devices among the `<qemu:arg>` of a command line, as far as they can be read. */
export function argumentsIn(all: readonly XmlElement[]): Argument[] {
  return all.flatMap((flagged, i): Argument[] => {
    const flag = attributeOf(flagged, 'value')?.replace(/^--?/, '')
    const behind = all[i + 1]
    const value = attributeOf(behind, 'value')
    if (!behind || value === undefined || (flag !== 'object' && flag !== 'device')) return []
    const parts = value.startsWith('{') ? partsFromJson(value) : fromWords(value)
    return parts ? [{ flag, ...parts, value, elements: [flagged, behind] }] : []
  })
}

type Parts = Pick<Argument, 'type' | 'properties'>

/** What a text in JSON says; undefined for any other text, which QEMU does not read either. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The words between commas; in a word a comma is written twice. */
export function splitWords(value: string): string[] {
  return value.split(/(?<!,),(?!,)/)
}

function partsFromJson(value: string): Parts | undefined {
  const parsed = parseJson(value)
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const properties = new Map(Object.entries(parsed).map(([key, it]) => [key, String(it)]))
  const type = properties.get('qom-type') ?? properties.get('driver')
  properties.delete('qom-type')
  properties.delete('driver')
  return type === undefined ? undefined : { type, properties }
}

/** `type,name=value,…`; one with a comma in a value is not read. */
function fromWords(value: string): Parts | undefined {
  const [type, ...rest] = splitWords(value)
  if (type === undefined || type.includes('=') || value.includes(',,')) return undefined
  const pairs = rest.map(it => /^([^=]+)=(.*)$/s.exec(it))
  if (!pairs.every(it => it !== null)) return undefined
  return { type, properties: new Map(pairs.map(it => [it[1] ?? '', it[2] ?? ''])) }
}

/** A size as QEMU reads it (bytes without a unit) in MiB; undefined for one that is not whole. */
export function megabytes(size: string): number | undefined {
  const found = /^(\d+)([BKMGbkmg]?)$/.exec(size)
  if (!found) return undefined
  const power = { b: 0, k: 1, m: 2, g: 3 }[(found[2] ?? '').toLowerCase()] ?? 0
  const count = (Number(found[1]) * 1024 ** power) / 1024 ** 2
  return Number.isSafeInteger(count) && count > 0 ? count : undefined
}
