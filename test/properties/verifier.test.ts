import { describe, expect, it } from 'vitest'
import type { Operation } from '../../src/nix/edit/operation.ts'
import { applyEdits, parseDocument } from '../../src/nix/index.ts'
import { verify } from '../../src/nix/verify/verify.ts'
import { describeWithOracle } from '../oracle/evalModules.ts'
import { parsedByNix } from '../support/nix.ts'
import { samplePlanned, show } from './support/cases.ts'
import { choicesOf, runs } from './support/choices.ts'
import { type Corruption, corruptionOf } from './support/corruptions.ts'
import type { EditRequest } from './support/edits.ts'
import { wrongMeaning } from './support/expected.ts'
import { commentsAndStrings } from './support/lexer.ts'
import { meaningsOf } from './support/nix.ts'

interface AcceptedFault {
  before: string
  right: string
  wrong: string
  request: EditRequest
  corruption: Corruption
}

/** Corrupts correct plans; returns the number of corruptions, and those that the verification accepts. */
function acceptedFaults(count: number): { all: number; accepted: AcceptedFault[] } {
  const accepted: AcceptedFault[] = []
  let all = 0
  for (const [i, { module, requests, plan }] of samplePlanned(count).entries()) {
    const [only] = requests
    if (!only || requests.length > 1) continue
    const doc = parseDocument(module.text)
    for (let kind = 0; kind < 40; kind++) {
      const tape = [
        0,
        kind,
        ...Array.from({ length: 12 }, (_, k) => (i * 7919 + kind * 104_729 + k * 31) % 9973)
      ]
      const corruption = corruptionOf(choicesOf(tape), module.text, plan.edits)
      if (!corruption) continue
      const wrong = applyEdits(module.text, corruption.edits)
      if (wrong === plan.text) continue
      all++
      const fault = verify(doc, doc.edited(corruption.edits), corruption.edits, [operationOf(only)])
      if (!fault)
        accepted.push({ before: module.text, right: plan.text, wrong, request: only, corruption })
    }
  }
  return { all, accepted }
}

function operationOf(request: EditRequest): Operation {
  if (request.kind === 'import') return request
  const target = { kind: 'path' as const, path: request.path }
  switch (request.kind) {
    case 'set':
      return { kind: 'set', target, value: request.value }
    case 'add':
      return { kind: 'add', target, items: request.items, position: 'end', lines: false }
    case 'rename':
      return { kind: 'rename', target, to: request.to }
    case 'remove':
      return { kind: 'remove', target }
    case 'removeItems':
      return { kind: 'removeItems', target, items: request.items }
  }
}

const commentsOf = (text: string) =>
  commentsAndStrings(text)
    .filter(it => it.kind === 'comment')
    .map(it => it.text)
    .sort()
    .join('\0')

const report = ({ before, wrong, request, corruption }: AcceptedFault, why: string) =>
  `${show({ module: { text: before, options: [], isCallable: true, isCrlf: false }, requests: [request] })}` +
  `--- ${corruption.name} gave:\n${wrong}\n${why}`

describe('a correct edit with an injected fault', () => {
  it('is refused if it adds, removes or changes a comment', () => {
    const { all, accepted } = acceptedFaults(runs(250).numRuns ?? 250)
    expect(all).toBeGreaterThan(1000)
    const wrong = accepted.filter(it => commentsOf(it.wrong) !== commentsOf(it.right))
    expect(wrong.map(it => report(it, 'the comments differ')).at(0)).toBeUndefined()
  }, 60_000)
})

describeWithOracle(
  'a correct edit with an injected fault, in the module system,',
  ({ nixpkgsLib }) => {
    it('is refused if an option would differ under any conditions', () => {
      const { accepted } = acceptedFaults(runs(80).numRuns ?? 80)
      const left = accepted.filter(it => commentsOf(it.wrong) === commentsOf(it.right))
      const parsed = parsedByNix(left.map(it => it.right))
      const sound = parsedByNix(left.map(it => it.wrong))
      const broken = left.filter((_, i) => parsed[i] && !sound[i])
      expect(broken.map(it => report(it, 'Nix rejects that')).at(0)).toBeUndefined()
      // The result must also be correct with the opposite conditions.
      for (const turn of [(it: string) => it, (it: string) => it.replaceAll('false', 'true')]) {
        const means = (texts: string[]) => meaningsOf(nixpkgsLib, texts.map(turn))
        const before = means(left.map(it => it.before))
        const right = means(left.map(it => it.right))
        const wrong = means(left.map(it => it.wrong))
        const different = left.flatMap((it, i) => {
          const [was, is, other] = [before[i], right[i], wrong[i]]
          if (!was || !is || wrongMeaning(was, is, [it.request]).length > 0) return []
          const why = other
            ? wrongMeaning(was, other, [it.request])
            : ['the module system rejects it']
          return why.length === 0 ? [] : [report(it, why.join('\n'))]
        })
        expect(different.at(0)).toBeUndefined()
      }
    }, 60_000)
  }
)
