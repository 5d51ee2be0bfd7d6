// libvirt accepts the guests before and after each conversion.

import { describe, expect } from 'vitest'
import { guestName } from '../../src/guests/convert.ts'
import { modernize } from '../../src/guests/modernize/modernize.ts'
import { toValue } from '../../src/guests/value.ts'
import { renderXml } from '../../src/guests/xml/renderXml.ts'
import { canonicalOf } from '../../src/guests/xml/tree.ts'
import { GUESTS, guestNix, guestXml } from './support/guests.ts'
import { defined, invalidity, withLibvirt } from './support/libvirt.ts'
import { documentOf, xmlOf } from './support/text.ts'

const identities = {
  uuid: () => '00000000-0000-4000-8000-000000000000',
  mac: () => '52:54:00:00:00:01'
}

describe.each(GUESTS)('the guest %s', name => {
  const document = documentOf(guestXml(name))
  const modernized = renderXml(toValue(modernize(document.root, identities).root))

  withLibvirt('is valid as given, converted from Nix, and modernized', () => {
    expect(invalidity(guestXml(name))).toBe('')
    expect(invalidity(xmlOf(guestNix(name)))).toBe('')
    expect(modernized.ok && invalidity(modernized.value)).toBe('')
  })

  withLibvirt('is the same guest to libvirt after conversion to Nix and back', () => {
    const dumps = [guestXml(name), xmlOf(guestNix(name))].map(xml => {
      const dump = defined(xml, guestName(document) ?? '') ?? ''
      return withoutGenerated(canonicalOf(documentOf(dump).root), guestXml(name))
    })
    expect(dumps[1]).toBe(dumps[0])
  })
})

/** A dump without the UUIDs and MAC addresses that libvirt generated. */
function withoutGenerated(dump: string, given: string): string {
  const identity = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g
  return dump.replace(identity, it => (given.includes(it) ? it : '…'))
}
