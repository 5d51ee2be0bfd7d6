// The sentence and the exit code of a message.

import { expect, it } from 'vitest'
import { exitOf, formatMessage, type Message, sentenceOf } from '../../src/cli/message.ts'

const PROBLEM: Message = { code: 'NO_SPACE', what: 'no space left for /etc/nixos/a.nix.' }

it('a message says what happened to the files', () => {
  expect(sentenceOf(PROBLEM)).toBe('no space left for /etc/nixos/a.nix.')
  expect(sentenceOf({ ...PROBLEM, nothingWritten: true })).toBe(
    'no space left for /etc/nixos/a.nix. Nothing was written.'
  )
  const onDisk = ['a.nix (with the change)', 'b.nix (as before)']
  expect(sentenceOf({ ...PROBLEM, nothingWritten: true, onDisk })).toBe(
    'no space left for /etc/nixos/a.nix. Now on the disk: a.nix (with the change), b.nix (as before).'
  )
  expect(sentenceOf({ ...PROBLEM, isWarning: true })).toBe(
    'warning: the change was written, but there is a problem: no space left for /etc/nixos/a.nix.'
  )
})

it('a warning has its own exit code', () => {
  expect(exitOf(PROBLEM)).toBe(4)
  expect(exitOf({ ...PROBLEM, isWarning: true })).toBe(8)
})

it('a message is printed with its excerpt, reason and remedy', () => {
  const more = { excerpt: '2 | a\n    ^', why: 'first\nsecond', remedy: 'one\ntwo' }
  expect(formatMessage({ ...PROBLEM, nothingWritten: true, ...more })).toBe(
    [
      'vfio-patch: no space left for /etc/nixos/a.nix. Nothing was written.',
      '    2 | a',
      '        ^',
      '  Why: first',
      '       second',
      '  Do:  one',
      '       two',
      ''
    ].join('\n')
  )
})
