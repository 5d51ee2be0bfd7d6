// Whole guests: what they are in Nix, and that nothing of them is lost.

import { describe, expect, test } from 'vitest'
import { toNix } from '../../src/guests/convert.ts'
import { canonicalOf } from '../../src/guests/xml/tree.ts'
import { GUESTS, guestNix, guestXml } from './support/guests.ts'
import { documentOf, xmlOf } from './support/text.ts'

describe.each(GUESTS)('the guest %s', name => {
  const document = documentOf(guestXml(name))

  test('is this in Nix', () => {
    expect(toNix(document)).toEqual({ ok: true, value: guestNix(name) })
  })

  test('comes back as it was', () => {
    const back = documentOf(xmlOf(guestNix(name)))
    expect(canonicalOf(back.root)).toBe(canonicalOf(document.root))
  })

  test('is the same Nix values the second time', () => {
    const again = toNix(documentOf(xmlOf(guestNix(name))))
    expect(again.ok && xmlOf(again.value)).toBe(xmlOf(guestNix(name)))
  })
})
