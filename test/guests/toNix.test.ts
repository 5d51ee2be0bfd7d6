// XML to Nix: how it is written where that is not obvious.

import { expect, test } from 'vitest'
import { toNix } from '../../src/guests/convert.ts'
import { documentOf, shown, text } from './support/text.ts'

/** What stands inside `virtualisation.vfio.guests.x.domain = { name = "x"; … };` */
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
  ['a text that is not known as one', '<new>1</new>', 'new._text = "1";'],
  ['nothing', '<features><acpi/></features>', 'features.acpi = { };'],
  ['one of several', "<os><boot dev='hd'/></os>", 'os.boot = [ { dev = "hd"; } ];'],
  [
    'several that are not known as such',
    "<os><new a='1'/><new>2</new><new/></os>",
    'os.new = [\n  { a = "1"; }\n  "2"\n  { }\n];'
  ],
  [
    'an attribute that is called like a child',
    "<os firmware='efi'><firmware a='1'/></os>",
    'os = { _attrs.firmware = "efi"; firmware.a = "1"; };'
  ],
  ['an attribute that is called like a text', "<os type='x'/>", 'os._attrs.type = "x";'],
  ['an attribute with one of our names', "<os _text='x'/>", 'os._attrs._text = "x";'],
  [
    'a child with one of our names',
    '<os><_text>x</_text></os>',
    'os._children = [ { _text._text = "x"; } ];'
  ],
  [
    'text between elements',
    '<os>a<b/> c</os>',
    'os._children = [\n  "a"\n  { b = { }; }\n  " c"\n];'
  ],
  [
    'metadata in an order of its own',
    '<metadata><b/><a/></metadata>',
    'metadata._children = [\n  { b = { }; }\n  { a = { }; }\n];'
  ],
  ['metadata in order', '<metadata><a/><b/></metadata>', 'metadata = { a = { }; b = { }; };'],
  ['blank text', '<title> </title>', 'title = " ";'],
  ['layout', '<os>\n  </os>', 'os = { };'],
  ['layout in a text', '<title>\n</title>', 'title = "\\n";'],
  ['quotes', '<title>a "b"</title>', "title = ''a \"b\"'';"],
  ['what Nix would compute', "<title>${a} \\n ''</title>", 'title = "\\${a} \\\\n \'\'";'],
  ['names that need quotes', "<new.1 in='1'/>", '"new.1"."in" = "1";'],
  [
    'lines',
    '<description>one\n  two\n\nthree\n</description>',
    "description = ''\n  one\n    two\n\n  three\n'';"
  ],
  ['lines that Nix would shift', '<title> one\n two</title>', 'title = " one\\n two";'],
  [
    'comments',
    '<os><!-- first\n     second --><boot/><!--third--></os>',
    'os = {\n  boot = [\n    # first\n    # second\n    { }\n  ];\n  # third\n};'
  ]
])('%s', (_, xml, nix) => {
  expect(inNix(xml)).toBe(nix)
})

test('comments around the domain stand above, but not the one of libvirt', () => {
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

test('a domain without a name is a guest', () => {
  expect(toNix(documentOf('<domain/>'))).toEqual({
    ok: true,
    value: '{\n  virtualisation.vfio.guests.guest.domain = { };\n}\n'
  })
})

test('as deep as libvirt reads', () => {
  const deep = `<domain>${'<a b="&quot;\\">'.repeat(254)}${'</a>'.repeat(254)}</domain>`
  expect(toNix(documentOf(deep)).ok).toBe(true)
})
