// Builds the tree of a document. Only this file knows fast-xml-parser.

import { createRequire } from 'node:module'
import type { XMLParser } from 'fast-xml-parser'
import { decodeText } from './references.ts'
import type { XmlDocument, XmlElement, XmlNode } from './tree.ts'

// The names of elements and attributes get a prefix that no name can start with. So an element that is called
// `__proto__` or `constructor` is a key like any other, and none is taken for text or a comment.
const ELEMENT = '<'
const ATTRIBUTE = '@'
const [TEXT, CDATA, COMMENT, ATTRIBUTES] = ['#text', '#cdata', '#comment', ':@'] as const

/** A node as the parser returns it: its content is under its name, its attributes are under `ATTRIBUTES`. */
type Parsed = { [name: string]: Parsed[] | string | Record<string, string> }

interface Parser {
  parse(text: string): Parsed[]
  /** The offset of an element. */
  startOf(node: Parsed): number | undefined
}

let parser: Parser | undefined

/** Loads the parser at its first use: most runs do not need it. */
function loadParser(): Parser {
  const library = createRequire(import.meta.url)('fast-xml-parser') as {
    XMLParser: typeof XMLParser
  }
  const made = new library.XMLParser({
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
    parse: text => made.parse(text),
    startOf: node => (node[metadata] as unknown as { startIndex?: number } | undefined)?.startIndex
  }
}

/**
 * The document in a text that has passed `checkXml`, which returned `instructions`. Comments are kept,
 * references are replaced, processing instructions are left out. The `start` of an element is an offset in the
 * text.
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

/** Masks quotes in processing instructions, as the parser would take them for the start of a value. */
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

/** The node of the tree for a parsed node; none for an empty text. */
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
