// The machines in test/machine/machines, and which of their cards can be passed through.

import { expect, test } from 'vitest'
import { makeDump, parseDump } from '../../src/machine/dump/dump.ts'
import { candidateCards, proposedCard } from '../../src/machine/gates.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { type Recording, recordedSource, recordingSource } from '../../src/machine/source.ts'
import { machineCalled, NAMES, sourceOf, textsOf } from './support/machines.ts'

/** For each card its address, number of functions, verdict and reasons. */
const CARDS: Record<string, string[]> = {
  'already-bound': ['0000:01:00.0 2 free', '0000:0a:00.0 2 separate ONLY_DISPLAY'],
  'amd-reset': ['0000:01:00.0 2 confirm SHOWS_SCREEN', '0000:00:02.0 1 kept INTEGRATED'],
  'dirty-group': ['0000:0a:00.0 2 confirm SHOWS_SCREEN', '0000:08:00.0 2 kept SHARED_GROUP'],
  'iommu-off': ['0000:01:00.0 2 free', '0000:00:02.0 1 kept INTEGRATED SHOWS_SCREEN'],
  'laptop-mux': ['0000:01:00.0 2 free', '0000:04:00.0 4 kept INTEGRATED SHOWS_SCREEN'],
  'shared-audio-id': ['0000:03:00.0 4 free', '0000:0c:00.0 2 confirm SHOWS_SCREEN'],
  'single-gpu': ['0000:0a:00.0 2 separate ONLY_DISPLAY'],
  'split-groups': ['0000:01:00.0 4 free', '0000:00:02.0 1 kept INTEGRATED SHOWS_SCREEN'],
  'three-cards': [
    '0000:0a:00.0 2 free',
    '0000:01:00.0 2 free',
    '0000:0c:00.0 4 kept INTEGRATED ONLY_KEYBOARD SHOWS_SCREEN'
  ],
  'two-identical': ['0000:0a:00.0 2 free', '0000:01:00.0 2 confirm SHOWS_SCREEN'],
  'virtual-functions': ['0000:00:02.0 1 kept INTEGRATED ONLY_DISPLAY HAS_VIRTUAL_FUNCTIONS'],
  'x570-two-makers': ['0000:01:00.0 2 free', '0000:0a:00.0 2 confirm SHOWS_SCREEN']
}

test('there is an expectation for each machine', () => {
  expect(Object.keys(CARDS)).toEqual(NAMES)
})

test.each(NAMES)('finds which cards of %s can be passed through', name => {
  const candidates = candidateCards(machineCalled(name))
  const found = candidates.map(({ card, verdict, reasons }) =>
    [card.display.address, card.functions.length, verdict, ...reasons.map(it => it.code)].join(' ')
  )
  expect(found).toEqual(CARDS[name])
  const free = candidates.filter(it => it.verdict === 'free')
  expect(proposedCard(candidates)).toBe(free.length === 1 ? free[0] : undefined)
})

/** Some of these dumps are older than the placeholders for mappings, and must still be readable. */
function withPlaceholders(text: string): string {
  return text.replace(/\b(?:luks-root|cryptroot)\b/g, 'luks1').replace(/\bvg-root\b/g, 'vg1-lv1')
}

test.each(NAMES)('a dump of the dump %s is identical', name => {
  const recording: Recording = new Map()
  const machine = readMachine(recordingSource(sourceOf(name), recording))
  const dump = makeDump(recording).texts
  const named = [...textsOf(name)].map(([file, text]) => [file, withPlaceholders(text)] as const)
  expect(dump).toEqual(new Map(named))
  const parsed = parseDump(dump.values())
  if (!parsed.ok) throw new Error(parsed.error)
  const expected = JSON.parse(withPlaceholders(JSON.stringify(machine)))
  expect(JSON.parse(JSON.stringify(readMachine(recordedSource(parsed.value))))).toEqual(expected)
})
