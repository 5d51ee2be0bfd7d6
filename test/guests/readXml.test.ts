// Reading XML: values, texts and comments, and the errors as people see them.

import { expect, test } from 'vitest'
import { attributeOf, findElement, textContent } from '../../src/guests/xml/tree.ts'
import { documentOf, refusal } from './support/text.ts'

test.each([
  ['keeps a hexadecimal number as text', "<domain a='0x0000'/>", '0x0000'],
  ['keeps leading zeros', "<domain a='007'/>", '007'],
  ['keeps spaces', "<domain a=' x  y '/>", ' x  y '],
  ['converts line endings and tabs to spaces', "<domain a='x\r\ny\tz\nw'/>", 'x y z w'],
  ['keeps references to line endings and tabs', "<domain a='x&#10;y&#9;z&#13;'/>", 'x\ny\tz\r'],
  [
    'replaces references once',
    '<domain a="&amp;lt;&#38;#65;&lt;&#x41;&apos;&quot;"/>',
    '&lt;&#65;<A\'"'
  ],
  ['reads XML 1.1 as XML 1.0, as libvirt does', `<?xml version="1.1"?><domain a='1'/>`, '1'],
  ['accepts one kind of quotes inside the other', `<domain a='"'/>`, '"'],
  ['accepts characters above U+FFFF', '<domain a="😀&#x1F600;"/>', '😀😀'],
  ['accepts names of JavaScript properties', "<domain constructor='x' a='1' __proto__='y'/>", '1']
])('reads the value of an attribute: %s', (_, given, value) => {
  expect(attributeOf(documentOf(given).root, 'a')).toBe(value)
})

test.each([
  ['keeps spaces', '<name> a  b </name>', ' a  b '],
  ['converts line endings to \\n', '<name>a\r\nb\rc</name>', 'a\nb\nc'],
  ['replaces references', '<name>&lt;&amp;gt;&#xd;</name>', '<&gt;\r'],
  ['replaces CDATA sections', '<name>a<![CDATA[<b>&amp;]]>c</name>', 'a<b>&amp;c'],
  ['joins the text around a comment', '<name>win<!-- 1 -->10</name>', 'win10'],
  ['joins the text around a processing instruction', '<name>win<?x <y> ?>10</name>', 'win10'],
  ['keeps a number as text', '<name>1e3</name>', '1e3']
])('reads the text of an element: %s', (_, given, value) => {
  const name = findElement(documentOf(`<domain>${given}</domain>`).root, 'name')
  expect(name && textContent(name)).toBe(value)
})

test('keeps comments inside and outside the root', () => {
  const { before, after, root } = documentOf('<!--a--><domain><!-- b --></domain>\n<!-- c -->')
  expect({ before, after, children: root.children }).toEqual({
    before: ['a'],
    after: [' c '],
    children: [{ kind: 'comment', text: ' b ' }]
  })
})

test('ignores an XML declaration and a byte order mark', () => {
  const given = '\ufeff<?xml version="1.0" encoding="utf-8" standalone="no"?>\n<domain/>\n'
  expect(documentOf(given).root.name).toBe('domain')
})

