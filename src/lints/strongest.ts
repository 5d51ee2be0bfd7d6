// Which of several definitions of an option can count, by their priorities.

import type { SyntaxNode } from '../nix/index.ts'
import { candidatesOf, PLAIN } from '../nix/module/strength.ts'
import { unparenthesised } from '../nix/syntax/shape.ts'
import type { Entry, View } from './configuration.ts'
import { textOf } from './values.ts'

/** A value that an option can get. */
export interface Contender {
  /** The definition that it is part of. */
  entry: Entry
  /** The value without priorities and conditions. */
  value: SyntaxNode
  /** Its text. */
  spelling: string
  /** Whether it counts under every condition. */
  isCertain: boolean
}

/**
 * The values that an option can get in a view: those that no definition with a stronger priority overrides
 * under every condition. Empty where nothing defines the option.
 */
export function contendersFor(view: View, option: string): Contender[] {
  const all = view.at(option).flatMap(entry => {
    const { doc } = entry.file
    const definition = doc.getIn(entry.fullPath).find(it => it.value.start === entry.value.start)
    const candidates = definition
      ? candidatesOf(doc.text, [definition])
      : [{ value: entry.value, strength: PLAIN, isCertain: false }]
    return candidates.map(it => ({ ...it, entry }))
  })
  const strongest = Math.min(...all.filter(it => it.isCertain).map(it => it.strength))
  // A computed priority is not a number, and may be any.
  return all
    .filter(it => !(it.strength > strongest))
    .map(({ entry, value, isCertain }) => {
      const spelling = textOf(entry.file.doc.text, unparenthesised(value))
      return { entry, value, spelling, isCertain }
    })
}

/**
 * Whether an option is on in a view, or `otherwise` where nothing defines it; undefined where that depends
 * on a condition or is computed.
 */
export function isOn(view: View, option: string, otherwise: boolean): boolean | undefined {
  const contenders = contendersFor(view, option)
  const isDecided = contenders.some(it => it.isCertain)
  const spellings = new Set(contenders.map(it => it.spelling))
  if (!isDecided) spellings.add(String(otherwise))
  const [only] = spellings
  if (spellings.size > 1 || (only !== 'true' && only !== 'false')) return undefined
  return only === 'true'
}
