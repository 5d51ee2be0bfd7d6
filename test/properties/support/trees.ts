// Trees of options with plain values, written in several forms, and the expected result of an edit.

import { isDeepStrictEqual } from 'node:util'
import { built, type Choices } from './choices.ts'
import { type EditRequest, requestsOf } from './edits.ts'
import { jsonOf } from './expected.ts'
import type { GeneratedModule, Kind, Option } from './modules.ts'

export interface Tree {
  /** The same options in three notations: with dotted names, as nested sets, and mixed. */
  dotted: string
  nested: string
  mixed: string
  requests: readonly EditRequest[]
  /** The options as Nix evaluates them. */
  model: Model
}

/** A set as JSON. */
export interface Model {
  [name: string]: unknown
}

interface Entry {
  path: readonly string[]
  source: string
  value: unknown
}

const OPTIONS: readonly Option[] = [
  { path: ['boot', 'kernelParams'], kind: 'list' },
  { path: ['boot', 'initrd', 'kernelModules'], kind: 'list' },
  { path: ['boot', 'loader', 'timeout'], kind: 'scalar' },
  { path: ['users', 'users', 'alice', 'extraGroups'], kind: 'list' },
  { path: ['users', 'users', 'alice', 'uid'], kind: 'scalar' },
  { path: ['users', 'mutableUsers'], kind: 'scalar' },
  { path: ['services', 'openssh', 'enable'], kind: 'scalar' },
  { path: ['virtualisation', 'libvirtd'], kind: 'set' },
  { path: ['system', 'stateVersion'], kind: 'scalar' }
]

/** A tree and an edit of it. A definition is renamed only inside its set. */
export const trees = built<Tree>(c => {
  const options = OPTIONS.filter(() => !c.chance(40))
  const entries = options.map(it => ({ path: it.path, ...sourceAndValue(c, it.kind) }))
  const module: GeneratedModule = { text: '', options, isCallable: true, isCrlf: false }
  const requests = requestsOf(c, module).filter(
    it => it.kind !== 'rename' || areSiblings(it.path, it.to)
  )
  const write = (isNested: () => boolean) => `{ ... }:\n${setOf(entries, '', isNested)}\n`
  const model: Model = {}
  for (const it of entries) put(model, it.path, it.value)
  return {
    dotted: write(() => false),
    nested: write(() => true),
    mixed: write(() => c.chance(50)),
    requests,
    model
  }
})

const areSiblings = (path: readonly string[], other: readonly string[]) =>
  other.length === path.length && path.slice(0, -1).every((name, i) => other[i] === name)

function sourceAndValue(c: Choices, kind: Kind): { source: string; value: unknown } {
  const is = (source: string, value: unknown) => ({ source, value })
  if (kind === 'set') return is('{ }', {})
  if (kind === 'list')
    return c.pick(
      is('[ "quiet" ]', ['quiet']),
      is('[ ]', []),
      is("[ ''a'' (\"b\") ]", ['a', 'b']),
      is('[ 1 (toString 2) ]', [1, '2']),
      is('[\n    "quiet" # "no"\n    "${toString 1}"\n  ]', ['quiet', '1'])
    )
  return c.pick(is('true', true), is('"x"', 'x'), is('-2', -2), is("''\n    x\n  ''", 'x\n'))
}

/** A set with these values, each level as a nested set or with dotted names. */
function setOf(entries: readonly Entry[], indent: string, isNested: () => boolean): string {
  const inner = `${indent}  `
  const names = [...new Set(entries.map(it => it.path[0] ?? ''))]
  const bindings = names.flatMap(name => {
    const all = entries.filter(it => it.path[0] === name)
    const isLeaf = all.some(it => it.path.length === 1)
    if (isLeaf || !isNested()) return all.map(it => `${it.path.join('.')} = ${it.source};`)
    const below = all.map(it => ({ ...it, path: it.path.slice(1) }))
    return [`${name} = ${setOf(below, inner, isNested)};`]
  })
  return `{\n${bindings.map(it => `${inner}${it}\n`).join('')}${indent}}`
}

/** Applies an edit to the model, if the edit can be planned. */
export function edited(model: Model, requests: readonly EditRequest[]): Model {
  const result = structuredClone(model)
  for (const it of requests) {
    if (it.kind === 'import') put(result, ['imports'], [it.path])
    else if (it.kind === 'set') put(result, it.path, jsonOf(it.value))
    else if (it.kind === 'remove') take(result, it.path)
    else if (it.kind === 'rename') {
      const value = take(result, it.path)
      if (value !== undefined) put(result, it.to, value)
    } else {
      const was = take(result, it.path)
      const items = it.items.map(jsonOf)
      if (typeof was === 'string') {
        put(result, it.path, withLines(was, items))
        continue
      }
      const list = was as unknown[] | undefined
      const isIn = (some: readonly unknown[], item: unknown) =>
        some.some(other => isDeepStrictEqual(other, item))
      if (it.kind === 'removeItems') {
        if (list)
          put(
            result,
            it.path,
            list.filter(item => !isIn(items, item))
          )
      } else {
        const all = [...(list ?? [])]
        for (const item of items) if (!isIn(all, item)) all.push(item)
        put(result, it.path, all)
      }
    }
  }
  return result
}

/** A string of lines with added lines. */
function withLines(text: string, lines: readonly unknown[]): string {
  const end = text.endsWith('\n') ? '\n' : ''
  return `${[text.replace(/\n$/, ''), ...new Set(lines)].join('\n')}${end}`
}

/** The model without its empty sets. */
export function pruned(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const entries = Object.entries(value)
    .map(([name, it]) => [name, pruned(it)] as const)
    .filter(([, it]) => it !== undefined)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

function put(model: Model, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path
  if (rest.length === 0) model[name] = value
  else {
    const inner = (model[name] ?? {}) as Model
    model[name] = inner
    put(inner, rest, value)
  }
}

function take(model: Model, path: readonly string[]): unknown {
  const [name = '', ...rest] = path
  const value = model[name]
  if (rest.length > 0) return value === undefined ? undefined : take(value as Model, rest)
  delete model[name]
  return value
}