test.each([
  [
    '<domain>\n  <name>a</nam>\n</domain>',
    `2:10: NOT_XML: </nam> does not match <name>
2 |   <name>a</nam>
             ^^^^^^
hint: close <name> of line 2 first: </name>`
  ],
  [
    '<domain>\n  <name>a\n</domain>',
    `3:1: NOT_XML: </domain> does not match <name>
3 | </domain>
    ^^^^^^^^^
hint: close <name> of line 2 first: </name>`
  ],
  [
    '<domain>\n  <devices>\n',
    `2:3: NOT_XML: <devices> is never closed
2 |   <devices>
      ^^^^^^^^
hint: add </devices>, or check that the file is complete`
  ],
  [
    '<domain type="kvm"',
    `1:1: NOT_XML: the tag <domain> is not finished
1 | <domain type="kvm"
    ^^^^^^^
hint: add ">" or "/>"`
  ],
  [
    '<domain type=kvm/>',
    `1:14: NOT_XML: the value of "type" needs quotes
1 | <domain type=kvm/>
                 ^
hint: write type='…'`
  ],
  [
    '<domain type/>',
    `1:9: NOT_XML: the attribute "type" has no value
1 | <domain type/>
            ^^^^
hint: write type='…'`
  ],
  [
    '<domain a="1"b="2"/>',
    `1:14: NOT_XML: a space is missing before "b"
1 | <domain a="1"b="2"/>
                 ^`
  ],
  [
    '<domain type="kvm" type="qemu"/>',
    `1:20: NOT_XML: the attribute "type" appears twice
1 | <domain type="kvm" type="qemu"/>
                       ^^^^
hint: keep one`
  ],
  [
    '<domain a="1 < 2"/>',
    `1:14: NOT_XML: "<" is not allowed in a value
1 | <domain a="1 < 2"/>
                 ^
hint: write &lt;`
  ],
  [
    "<domain type='kvm>\n  <name>x</name>\n</domain>",
    `1:14: NOT_XML: the closing quote of the value of "type" is missing
1 | <domain type='kvm>
                 ^`
  ],
  [
    '<domain><name>Tom & Jerry</name></domain>',
    `1:19: NOT_XML: this "&" does not start a reference
1 | <domain><name>Tom & Jerry</name></domain>
                      ^
hint: in text, write "&" as &amp;`
  ],
  [
    '<domain><name>&uuml;</name></domain>',
    `1:15: NOT_XML: the entity &uuml; is not defined
1 | <domain><name>&uuml;</name></domain>
                  ^^^^^^
hint: XML has &lt; &gt; &amp; &apos; &quot; and numbers such as &#233;`
  ],
  [
    '<domain a="\r\n&#0;"/>',
    `2:1: NOT_XML: &#0; is a character that XML does not allow
2 | &#0;"/>
    ^^^^
hint: remove it`
  ],
  [
    '<domain>&#65</domain>',
    `1:9: NOT_XML: ";" is missing after &#65
1 | <domain>&#65</domain>
            ^^^^
hint: write &#65;`
  ],
  [
    '<domain>a ]]> b</domain>',
    `1:11: NOT_XML: "]]>" is not allowed in text
1 | <domain>a ]]> b</domain>
              ^^^
hint: write ]]&gt;`
  ],
  [
    '<domain>\n<!-- was: --device x -->\n</domain>',
    `2:11: NOT_XML: "--" is not allowed in a comment
2 | <!-- was: --device x -->
              ^^
hint: write "- -"`
  ],
  [
    '<domain><!-- x </domain>',
    `1:9: NOT_XML: this comment is never closed
1 | <domain><!-- x </domain>
            ^^^^
hint: close it with -->`
  ],
  [
    '<domain/>\n<domain/>',
    `2:1: NOT_XML: there is a second element after the end of the domain
2 | <domain/>
    ^^^^^^^
hint: a file holds one domain`
  ],
  [
    '<domain/>\nDomain win10 defined',
    `2:1: NOT_XML: there is text after the end of the domain
2 | Domain win10 defined
    ^
hint: remove it`
  ],
  [
    'error: no domain',
    `1:1: NOT_XML: this is not XML: XML starts with "<"
1 | error: no domain
    ^`
  ],
  [
    '',
    `1:1: NOT_XML: the file is empty
hint: write the guest to a file: virsh dumpxml --inactive NAME > NAME.xml`
  ],
  [
    '</domain>',
    `1:1: NOT_XML: </domain> closes nothing: no element is open here
1 | </domain>
    ^^^^^^^^^`
  ],
  [
    '<domain>1 < 2</domain>',
    `1:11: NOT_XML: this "<" does not start an element
1 | <domain>1 < 2</domain>
              ^
hint: in text, write "<" as &lt;`
  ],
  [
    '<domain>\n  <qemu:commandline/>\n</domain>',
    `2:4: NOT_XML: the prefix "qemu" is not declared
2 |   <qemu:commandline/>
       ^^^^^^^^^^^^^^^^
hint: write <domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' …>`
  ],
  [
    "<domain x:a='1'/>",
    `1:9: NOT_XML: the prefix "x" is not declared
1 | <domain x:a='1'/>
            ^^^`
  ],
  [
    "<domain xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>",
    `1:41: NOT_XML: "b:x" repeats "a:x": both prefixes have the same namespace
1 | <domain xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>
                                            ^^^`
  ],
  [
    '<!DOCTYPE domain [<!ENTITY a "b">]>\n<domain/>',
    `1:1: DOCTYPE: the file has a document type (<!DOCTYPE), which no domain needs
1 | <!DOCTYPE domain [<!ENTITY a "b">]>
    ^^^^^^^^^
hint: remove it: a document type can define entities that include other text or files`
  ],
  [
    '<?xml version="2.0"?><domain/>',
    `1:1: NOT_XML: this is XML 2.0, but libvirt reads only XML 1
1 | <?xml version="2.0"?><domain/>
    ^^^^^`
  ],
  [
    '\n<?xml version="1.0"?>\n<domain/>',
    `2:1: NOT_XML: the XML declaration is only allowed at the start of the file
2 | <?xml version="1.0"?>
    ^^^^^`
  ],
  [
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n<domain>ä</domain>',
    `1:31: ENCODING: the file declares the encoding ISO-8859-1 but was read as UTF-8
1 | <?xml version="1.0" encoding="ISO-8859-1"?>
                                  ^^^^^^^^^^
hint: convert it with iconv -f ISO-8859-1 -t UTF-8, and remove the encoding from its first line`
  ],
  [
    '<domain>\n<name>a\u0007b</name></domain>',
    `2:8: ENCODING: XML does not allow the character U+0007
2 | <name>a\\u{7}b</name></domain>
           ^^^^^
hint: remove it, or restore the file from a backup`
  ],
  [
    '<network><name>default</name></network>',
    `1:1: NOT_A_DOMAIN: this is a libvirt network, not a <domain>
1 | <network><name>default</name></network>
    ^^^^^^^^
hint: write the guest to a file: virsh dumpxml --inactive NAME > NAME.xml`
  ],
  [
    "<domstatus state='running'><domain/></domstatus>",
    `1:1: NOT_A_DOMAIN: this is the state of a running guest, not a <domain>
1 | <domstatus state='running'><domain/></domstatus>
    ^^^^^^^^^^
hint: write the guest to a file: virsh dumpxml --inactive NAME > NAME.xml`
  ]
])('rejects %j', (given, expected) => {
  expect(refusal(given)).toBe(expected)
})

