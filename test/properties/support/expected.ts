// The expected options of a module after an edit, derived from the options before.

import { isDeepStrictEqual } from 'node:util'
import type { NixValue } from '../../../src/nix/index.ts'
import { isValueList, isValueSet, withoutComment } from '../../../src/nix/values.ts'
import type { EditRequest } from './edits.ts'
import type { Meaning } from './nix.ts'

/** The faults in the options after the edits; empty if the options are as requested. */
export function wrongMeaning(
  before: Meaning,
  after: Meaning,
  all: readonly EditRequest[]
): string[] {
  const expected = new Map(before)
  const seen = new Map(after)
  const wrong: string[] = []
  for (const request of all) {
    const why = check(expected, seen, request)
    if (why !== undefined) wrong.push(why)
  }
  for (const path of new Set([...expected.keys(), ...seen.keys()])) {
    const [was, is] = [expected.get(path), seen.get(path)]
    if (!isDeepStrictEqual(was, is)) wrong.push(`${path}: ${show(was)} became ${show(is)}`)
  }
  return wrong
}

/** Checks one request, and removes its options from `expected` and `seen`. */
function check(expected: Meaning, seen: Meaning, request: EditRequest): string | undefined {
  if (request.kind === 'import') {
    const name = request.path.replace(/^\.\/|\.nix$/g, '')
    const key = JSON.stringify(['imported', name])
    expected.delete(key)
    const is = seen.get(key)
    seen.delete(key)
    return is === true ? undefined : `${request.path} is not imported`
  }
  const was = take(expected, request.path)
  const there = request.kind === 'rename' ? take(seen, request.to) : undefined
  const is = take(seen, request.path)
  const name = request.path.join('.')
  switch (request.kind) {
    case 'set': {
      const wanted = flat([], request.value)
      return isDeepStrictEqual(is, wanted) ? undefined : `${name} is ${show([...is])}`
    }
    case 'remove':
      return is.size === 0 ? undefined : `${name} is still ${show([...is])}`
    case 'rename':
      return isDeepStrictEqual(there, was) && is.size === 0 ? undefined : `${name} was not renamed`
    case 'add':
    case 'removeItems': {
      const items = request.items.map(it => jsonOf(it))
      const change = request.kind === 'add' ? wrongGrowth : wrongLoss
      const why = change(partsOf(was.get('[]')), partsOf(is.get('[]')), items)
      return why && `${name}: ${why}: ${show(was.get('[]'))} became ${show(is.get('[]'))}`
    }
  }
}

/** Removes the entries at and below a path, and returns them by the rest of their paths. */
function take(meaning: Meaning, path: readonly string[]): Meaning {
  const taken: Meaning = new Map()
  for (const [key, value] of meaning) {
    const names = JSON.parse(key) as string[]
    if (!path.every((name, i) => names[i] === name)) continue
    taken.set(JSON.stringify(names.slice(path.length)), value)
    meaning.delete(key)
  }
  return taken
}

function flat(path: string[], value: NixValue, into: Meaning = new Map()): Meaning {
  const inner = withoutComment(value)
  if (isValueSet(inner))
    for (const [name, it] of Object.entries(inner)) flat([...path, name], it, into)
  else into.set(JSON.stringify(path), jsonOf(inner))
  return into
}

export function jsonOf(value: NixValue): unknown {
  const inner = withoutComment(value)
  if (isValueList(inner)) return inner.map(jsonOf)
  if (isValueSet(inner)) {
    return Object.fromEntries(Object.entries(inner).map(([name, it]) => [name, jsonOf(it)]))
  }
  return inner
}

/** The items of a list or the lines of a string; empty for undefined. */
function partsOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'string' ? value.split('\n').filter(it => it !== '') : []
}

function wrongGrowth(was: unknown[], is: unknown[], items: unknown[]): string | undefined {
  const more = takeOut(is, was)
  if (!more) return 'a previous item is missing or in another place'
  if (!more.every(it => items.includes(it))) return 'it has an item that was not requested'
  if (new Set(more).size < more.length) return 'it has an item twice'
  return items.every(it => is.includes(it)) ? undefined : 'it lacks an item'
}

function wrongLoss(was: unknown[], is: unknown[], items: unknown[]): string | undefined {
  const wanted = was.filter(it => !items.includes(it))
  return isDeepStrictEqual(is, wanted) ? undefined : 'it does not have exactly the other items'
}

/** `all` without `some`; undefined if `all` does not contain `some` in the same order. */
function takeOut(all: readonly unknown[], some: readonly unknown[]): unknown[] | undefined {
  const rest: unknown[] = []
  let next = 0
  for (const it of all) {
    if (next < some.length && isDeepStrictEqual(it, some[next])) next++
    else rest.push(it)
  }
  return next === some.length ? rest : undefined
}

const show = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value))
