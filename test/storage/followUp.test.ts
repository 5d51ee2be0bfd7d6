// The complete table of `followUp`: what an undo or redo has left to do after an interrupted run.

import { expect, test } from 'vitest'
import {
  type FollowUp,
  followUp,
  type HistoryRequest,
  type InterruptedRun
} from '../../src/storage/history.ts'

const [OWN, SUBJECT, OTHER] = ['20261122-160312-3', '20261122-160312-2', '20261122-160312-1']
const GO_ON: FollowUp = { stops: false }
const SAME: FollowUp = { stops: false, run: SUBJECT }

function stopped(kind: InterruptedRun['kind'], outcome: InterruptedRun['outcome']): InterruptedRun {
  if (outcome === 'nothing') return { kind, outcome }
  return kind === 'change'
    ? { kind, outcome, run: OWN }
    : { kind, outcome, run: OWN, subject: SUBJECT }
}

test.each<
  [HistoryRequest['kind'], InterruptedRun['kind'], InterruptedRun['outcome'], 'stop' | FollowUp]
>([
  ['undo', 'change', 'finished', GO_ON],
  ['undo', 'change', 'rolled back', 'stop'],
  ['undo', 'change', 'nothing', 'stop'],
  ['undo', 'undo', 'finished', 'stop'],
  ['undo', 'undo', 'rolled back', SAME],
  ['undo', 'undo', 'nothing', GO_ON],
  ['undo', 'redo', 'finished', GO_ON],
  ['undo', 'redo', 'rolled back', 'stop'],
  ['undo', 'redo', 'nothing', 'stop'],
  ['redo', 'change', 'finished', GO_ON],
  ['redo', 'change', 'rolled back', 'stop'],
  ['redo', 'change', 'nothing', 'stop'],
  ['redo', 'undo', 'finished', GO_ON],
  ['redo', 'undo', 'rolled back', 'stop'],
  ['redo', 'undo', 'nothing', 'stop'],
  ['redo', 'redo', 'finished', 'stop'],
  ['redo', 'redo', 'rolled back', SAME],
  ['redo', 'redo', 'nothing', GO_ON]
])(
  'decides what %s does after an interrupted %s with the outcome "%s"',
  (kind, what, outcome, expected) => {
    const because = stopped(what, outcome)
    const wanted = expected === 'stop' ? { stops: true, because } : expected
    expect(followUp({ kind }, [because])).toEqual(wanted)
  }
)

test('lets an undo go on if no run was interrupted', () => {
  expect(followUp({ kind: 'undo' }, [])).toEqual(GO_ON)
})

test.each<[string, string, InterruptedRun, 'stop' | FollowUp]>([
  ['the interrupted run', OWN, stopped('change', 'rolled back'), 'stop'],
  ['the interrupted run', OWN, stopped('change', 'finished'), GO_ON],
  ['the run that was being undone', SUBJECT, stopped('undo', 'finished'), 'stop'],
  ['the run that was being undone', SUBJECT, stopped('undo', 'rolled back'), SAME],
  ['the run that was being redone', SUBJECT, stopped('redo', 'rolled back'), 'stop'],
  ['the run that was being redone', SUBJECT, stopped('redo', 'finished'), GO_ON],
  ['another run', OTHER, stopped('undo', 'finished'), GO_ON],
  ['another run', OTHER, stopped('change', 'rolled back'), GO_ON],
  ['another run', OTHER, stopped('change', 'nothing'), GO_ON]
])('decides what undo --run does if it names %s (%s)', (_, run, because, expected) => {
  const wanted = expected === 'stop' ? { stops: true, because } : expected
  expect(followUp({ kind: 'undo', run }, [because])).toEqual(wanted)
})
