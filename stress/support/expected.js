// Values without which a run is meaningless; if one is missing, it is an error.

/** The value of a result. Throws the error of a refusal. */
export function orThrow(result) {
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

/**
 * A value that must not be missing.
 * @template T
 * @param {T | undefined | null} value
 * @returns {T}
 */
export function present(value) {
  if (value === undefined || value === null) throw new Error('a value is missing')
  return value
}
