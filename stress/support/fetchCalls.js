// Calls of fetchers: where their revision and hash are, and other ones for them.
import { applyEdits, BREAK, SKIP, visit } from '../../dist/nix/index.js'

const REVISIONS = ['rev', 'tag']
const HASHES = ['hash', 'sha256']
const SHA1 = /^[0-9a-f]{40}$/

/**
 * The calls of the functions with these names (`pkgs.fetchgit` too) in a document whose argument is a set
 * with a literal string for a revision, a URL or a hash, and new ones for all of them.
 */
export function fetchCallsOf(doc, names) {
  const calls = []
  visit(doc, (node, ancestors) => {
    if (node.type !== 'apply_expression') return undefined
    const name = node.field('function')?.text.split('.').at(-1) ?? ''
    const set = node.field('argument')
    if (names?.includes(name) === false || !/^(?:rec_)?attrset_expression$/.test(set?.type ?? ''))
      return undefined
    const revision = literalNamed(set, REVISIONS) ?? literalNamed(set, ['url'])
    const hash = literalNamed(set, HASHES)
    const replacements = [
      ...(revision ? [{ ...revision, to: otherRevision(revision.is) }] : []),
      ...(hash ? [{ ...hash, to: otherHash(hash.is) }] : [])
    ].sort((a, b) => a.node.start - b.node.start)
    if (replacements.length === 0) return undefined
    const bumped = applyEdits(
      doc.text,
      replacements.map(({ node: { start, end }, to }) => ({
        offset: start,
        length: end - start,
        content: JSON.stringify(to)
      }))
    )
    calls.push({ name, set, path: namesOf(ancestors), replacements, bumped })
    return undefined
  })
  return calls
}

/** The first of the attributes whose value is a string without interpolations and escapes. */
function literalNamed(set, names) {
  const bindings = set.children.find(it => it.type === 'binding_set')?.children ?? []
  for (const name of names) {
    const found = bindings.find(it => it.field('attrpath')?.text === name)
    const node = found?.field('expression')
    if (node && /^"[^"\\$]*"$/.test(node.text)) return { name, node, is: node.text.slice(1, -1) }
  }
  return undefined
}

/** The names of the bindings in a list of nodes, as they are written. */
export function namesOf(nodes) {
  return nodes
    .filter(it => it.type === 'binding')
    .flatMap(it => it.field('attrpath')?.children ?? [])
    .filter(it => it.isNamed)
    .map(it => it.text)
}

function otherRevision(is) {
  return SHA1.test(is) ? '0123456789abcdef0123456789abcdef01234567' : `${is}.1`
}

function otherHash(is) {
  return is.startsWith('sha256-') ? `sha256-${'A'.repeat(43)}=` : '0'.repeat(52)
}

/** The plan of the new revision and hash; undefined if the library has no way to edit a call. */
export function bumped(doc, { set, replacements }) {
  if (typeof doc.at !== 'function') return undefined
  const edit = doc.edit({ in: sameIn(doc, set) })
  for (const { name, to } of replacements) edit.setIn(name, to)
  return edit.plan()
}

/** The node of this document that is like a node of another document of the same text. */
function sameIn(doc, { type, start, end }) {
  let found
  visit(doc, node => {
    if (node.end <= start || node.start >= end) return SKIP
    if (node.type !== type || node.start !== start || node.end !== end) return undefined
    found = node
    return BREAK
  })
  return found
}
