// nixos/_lib renders the same XML as vfio-patch, but at build time.

import { describe, expect, test } from 'vitest'
import { domainTables } from '../../src/guests/tables.ts'
import { GUESTS, guestNix } from './support/guests.ts'
import { evaluated, expectValue, withNix } from './support/nix.ts'
import { xmlOf } from './support/text.ts'

const {
  texts: textChildren,
  orders: childOrder,
  firstAttributes: FIRST_ATTRIBUTES
} = domainTables()

withNix('reads the tables as Nix does', () => {
  expect(evaluated('tables')).toEqual({
    texts: Object.fromEntries(textChildren),
    orders: Object.fromEntries(childOrder),
    firstAttributes: FIRST_ATTRIBUTES
  })
})

withNix.each(GUESTS)('Nix renders the guest %s to the same text', name => {
  const domains = `map (it: toXML it.domain)
    (builtins.attrValues (${guestNix(name)}).virtualisation.vfio.guests)`
  expectValue(domains, [xmlOf(guestNix(name))])
})

describe('handwritten domains', () => {
  const domain = (inner: string) => `{ name = "x"; type = "kvm"; ${inner} }`

  withNix.each([
    'vcpu = 8; memory = { unit = "GiB"; _text = 16; };',
    'title = null; os = { type = null; boot = [ null { dev = "hd"; } ]; };',
    'features = { };',
    'new = [ "a" { _text = "b"; } { } { c = "d"; } ];',
    'os = { _attrs = { firmware = "efi"; loader = null; }; firmware.feature = [ ]; };',
    'metadata._children = [ { b = { }; } { "a:c" = { "xmlns:a" = "u"; _text = " "; }; } ];',
    'description._children = [ "a " { b = { c = { d = "e"; }; }; } " f" ];',
    'os._children = [ { _text = { }; } { _attrs._attrs._attrs = "x"; } ];',
    'title = "<&>\'\\"\\r\\n\\t"; os.type = { a = "<&>\'\\"\\r\\n\\t"; _text = ""; };',
    'title = "äöü😀"; "ä-ö.1" = { "ü" = "1"; "z" = "2"; "a" = "3"; };',
    'devices = { z = { }; a = { }; hostdev = [ ]; disk = { }; emulator = "/e"; };',
    'new = { slot = "1"; bus = "2"; name = "3"; a = "4"; mode = "5"; };'
  ])('Nix renders %s to the same text', inner => {
    const xml = xmlOf(domain(inner))
    expect(xml.startsWith('<domain')).toBe(true)
    expectValue(`toXML ${domain(inner)}`, xml)
  })

  withNix('Nix renders paths and packages as paths, and does not copy disk images', () => {
    const derivation = '{ type = "derivation"; outPath = "/nix/store/x"; }'
    expect(
      evaluated(
        `toXML { devices.disk = [ { source.file = /var/lib/a.img; boot = ${derivation}; } ]; }`
      )
    ).toBe(`<domain>
  <devices>
    <disk boot='/nix/store/x'>
      <source file='/var/lib/a.img'/>
    </disk>
  </devices>
</domain>
`)
  })

  withNix.each([
    [
      'features.acpi = true;',
      'domain.features.acpi: a boolean is not allowed here; write the string that libvirt expects: "yes" or "no", "on" or "off"'
    ],
    ['vcpu = 1.5;', 'domain.vcpu: a float is not allowed here'],
    ['vcpu = x: x;', 'domain.vcpu: a lambda is not allowed here'],
    [
      'os._atrs = { };',
      'domain.os: unknown name "_atrs"; names that begin with "_" are reserved: _attrs, _text and _children'
    ],
    [
      'devices.disk = [ { } { source = { _text = "a"; b = { }; }; } ];',
      "domain.devices.disk[1].source: _text, _children and child elements can't be combined"
    ],
    [
      'os = { _attrs.a = "1"; a = "2"; };',
      'domain.os: the attribute "a" is set twice, once in _attrs'
    ],
    ['"a b" = { };', 'domain.a b: "a b" is not a valid element name'],
    ['"1a" = "b";', 'domain: "1a" is not a valid attribute name'],
    ['"a>" = [ "b" ];', 'domain.a>[0]: "a>" is not a valid element name'],
    ['os.boot = [ [ ] ];', 'domain.os.boot[0]: a list is not allowed here'],
    [
      'os._children = [ { a = { }; b = { }; } ];',
      'domain.os._children[0]: expected a string, or an attribute set with exactly one child element'
    ],
    [
      'os._children = [ 1 true ];',
      'domain.os._children[1]: a boolean is not allowed here; write the string that libvirt expects: "yes" or "no", "on" or "off"'
    ]
  ])('Nix rejects %s', (inner, expected) => {
    expect(evaluated(`toXML { ${inner} }`)).toBe(expected)
  })
})

test('reads the tables without Nix', () => {
  expect(textChildren.get('devices')).toEqual(['emulator'])
  expect(childOrder.get('pm')).toEqual(['suspend-to-mem', 'suspend-to-disk'])
})
