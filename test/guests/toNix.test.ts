// Conversion of XML to Nix: how each form is written.

import { expect, test } from 'vitest'
import { toNix } from '../../src/guests/convert.ts'
import { documentOf, shown, text } from './support/text.ts'

/** The bindings after `name` in `virtualisation.vfio.guests.x.domain = { name = "x"; … };` */
function inNix(inner: string): string {
  const nix = toNix(documentOf(`<domain><name>x</name>${inner}</domain>`))
  if (!nix.ok) throw new Error(shown(nix.error))
  const lines = nix.value.split('\n')
  expect(lines.slice(0, 3)).toEqual([
    '{',
    '  virtualisation.vfio.guests.x.domain = {',
    '    name = "x";'
  ])
  expect(lines.slice(-3)).toEqual(['  };', '}', ''])
  return lines
    .slice(3, -3)
    .map(it => it.slice(4))
    .join('\n')
}

test.each([
  ['a text', '<uuid>1</uuid>', 'uuid = "1";'],
  [
    'a text with attributes',
    "<memory unit='b'>1</memory>",
    'memory = { unit = "b"; _text = "1"; };'
  ],
  ['a text that is not in the tables', '<new>1</new>', 'new._text = "1";'],
  ['an empty element', '<features><acpi/></features>', 'features.acpi = { };'],
  ['a single list item', "<os><boot dev='hd'/></os>", 'os.boot = [ { dev = "hd"; } ];'],
  [
    'several children that are not in the tables',
    "<os><new a='1'/><new>2</new><new/></os>",
    'os.new = [\n  { a = "1"; }\n  "2"\n  { }\n];'
  ],
  [
    'an attribute with the same name as a child',
    "<os firmware='efi'><firmware a='1'/></os>",
    'os = { _attrs.firmware = "efi"; firmware.a = "1"; };'
  ],
  [
    'an attribute with the name of a child in the tables',
    "<os type='x'/>",
    'os._attrs.type = "x";'
  ],
  ['an attribute with a reserved name', "<os _text='x'/>", 'os._attrs._text = "x";'],
  [
    'a child with a reserved name',
    '<os><_text>x</_text></os>',
    'os._children = [ { _text._text = "x"; } ];'
  ],
  [
    'text between elements',
    '<os>a<b/> c</os>',
    'os._children = [\n  "a"\n  { b = { }; }\n  " c"\n];'
  ],
  [
    'unsorted metadata',
    '<metadata><b/><a/></metadata>',
    'metadata._children = [\n  { b = { }; }\n  { a = { }; }\n];'
  ],
  ['sorted metadata', '<metadata><a/><b/></metadata>', 'metadata = { a = { }; b = { }; };'],
  ['whitespace as text', '<title> </title>', 'title = " ";'],
  ['an element with only layout', '<os>\n  </os>', 'os = { };'],
  ['a line break in a text child', '<title>\n</title>', 'title = "\\n";'],
  ['quotes', '<title>a "b"</title>', "title = ''a \"b\"'';"],
  ['characters that Nix interprets', "<title>${a} \\n ''</title>", 'title = "\\${a} \\\\n \'\'";'],
  ['names that need quotes', "<new.1 in='1'/>", '"new.1"."in" = "1";'],
  [
    'a text with several lines',
    '<description>one\n  two\n\nthree\n</description>',
    "description = ''\n  one\n    two\n\n  three\n'';"
  ],
  [
    'a text whose indentation Nix would strip',
    '<title> one\n two</title>',
    'title = " one\\n two";'
  ],
  [
    'comments',
    '<os><!-- first\n     second --><boot/><!--third--></os>',
    'os = {\n  boot = [\n    # first\n    # second\n    { }\n  ];\n  # third\n};'
  ]
])('converts %s', (_, xml, nix) => {
  expect(inNix(xml)).toBe(nix)
})

test("moves comments around the domain to the top, except for libvirt's notice", () => {
  const given = text`
    <!--
    WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
    OVERWRITTEN AND LOST.
    -->
    <!-- For games. -->
    <domain type='kvm'>
      <name>win 10</name>
    </domain>
    <!-- End. -->
  `
  expect(toNix(documentOf(given))).toEqual({
    ok: true,
    value: text`
      # For games.
      # End.
      {
        virtualisation.vfio.guests."win 10".domain = {
          type = "kvm";
          name = "win 10";
        };
      }
    `
  })
})

test('defines a domain without a name as the guest "guest"', () => {
  expect(toNix(documentOf('<domain/>'))).toEqual({
    ok: true,
    value: '{\n  virtualisation.vfio.guests.guest.domain = { };\n}\n'
  })
})

test('converts a domain with the deepest nesting that libvirt accepts', () => {
  const deep = `<domain>${'<a b="&quot;\\">'.repeat(254)}${'</a>'.repeat(254)}</domain>`
  expect(toNix(documentOf(deep)).ok).toBe(true)
})
