// What is XML and what is none, in the words that people see.

import { expect, test } from 'vitest'
import { attributeOf, find, textContent } from '../../src/guests/xml/tree.ts'
import { documentOf, refusal } from './support/text.ts'

test.each([
  ['hex stays text', "<domain a='0x0000'/>", '0x0000'],
  ['leading zeros stay', "<domain a='007'/>", '007'],
  ['blanks stay', "<domain a=' x  y '/>", ' x  y '],
  ['line ends and tabs are blanks', "<domain a='x\r\ny\tz\nw'/>", 'x y z w'],
  ['but not where they are written as numbers', "<domain a='x&#10;y&#9;z&#13;'/>", 'x\ny\tz\r'],
  [
    'references count once',
    '<domain a="&amp;lt;&#38;#65;&lt;&#x41;&apos;&quot;"/>',
    '&lt;&#65;<A\'"'
  ],
  ['either quote may hold the other', `<domain a='"'/>`, '"'],
  ['characters beyond the first plane', '<domain a="😀&#x1F600;"/>', '😀😀'],
  ['names that JavaScript has too', "<domain constructor='x' a='1' __proto__='y'/>", '1']
])('values: %s', (_, given, value) => {
  expect(attributeOf(documentOf(given).root, 'a')).toBe(value)
})

test.each([
  ['as it stands', '<name> a  b </name>', ' a  b '],
  ['with every line end the same', '<name>a\r\nb\rc</name>', 'a\nb\nc'],
  ['with references', '<name>&lt;&amp;gt;&#xd;</name>', '<&gt;\r'],
  ['with CDATA', '<name>a<![CDATA[<b>&amp;]]>c</name>', 'a<b>&amp;c'],
  ['through comments', '<name>win<!-- 1 -->10</name>', 'win10'],
  ['through instructions', '<name>win<?x <y> ?>10</name>', 'win10'],
  ['with a byte that looks like a number', '<name>1e3</name>', '1e3']
])('texts: %s', (_, given, value) => {
  const name = find(documentOf(`<domain>${given}</domain>`).root, 'name')
  expect(name && textContent(name)).toBe(value)
})

test('comments are kept, inside and outside', () => {
  const { before, after, root } = documentOf('<!--a--><domain><!-- b --></domain>\n<!-- c -->')
  expect({ before, after, children: root.children }).toEqual({
    before: ['a'],
    after: [' c '],
    children: [{ kind: 'comment', text: ' b ' }]
  })
})

test('a declaration and a byte order mark are no part of it', () => {
  const given = '\ufeff<?xml version="1.0" encoding="utf-8" standalone="no"?>\n<domain/>\n'
  expect(documentOf(given).root.name).toBe('domain')
})

