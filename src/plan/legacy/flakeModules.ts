// Which modules a flake lists beside a configuration, as far as its text says it.

import { parseDocument, type Range, type SyntaxNode, visit } from '../../nix/index.ts'
import { resolved } from '../removal/uses.ts'

/** A module in a list that has the configuration in it, too. */
export interface ListedModule {
  source: string
  range: Range
  /** Where it leads, for a fixed path. */
  path: string | undefined
}

/** What the lists of a flake have besides this configuration; nothing where none names it by its path. */
export function listedBeside(
  flake: { path: string; text: string },
  configuration: string
): ListedModule[] {
  const doc = parseDocument(flake.text)
  const { text } = doc
  const found: ListedModule[] = []
  const asListed = (node: SyntaxNode): ListedModule => {
    const source = text.slice(node.start, node.end)
    const isPath = node.type === 'path_expression' && !source.includes('${')
    const { start, end } = node
    return {
      source,
      range: { start, end },
      path: isPath ? resolved(flake.path, source) : undefined
    }
  }
  visit(doc, node => {
    if (node.type !== 'list_expression') return undefined
    const items = node.children.filter(it => it.isNamed && it.type !== 'comment').map(asListed)
    const own = resolved('/', configuration)
    if (items.some(it => it.path === own)) found.push(...items.filter(it => it.path !== own))
    return undefined
  })
  return found
}

// Flakes and repositories that hand out copies of the modules that ours take the place of.
const HANDED_OUT = /\bnixos-vfio\b|\bcrtified\b/i

/** Whether an expression, as it is spelt, is a module of a flake that declares options of ours. */
export function isHandedOut(source: string): boolean {
  return HANDED_OUT.test(source) && /\b(?:nixosModules?|modules)\b/.test(source)
}
