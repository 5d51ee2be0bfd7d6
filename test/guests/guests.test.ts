// Whole guests are converted to Nix and back without loss.

import { describe, expect, test } from 'vitest'
import { toNix } from '../../src/guests/convert.ts'
import { canonicalOf } from '../../src/guests/xml/tree.ts'
import { GUESTS, guestNix, guestXml } from './support/guests.ts'
import { documentOf, xmlOf } from './support/text.ts'

describe.each(GUESTS)('the guest %s', name => {
  const document = documentOf(guestXml(name))

  test('is converted to the expected Nix', () => {
    expect(toNix(document)).toEqual({ ok: true, value: guestNix(name) })
  })

  test('is unchanged after conversion to Nix and back', () => {
    const restored = documentOf(xmlOf(guestNix(name)))
    expect(canonicalOf(restored.root)).toBe(canonicalOf(document.root))
  })

  test('is converted to the same Nix values after conversion to XML', () => {
    const again = toNix(documentOf(xmlOf(guestNix(name))))
    expect(again.ok && xmlOf(again.value)).toBe(xmlOf(guestNix(name)))
  })
})
