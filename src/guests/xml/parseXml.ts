// Builds the tree of a document. Only this file uses fast-xml-parser.

import { createRequire } from 'node:module'
import type { XMLParser } from 'fast-xml-parser'
import { decodeText } from './references.ts'
import type { XmlDocument, XmlElement, XmlNode } from './tree.ts'

// Keys of the parser's output: the name of an element or attribute after a prefix that no name can start with.
// So an element called `__proto__` or `constructor` is an ordinary key, and no element is mistaken for text.
const ELEMENT = '<'
const ATTRIBUTE = '@'
const [TEXT, CDATA, COMMENT, ATTRIBUTES] = ['#text', '#cdata', '#comment', ':@'] as const

/** A node of the parser's output: the content is under its name, the attributes are under `ATTRIBUTES`. */
type Parsed = { [name: string]: Parsed[] | string | Record<string, string> }

interface Parser {
  parse(text: string): Parsed[]
  /** The offset of an element. */
  startOf(node: Parsed): number | undefined
}

let parser: Parser | undefined

/** Loads fast-xml-parser. Called only when it is needed, because most runs do not need it. */
function loadParser(): Parser {
  const library = createRequire(import.meta.url)('fast-xml-parser') as {
    XMLParser: typeof XMLParser
  }
  const xmlParser = new library.XMLParser({
    preserveOrder: true,
    captureMetaData: true,
    maxNestedTags: Number.POSITIVE_INFINITY,
    jPath: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    trimValues: false,
    parseTagValue: false,
    processEntities: false,
    ignoreAttributes: false,
    attributeNamePrefix: ATTRIBUTE,
    textNodeName: TEXT,
    cdataPropName: CDATA,
    commentPropName: COMMENT,
    // The parser calls this twice for the name of an empty element.
    transformTagName: name => (name.startsWith(ELEMENT) ? name : ELEMENT + name)
  })
  const metadata = library.XMLParser.getMetaDataSymbol() as unknown as string
  return {
    parse: text => xmlParser.parse(text),
    startOf: node => (node[metadata] as unknown as { startIndex?: number } | undefined)?.startIndex
  }
}

/**
 * Parses a text that `checkXml` accepts; `instructions` are the offsets that `checkXml` returned. Comments are
 * kept, references are replaced, and processing instructions are left out.
 */
export function parseXml(text: string, instructions: readonly number[]): XmlDocument {
  parser ??= loadParser()
  const nodes = parser.parse(withoutQuotes(text, instructions))
  const top = nodes.flatMap(it => nodeOf(it, parser as Parser))
  const at = top.findIndex(it => it.kind === 'element')
  const comments = (all: readonly XmlNode[]) =>
    all.flatMap(it => (it.kind === 'comment' ? [it.text] : []))
  return {
    root: top[at] as XmlElement,
    before: comments(top.slice(0, at)),
    after: comments(top.slice(at + 1)),
    instructions
  }
}

/** Masks quotes in processing instructions, because the parser would mistake them for the start of a value. */
function withoutQuotes(text: string, instructions: readonly number[]): string {
  const parts: string[] = []
  let end = 0
  for (const start of instructions) {
    parts.push(text.slice(end, start))
    end = text.indexOf('?>', start)
    parts.push(text.slice(start, end).replace(/['"]/g, '_'))
  }
  return parts.join('') + text.slice(end)
}

/** Converts a node of the parser's output to a node of the tree; an empty text has none. */
function nodeOf(node: Parsed, parser: Parser): XmlNode[] {
  const [name = '', content = []] = Object.entries(node).find(([key]) => key !== ATTRIBUTES) ?? []
  if (name === TEXT) return textNode(decoded(String(content), 'text'))
  const children = content as Parsed[]
  if (name === CDATA) return textNode(rawText(children))
  if (name === COMMENT) return [{ kind: 'comment', text: rawText(children) }]
  const start = parser.startOf(node)
  return [
    {
      kind: 'element',
      name: name.slice(ELEMENT.length),
      attributes: Object.entries(node[ATTRIBUTES] ?? {}).map(([key, value]) => ({
        name: key.slice(ATTRIBUTE.length),
        value: decoded(value, 'value')
      })),
      children: children.flatMap(it => nodeOf(it, parser)),
      ...(start === undefined ? {} : { start })
    }
  ]
}

function textNode(text: string): XmlNode[] {
  return text === '' ? [] : [{ kind: 'text', text }]
}

/** The content of a comment or a CDATA section. */
function rawText([only]: readonly Parsed[]): string {
  return String(only?.[TEXT] ?? '')
}

function decoded(source: string, kind: 'text' | 'value'): string {
  const result = decodeText(source, kind)
  if (!result.ok) throw new Error(result.error.message)
  return result.value
}
