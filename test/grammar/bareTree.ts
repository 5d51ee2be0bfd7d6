import { createRequire } from 'node:module'

/** A node of the tree that the grammar alone produces, without the workarounds of the parser. */
export interface BareNode {
  type: string
  start: number
  end: number
  isNamed: boolean
  isMissing: boolean
  hasError: boolean
  field: string
  children: BareNode[]
}

interface Parsed {
  tree: object
  nodes: Int32Array
}

const addon = createRequire(import.meta.url)(
  `../../prebuilds/${process.platform}-${process.arch}/nix-parser.node`
) as {
  parse(text: string, timeout: number): Parsed
  expand(tree: object, start: number, end: number): Int32Array
  print(tree: object): string
  symbols: string[]
  fields: string[]
}

export function bareTree(text: string): BareNode {
  return read(addon.parse(text, 10_000), 0)
}

/** The tree in the notation of tree-sitter's tests. */
export function printTree(text: string): string {
  return addon.print(addon.parse(text, 10_000).tree)
}

/** All nodes of a type, in source order. */
export function nodesOf(node: BareNode, type: string): BareNode[] {
  const own = node.type === type ? [node] : []
  return [...own, ...node.children.flatMap(it => nodesOf(it, type))]
}

function read({ tree, nodes }: Parsed, at: number, field?: number): BareNode {
  const [head = 0, start = 0, end = 0, records = 0, , ownField = 0] = nodes.subarray(at)
  const flags = head >> 16
  if ((flags & 16) !== 0) {
    return read({ tree, nodes: addon.expand(tree, start, end) }, 0, ownField)
  }
  const children: BareNode[] = []
  for (let next = at + 7; next < at + records * 7; next += (nodes[next + 3] ?? 1) * 7) {
    children.push(read({ tree, nodes }, next))
  }
  return {
    type: addon.symbols[head & 0xffff] ?? '',
    start,
    end,
    isNamed: (flags & 1) !== 0,
    isMissing: (flags & 2) !== 0,
    hasError: (flags & 8) !== 0,
    field: addon.fields[field ?? ownField] ?? '',
    children
  }
}
