/** The object that a JSON text says; null when it says none, or isn't JSON. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

/** Whether a value is an object, and no array or null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isString(value: unknown): value is string {
  return typeof value === 'string'
}

export function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isString)
}

export function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}
