// Compares random commands with a model of an editor's undo history: two stacks.

import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CommitOptions, commit } from '../../src/storage/commit.ts'
import { lastRun, lastUndone } from '../../src/storage/runs.ts'
import { planUndo } from '../../src/storage/undo.ts'
import type { FileChange } from '../../src/storage/work.ts'
import { seed } from '../support/seed.ts'
import { change, read } from './support/files.ts'
import { placeIn } from './support/place.ts'

/** Two configurations with a shared module. */
const NAMES = ['a.nix', 'b.nix', 'm.nix'] as const
type Name = (typeof NAMES)[number]
type Texts = Partial<Record<Name, string>>

type Step =
  | { kind: 'run'; about: Name; changed: Name[] }
  | { kind: 'undo' | 'redo'; about: Name }
  | { kind: 'edit' | 'unedit'; name: Name }

const ABOUT = fc.constantFrom<Name>('a.nix', 'b.nix')
const RUN = fc.tuple(ABOUT, fc.constantFrom('own', 'module', 'both')).map(([about, what]): Step => {
  const changed: Name[] = what === 'own' ? [about] : what === 'both' ? ['m.nix', about] : ['m.nix']
  return { kind: 'run', about, changed }
})
const STEP: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: RUN, weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant('undo' as const), about: ABOUT }), weight: 5 },
  { arbitrary: fc.record({ kind: fc.constant('redo' as const), about: ABOUT }), weight: 5 },
  {
    arbitrary: fc.record({
      kind: fc.constantFrom('edit' as const, 'unedit' as const),
      name: fc.constantFrom(...NAMES)
    }),
    weight: 1
  }
)

interface ModelRun {
  about: Name
  before: Texts
  after: Texts
}

/** The undo history of an editor: one stack for undo and one for redo. */
function makeModel() {
  const texts: Texts = { 'a.nix': 'a\n', 'b.nix': 'b\n' }
  const edited: Texts = {}
  let done: ModelRun[] = []
  let undone: ModelRun[] = []
  const namesOf = ({ about, after, before }: ModelRun) =>
    new Set([about, ...Object.keys(after), ...Object.keys(before)])
  const isFor = (run: ModelRun, about: Name) => namesOf(run).has(about)
  const put = (run: ModelRun, to: Texts) => {
    for (const name of NAMES.filter(it => it in run.before || it in run.after)) {
      if (to[name] === undefined) delete texts[name]
      else texts[name] = to[name]
    }
  }
  const is = (run: ModelRun, as: Texts) =>
    NAMES.every(it => !(it in run.before || it in run.after) || texts[it] === as[it])
  return {
    texts,
    run(about: Name, after: Texts) {
      const before: Texts = {}
      for (const name of NAMES) {
        const text = texts[name]
        if (name in after && text !== undefined) before[name] = text
      }
      const run = { about, before, after }
      const names = namesOf(run)
      undone = undone.filter(it => ![...namesOf(it)].some(name => names.has(name)))
      done.push(run)
      Object.assign(texts, after)
      for (const name of NAMES) if (name in after) delete edited[name]
    },
    /** The result of an undo or redo. */
    go(kind: 'undo' | 'redo', about: Name): 'done' | 'nothing' | 'refused' {
      const run = (kind === 'undo' ? done : undone).findLast(it => isFor(it, about))
      if (run === undefined) return 'nothing'
      const [from, to] = kind === 'undo' ? [run.after, run.before] : [run.before, run.after]
      if (!is(run, from)) return 'refused'
      put(run, to)
      if (kind === 'undo') {
        done = done.filter(it => it !== run)
        undone.push(run)
      } else {
        undone = undone.filter(it => it !== run)
        done.push(run)
      }
      return 'done'
    },
    edit(name: Name, text: string) {
      const old = texts[name]
      if (old === undefined) return
      edited[name] ??= old
      texts[name] = text
    },
    unedit(name: Name) {
      const old = edited[name]
      if (old !== undefined) texts[name] = old
      delete edited[name]
    }
  }
}

test('gives the same files as the undo history of an editor after runs, undos, redos and edits', {
  timeout: 300_000
}, () => {
  const ends = new Map<string, number>()
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 3, maxLength: 20 }), steps => {
      const top = mkdtempSync(join(tmpdir(), 'vfio-patch-history-'))
      try {
        for (const end of playAll(steps, realpathSync(top))) ends.set(end, (ends.get(end) ?? 0) + 1)
      } finally {
        rmSync(top, { recursive: true, force: true })
      }
    }),
    { seed, numRuns: 60 }
  )
  // Each outcome must have occurred.
  for (const end of ['undo done', 'undo nothing', 'undo refused', 'redo done', 'redo nothing'])
    expect([end, (ends.get(end) ?? 0) > 3]).toEqual([end, true])
})

function playAll(steps: readonly Step[], top: string): string[] {
  const { nixos, state, options } = placeIn(top)
  const model = makeModel()
  const pathOf = (name: Name) => join(nixos, name)
  const save = () => {
    for (const name of NAMES) {
      const text = model.texts[name]
      if (text !== undefined) writeFileSync(pathOf(name), text)
    }
  }
  save()
  const ends: string[] = []
  for (const [index, step] of steps.entries()) {
    if (step.kind === 'edit') model.edit(step.name, `edit ${index}\n`)
    if (step.kind === 'unedit') model.unedit(step.name)
    if (step.kind === 'edit' || step.kind === 'unedit') save()
    if (step.kind === 'run') {
      const after = Object.fromEntries(step.changed.map(name => [name, `run ${index}\n`]))
      const changes = step.changed.map(name => change(pathOf(name), `run ${index}\n`))
      make(changes, { ...options, purpose: { target: pathOf(step.about) } })
      model.run(step.about, after)
    }
    if (step.kind === 'undo' || step.kind === 'redo') {
      const end = go(step.kind, pathOf(step.about), state, options)
      expect([index, end]).toEqual([index, model.go(step.kind, step.about)])
      ends.push(`${step.kind} ${end}`)
    }
    const found = NAMES.filter(name => existsSync(pathOf(name))).map(name => [
      name,
      read(pathOf(name))
    ])
    expect([index, Object.fromEntries(found)]).toEqual([index, model.texts])
  }
  return ends
}

function go(kind: 'undo' | 'redo', path: string, state: string, options: CommitOptions) {
  const picked = kind === 'undo' ? lastRun(state, path) : lastUndone(state, path)
  if (!picked.ok) {
    expect(picked.error.code).toBe('NO_RUN')
    return 'nothing'
  }
  const found = picked.value
  const [reverted, subject] = 'by' in found ? [found.by, found.run] : [found, found]
  const planned = planUndo(reverted)
  if (!planned.ok) {
    expect(planned.error.code).toBe('EDITED_SINCE')
    return 'refused'
  }
  const purpose = kind === 'undo' ? { undoes: subject.id } : { redoes: subject.id }
  make(planned.value, { ...options, command: kind, purpose: { ...purpose, target: path } })
  return 'done'
}

function make(changes: FileChange[], options: CommitOptions): void {
  expect(commit(changes, options)).toMatchObject({ ok: true, value: { warnings: [] } })
}
