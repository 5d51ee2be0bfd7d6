import { randomFrom } from './seeds.js'

/** One of these texts, changed in one to four places, mostly in few; the same for the same seed. */
export function mutatedXml(texts, seed) {
  const next = randomFrom(seed)
  const pick = list => list[Math.floor(next() * list.length)]
  let text = pick(texts)
  for (let left = 1 + Math.floor(next() * next() * 4); left > 0; left--) {
    text = pick(CHANGES)(text, () => Math.floor(next() * (text.length + 1)), pick, texts)
  }
  return text
}

const put = (text, at, what) => text.slice(0, at) + what + text.slice(at)
const cut = (text, from, to) => text.slice(0, Math.min(from, to)) + text.slice(Math.max(from, to))

const PIECES = [
  ...['<', '>', '/', '&', "'", '"', '=', ' ', '\n', '\t', '\r\n', '\r', ':', ';', '-', '--', ']]>'],
  ...[
    '&amp;',
    '&lt;',
    '&#10;',
    '&#x20;',
    '&#0;',
    '&#xD;',
    '&foo;',
    '&#1114112;',
    '&#x1F600;',
    '&amp'
  ],
  ...[
    '<!--',
    '-->',
    '<!-- note -->',
    '<![CDATA[',
    '<![CDATA[ a < b && c ]]>',
    '<?x y?>',
    '<?xml version="1.0"?>'
  ],
  ...[
    '<!DOCTYPE domain>',
    '<!DOCTYPE d [<!ENTITY a "b">]>',
    '</domain>',
    '<domain>',
    '<a/>',
    '</a>',
    '<a>'
  ],
  ...[
    'text',
    '  ',
    '${x}',
    "''",
    '\\',
    '\\n',
    '"${',
    "''${",
    '#',
    '/*',
    'ä',
    '😀',
    '\u00a0',
    '\ufeff',
    '\u0001',
    '\0'
  ],
  ...[
    ' a="1"',
    " type='x'",
    ' xmlns=""',
    ' xmlns:q="u"',
    ' q:a="1"',
    ' _text="1"',
    ' _x="1"',
    '<_text/>',
    '<_y>1</_y>'
  ],
  ...[
    '<q:a/>',
    '<name>x</name>',
    '<name/>',
    '<title> </title>',
    '<title>\n</title>',
    '<metadata><b/><a/></metadata>'
  ],
  ...[
    '<metadata>x <b>y</b> z</metadata>',
    '<model/>',
    "<serial a='1'>0x10</serial>",
    '<description>\n  a\n b\n</description>'
  ]
]

const CHANGES = [
  (text, at, pick) => put(text, at(), pick(PIECES)),
  (text, at, pick) => put(text, at(), pick(PIECES)),
  (text, at, pick) => {
    // Inserts a piece between two elements, where the text is more likely to remain XML.
    const from = text.indexOf('>\n', at())
    return from === -1 ? text : put(text, from + 1, pick(PIECES))
  },
  (text, at, pick) => {
    // Inserts a piece at the start of a text, or before the end of a tag.
    const from = text.indexOf('>', at())
    return from === -1 ? text : put(text, from + pick([0, 1]), pick(PIECES))
  },
  (text, at, pick) => {
    // Inserts a piece into a value.
    const from = text.indexOf("='", at())
    return from === -1 ? text : put(text, from + 2, pick(PIECES))
  },
  (text, at) => {
    const from = at()
    return cut(text, from, from + 1)
  },
  (text, at) => cut(text, at(), at()),
  (text, at) => text.slice(0, at()),
  (text, at) => {
    // Repeats a line.
    const from = text.lastIndexOf('\n', at()) + 1
    const to = text.indexOf('\n', from) + 1
    return to === 0 ? text : put(text, from, text.slice(from, to))
  },
  (text, at) => {
    // Deletes a line.
    const from = text.lastIndexOf('\n', at()) + 1
    const to = text.indexOf('\n', from) + 1
    return to === 0 ? text : cut(text, from, to)
  },
  (text, at) => {
    // Moves a line.
    const from = text.lastIndexOf('\n', at()) + 1
    const to = text.indexOf('\n', from) + 1
    if (to === 0) return text
    const rest = cut(text, from, to)
    return put(rest, rest.lastIndexOf('\n', at()) + 1, text.slice(from, to))
  },
  (text, at, pick, texts) => {
    // Inserts a piece of another text.
    const other = pick(texts)
    const from = other.indexOf('<', Math.floor(at() % other.length))
    return put(text, at(), other.slice(from, other.indexOf('\n', from)))
  },
  (text, at) => {
    const from = at()
    const code = text.charCodeAt(from)
    return Number.isNaN(code)
      ? text
      : put(cut(text, from, from + 1), from, String.fromCharCode(code ^ 1))
  },
  text => text.replaceAll('\n', '\r\n'),
  text => text.replace(/>\s+</g, '><'),
  text => text.replaceAll("'", '"')
]