test('rejects a file that is not UTF-8', () => {
  expect(refusal(Buffer.from('<domain>\n<name>ä</name></domain>', 'latin1'))).toBe(
    `2:7: ENCODING: this is not UTF-8 text
2 | <name>\ufffd</name></domain>
          ^
hint: convert it to UTF-8, for example with iconv`
  )
  expect(refusal(Buffer.from('\ufeff<domain/>', 'utf16le'))).toBe(
    `ENCODING: the file is UTF-16, not UTF-8
hint: convert it with iconv -f UTF-16 -t UTF-8, and remove the encoding from its first line`
  )
})

test('rejects a binary file', () => {
  expect(refusal(Buffer.from('\x7fELF\x02\x01\x01\0\0\xff', 'latin1'))).toBe(
    `ENCODING: this is a binary file, not text
hint: check that this is the right file`
  )
})

test('rejects a file that is too big, and elements that are nested too deep', () => {
  const big = Buffer.alloc(50 * 1024 * 1024, '<domain/>')
  expect(refusal(big)).toBe(
    `TOO_BIG: the size is 50.0 MB, but libvirt accepts at most 4 MB for a domain
hint: check that this is the right file`
  )
  const deep = `<domain>\n${'<a>'.repeat(256)}`
  expect(refusal(deep).split('\n')[0]).toBe(
    '2:766: NOT_XML: elements are nested more than 256 levels deep here'
  )
})
