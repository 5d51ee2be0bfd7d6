// QEMU's arguments in `<qemu:commandline>`.

import { attributeOf, type XmlElement } from './xml/tree.ts'

/** `-object` or `-device` with its value, which is a property list or JSON. */
export interface Argument {
  flag: 'object' | 'device'
  /** `input-linux`, `ivshmem-plain`, … */
  type: string
  properties: ReadonlyMap<string, string>
  /** As written. */
  value: string
  /** Two `<qemu:arg>`: the flag, then the value. */
  elements: readonly XmlElement[]
}

/** The `-object` and `-device` arguments among all `<qemu:arg>`, without those that can't be parsed. */
export function argumentsIn(all: readonly XmlElement[]): Argument[] {
  return all.flatMap((flagElement, i): Argument[] => {
    const flag = attributeOf(flagElement, 'value')?.replace(/^--?/, '')
    const valueElement = all[i + 1]
    const value = attributeOf(valueElement, 'value')
    if (!valueElement || value === undefined || (flag !== 'object' && flag !== 'device')) return []
    const parts = value.startsWith('{') ? partsFromJson(value) : partsFromList(value)
    return parts ? [{ flag, ...parts, value, elements: [flagElement, valueElement] }] : []
  })
}

type TypedProperties = Pick<Argument, 'type' | 'properties'>

/** The value of a JSON text; undefined if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The parts between commas; a doubled comma is part of the text. */
export function splitAtCommas(value: string): string[] {
  return value.split(/(?<!,),(?!,)/)
}

function partsFromJson(value: string): TypedProperties | undefined {
  const parsed = parseJson(value)
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const properties = new Map(Object.entries(parsed).map(([key, it]) => [key, String(it)]))
  const type = properties.get('qom-type') ?? properties.get('driver')
  properties.delete('qom-type')
  properties.delete('driver')
  return type === undefined ? undefined : { type, properties }
}

/** Parses `type,name=value,…`; undefined for any other form, or if a value contains a comma. */
function partsFromList(value: string): TypedProperties | undefined {
  const [type, ...rest] = splitAtCommas(value)
  if (type === undefined || type.includes('=') || value.includes(',,')) return undefined
  const pairs = rest.map(it => /^([^=]+)=(.*)$/s.exec(it))
  if (!pairs.every(it => it !== null)) return undefined
  return { type, properties: new Map(pairs.map(it => [it[1] ?? '', it[2] ?? ''])) }
}

/** Converts a size for QEMU, in bytes if it has no unit, to MiB; undefined if the result is no positive integer. */
export function mebibytes(size: string): number | undefined {
  const found = /^(\d+)([BKMGbkmg]?)$/.exec(size)
  if (!found) return undefined
  const power = { b: 0, k: 1, m: 2, g: 3 }[(found[2] ?? '').toLowerCase()] ?? 0
  const count = (Number(found[1]) * 1024 ** power) / 1024 ** 2
  return Number.isSafeInteger(count) && count > 0 ? count : undefined
}