test.each([
  [
    '<domain>\n  <name>a</nam>\n</domain>',
    `2:10: NOT_XML: </nam> does not belong to <name>
2 |   <name>a</nam>
             ^^^^^^
hint: <name> of line 2 ends first: </name>`
  ],
  [
    '<domain>\n  <name>a\n</domain>',
    `3:1: NOT_XML: </domain> does not belong to <name>
3 | </domain>
    ^^^^^^^^^
hint: <name> of line 2 ends first: </name>`
  ],
  [
    '<domain>\n  <devices>\n',
    `2:3: NOT_XML: <devices> does not end
2 |   <devices>
      ^^^^^^^^
hint: </devices> is missing; perhaps the file is cut off`
  ],
  [
    '<domain type="kvm"',
    `1:1: NOT_XML: the tag <domain> does not end
1 | <domain type="kvm"
    ^^^^^^^
hint: a ">" or "/>" is missing`
  ],
  [
    '<domain type=kvm/>',
    `1:14: NOT_XML: the value of "type" needs quotes around it
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
    `1:14: NOT_XML: a blank is missing before "b"
1 | <domain a="1"b="2"/>
                 ^`
  ],
  [
    '<domain type="kvm" type="qemu"/>',
    `1:20: NOT_XML: the attribute "type" stands here twice
1 | <domain type="kvm" type="qemu"/>
                       ^^^^
hint: keep one`
  ],
  [
    '<domain a="1 < 2"/>',
    `1:14: NOT_XML: "<" must not stand in a value
1 | <domain a="1 < 2"/>
                 ^
hint: write &lt;`
  ],
  [
    "<domain type='kvm>\n  <name>x</name>\n</domain>",
    `1:14: NOT_XML: the quote that ends the value of "type" is missing
1 | <domain type='kvm>
                 ^`
  ],
  [
    '<domain><name>Tom & Jerry</name></domain>',
    `1:19: NOT_XML: "&" begins no reference here
1 | <domain><name>Tom & Jerry</name></domain>
                      ^
hint: an "&" in a text is written &amp;`
  ],
  [
    '<domain><name>&uuml;</name></domain>',
    `1:15: NOT_XML: nothing says what &uuml; stands for
1 | <domain><name>&uuml;</name></domain>
                  ^^^^^^
hint: XML has &lt; &gt; &amp; &apos; &quot; and numbers like &#233;`
  ],
  [
    '<domain a="\r\n&#0;"/>',
    `2:1: NOT_XML: &#0; stands for a character that XML does not have
2 | &#0;"/>
    ^^^^
hint: take it out`
  ],
  [
    '<domain>&#65</domain>',
    `1:9: NOT_XML: ";" is missing behind &#65
1 | <domain>&#65</domain>
            ^^^^
hint: write &#65;`
  ],
  [
    '<domain>a ]]> b</domain>',
    `1:11: NOT_XML: "]]>" must not stand in a text
1 | <domain>a ]]> b</domain>
              ^^^`
  ],
  [
    '<domain>\n<!-- was: --device x -->\n</domain>',
    `2:11: NOT_XML: "--" must not stand in a comment
2 | <!-- was: --device x -->
              ^^
hint: write "- -"`
  ],
  [
    '<domain><!-- x </domain>',
    `1:9: NOT_XML: this comment does not end
1 | <domain><!-- x </domain>
            ^^^^
hint: end it with -->`
  ],
  [
    '<domain/>\n<domain/>',
    `2:1: NOT_XML: there is a second element behind the end of the domain
2 | <domain/>
    ^^^^^^^
hint: a file holds one domain`
  ],
  [
    '<domain/>\nDomain win10 defined',
    `2:1: NOT_XML: there is more behind the end of the domain
2 | Domain win10 defined
    ^
hint: take it out`
  ],
  [
    'error: no domain',
    `1:1: NOT_XML: this is not XML, which begins with "<"
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
    `1:1: NOT_XML: </domain> ends nothing: no element is open here
1 | </domain>
    ^^^^^^^^^`
  ],
  [
    '<domain>1 < 2</domain>',
    `1:11: NOT_XML: "<" begins no element here
1 | <domain>1 < 2</domain>
              ^
hint: a "<" in a text is written &lt;`
  ],
  [
    '<domain>\n  <qemu:commandline/>\n</domain>',
    `2:4: NOT_XML: nothing says what the prefix "qemu" stands for
2 |   <qemu:commandline/>
       ^^^^^^^^^^^^^^^^
hint: write <domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' …>`
  ],
  [
    "<domain x:a='1'/>",
    `1:9: NOT_XML: nothing says what the prefix "x" stands for
1 | <domain x:a='1'/>
            ^^^`
  ],
  [
    "<domain xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>",
    `1:41: NOT_XML: "b:x" is the same attribute as "a:x"
1 | <domain xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>
                                            ^^^`
  ],
  [
    '<!DOCTYPE domain [<!ENTITY a "b">]>\n<domain/>',
    `1:1: DOCTYPE: the file has a document type (<!DOCTYPE), which no domain needs
1 | <!DOCTYPE domain [<!ENTITY a "b">]>
    ^^^^^^^^^
hint: take it out: it can define words that stand for other text or files`
  ],
  [
    '<?xml version="1.1"?><domain/>',
    `1:1: NOT_XML: this is XML 1.1, and libvirt reads 1.0
1 | <?xml version="1.1"?><domain/>
    ^^^^^`
  ],
  [
    '\n<?xml version="1.0"?>\n<domain/>',
    `2:1: NOT_XML: the XML declaration stands at the beginning or not at all
2 | <?xml version="1.0"?>
    ^^^^^`
  ],
  [
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n<domain>ä</domain>',
    `1:31: ENCODING: the file says that it is ISO-8859-1, and was read as UTF-8
1 | <?xml version="1.0" encoding="ISO-8859-1"?>
                                  ^^^^^^^^^^
hint: convert it: iconv -f ISO-8859-1 -t UTF-8; and take the encoding out of its first line`
  ],
  [
    '<domain>\n<name>a\u0007b</name></domain>',
    `2:8: ENCODING: the character U+0007 can not stand in XML
2 | <name>a\\u{7}b</name></domain>
           ^^^^^
hint: take it out, or restore the file from a copy`
  ],
  [
    '<network><name>default</name></network>',
    `1:1: NOT_A_DOMAIN: this is a network of libvirt, not a <domain>
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
])('refused: %j', (given, expected) => {
  expect(refusal(given)).toBe(expected)
})

test('refused: what is not UTF-8', () => {
  expect(refusal(Buffer.from('<domain>\n<name>ä</name></domain>', 'latin1'))).toBe(
    `2:7: ENCODING: this is not UTF-8 text
2 | <name>\ufffd</name></domain>
          ^
hint: convert it to UTF-8, for example with iconv`
  )
  expect(refusal(Buffer.from('\ufeff<domain/>', 'utf16le'))).toBe(
    `ENCODING: this is UTF-16, not UTF-8
hint: convert it: iconv -f UTF-16 -t UTF-8; and take the encoding out of its first line`
  )
})

test('refused: what is no text at all', () => {
  expect(refusal(Buffer.from('\x7fELF\x02\x01\x01\0\0\xff', 'latin1'))).toBe(
    `ENCODING: this is no text, but the data of a program, an image or the like
hint: see whether it is the right file`
  )
})

test('refused: what is too big, and what is nested too deep', () => {
  const big = Buffer.alloc(50 * 1024 * 1024, '<domain/>')
  expect(refusal(big)).toBe(
    `TOO_BIG: it has 50.0 MB, and libvirt takes at most 4 MB for a domain
hint: see whether it is the right file`
  )
  const deep = `<domain>\n${'<a>'.repeat(256)}`
  expect(refusal(deep).split('\n')[0]).toBe(
    '2:766: NOT_XML: elements are nested more than 256 deep here'
  )
})
