// Requests to edit a module.

import {
  annotated,
  type NixDocument,
  type NixError,
  type NixValue,
  type Plan,
  type Result
} from '../../../src/nix/index.ts'
import type { Choices } from './choices.ts'
import type { GeneratedModule, Kind } from './modules.ts'

export type EditRequest =
  | { kind: 'set'; path: readonly string[]; value: NixValue }
  | { kind: 'add'; path: readonly string[]; items: readonly NixValue[] }
  | { kind: 'remove'; path: readonly string[] }
  | { kind: 'removeItems'; path: readonly string[]; items: readonly NixValue[] }
  | { kind: 'rename'; path: readonly string[]; to: readonly string[] }
  | { kind: 'import'; path: string }

const FRESH: readonly { path: readonly string[]; kind: Kind }[] = [
  { path: ['boot', 'zzList'], kind: 'list' },
  { path: ['virtualisation', 'vfio'], kind: 'set' },
  { path: ['zzz', 'enable'], kind: 'scalar' },
  { path: ['users', 'users', 'alice', 'zzz'], kind: 'scalar' },
  { path: ['users', 'users', 'bob', 'extraGroups'], kind: 'list' },
  { path: ['services', 'openssh', 'zz', 'deep'], kind: 'scalar' },
  { path: ['environment', 'etc', 'zz.conf', 'text'], kind: 'scalar' },
  { path: ['fileSystems', '/data'], kind: 'set' },
  { path: ['virtualisation', 'libvirtd', 'zzz'], kind: 'scalar' }
]

const SCALARS: readonly [NixValue, ...NixValue[]] = [
  true,
  'v',
  7,
  'tricky "${x}" \\ \n# [ ] { } \'\'',
  -3,
  null
]
const ITEMS: readonly [string, ...string[]] = ['N1', 'N2', 'quiet', 'a # b', '${y}']
const LINES: readonly [string, ...string[]] = ['options z=1', '# z', "it's $ ''"]

const itemsFor = (c: Choices, kind: Kind): NixValue[] => {
  if (kind === 'lines') return [c.pick(...LINES)]
  const items: NixValue[] = Array.from({ length: 1 + c.count(1) }, () => c.pick(...ITEMS))
  return c.chance(10) ? items.map(it => annotated(it, 'a card')) : items
}

function valueFor(c: Choices, kind: Kind): NixValue {
  if (kind === 'list') return c.pick<NixValue>(['N1'], [], ['N1', 'N2'], [1, { a: 1 }])
  if (kind === 'set') {
    return c.pick<NixValue>(
      { enable: true, devices: ['x'] },
      { a: { b: { c: 1 } }, 'my name': 'y' },
      { list: [annotated('10de:1b80', 'a card'), 'y'] }
    )
  }
  return c.pick(...SCALARS)
}

/** One to three requests. No request is for an option inside that of another request. */
export function requestsOf(c: Choices, module: GeneratedModule): EditRequest[] {
  const requests: EditRequest[] = []
  const taken: (readonly string[])[] = []
  const all = [...module.options, ...FRESH]
  const isFree = (path: readonly string[]) =>
    !taken.some(it => path.every((name, i) => (it[i] ?? name) === name))
  for (let more = 1 + c.pick(0, 0, 1, 2); more > 0; more--) {
    if (c.chance(15)) {
      const path = c.pick('./zz-c.nix', './zz-a.nix', './zz dir/a.nix')
      if (!requests.some(it => it.path === path)) requests.push({ kind: 'import', path })
      continue
    }
    const option = all[c.count(all.length - 1)]
    if (!option || !isFree(option.path)) continue
    taken.push(option.path)
    requests.push(requestFor(c, option.path, option.kind))
  }
  return requests
}

function requestFor(c: Choices, path: readonly string[], kind: Kind): EditRequest {
  const isList = kind === 'list' || kind === 'lines'
  const remove: EditRequest = { kind: 'remove', path }
  const set: EditRequest = { kind: 'set', path, value: valueFor(c, kind) }
  if (!isList) {
    const to = c.pick(
      [...path.slice(0, -1), 'zzRenamed'],
      ['zzRenamed'],
      ['boot', 'zzRenamed'],
      ['users', 'users', 'zz.bob', 'zzRenamed'],
      [...path, 'zzRenamed']
    )
    if (c.chance(5)) return { kind: 'add', path, items: ['N1'] }
    return c.pick<EditRequest>(set, set, set, remove, { kind: 'rename', path, to })
  }
  const add: EditRequest = { kind: 'add', path, items: itemsFor(c, kind) }
  const removeItems: EditRequest = { kind: 'removeItems', path, items: itemsFor(c, kind) }
  return kind === 'lines'
    ? c.pick<EditRequest>(add, set, remove)
    : c.pick<EditRequest>(add, add, add, set, remove, removeItems)
}

/** Plans all requests in one transaction. */
export function planOf(doc: NixDocument, all: readonly EditRequest[]): Result<Plan, NixError> {
  const edit = doc.edit()
  for (const it of all) {
    if (it.kind === 'set') edit.setIn(it.path, it.value)
    else if (it.kind === 'add') edit.addIn(it.path, it.items)
    else if (it.kind === 'remove') edit.removeIn(it.path)
    else if (it.kind === 'removeItems') edit.removeIn(it.path, it.items)
    else if (it.kind === 'rename') edit.renameIn(it.path, it.to)
    else edit.import(it.path)
  }
  return edit.plan()
}
