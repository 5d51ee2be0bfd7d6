// grammar-tests/*.txt has the trees that the project relies on, in the corpus format of tree-sitter: the
// name of a case between two lines of =, a source, a line of -, and its syntax tree. The blank lines
// around the source are not part of it, so a source ends with a line break unless the second blank line
// is missing. crlf.txt, misread.txt, lenient.txt and errors.txt contain
// CR, BOM and other invisible characters.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { areAvailable } from '../support/needing.ts'
import { parsedByNix } from '../support/nix.ts'
import { bareTree, nodesOf, printTree } from './bareTree.ts'

type Case = { name: string; source: string; tree: string }
type Kind = { tree: 'clean' | 'error'; nix: 'accepts' | 'refuses' | 'depends' }

const require = createRequire(import.meta.url)

const FOLDER = fileURLToPath(new URL('../../grammar-tests/', import.meta.url))
const FILES = readdirSync(FOLDER)
  .filter(name => name.endsWith('.txt'))
  .sort()

/** The files whose cases Nix or the grammar rejects, or the grammar misreads. Both accept all others. */
const KINDS: Record<string, Kind> = {
  // Valid Nix that the grammar does not accept.
  'gaps.txt': { tree: 'error', nix: 'accepts' },
  // Pipe operators: an experimental feature of newer Nix.
  'pipes.txt': { tree: 'error', nix: 'depends' },
  // Valid Nix whose tree is wrong, without an error.
  'misread.txt': { tree: 'clean', nix: 'accepts' },
  // Not Nix, but the tree has no error.
  'lenient.txt': { tree: 'clean', nix: 'refuses' },
  // Not Nix, and the tree has an error.
  'errors.txt': { tree: 'error', nix: 'refuses' }
}

function kindOf(file: string): Kind {
  return KINDS[file] ?? { tree: 'clean', nix: 'accepts' }
}

function casesIn(file: string): Case[] {
  const text = readFileSync(FOLDER + file, 'utf8')
  const [, ...parts] = text.split(/^={80}\n(.+)\n={80}\n/m)
  return parts.flatMap((name, index) => {
    if (index % 2 === 1) return []
    const [source = '', tree = ''] = (parts[index + 1] ?? '').split(/^-{80}\n/m)
    return [{ name, source: source.slice(1, -1), tree }]
  })
}

/** The tree with one node or field per line, so that a difference is easy to read. */
function lines(tree: string): string {
  return tree
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/ (?=\w+: )|(?<!:) (?=\()/g, '\n')
}

describe.each(FILES)('%s', file => {
  const cases = casesIn(file)

  test('all cases have unique names', () => {
    const names = cases.map(({ name }) => name)

    expect(names).not.toEqual([])
    expect(names).toEqual([...new Set(names)])
  })

  test.each(cases.map(one => [one.name, one] as const))('%s', (_, { source, tree }) => {
    expect(lines(printTree(source))).toBe(lines(tree))
    expect(bareTree(source).hasError ? 'error' : 'clean').toBe(kindOf(file).tree)
  })
})

test('the files still contain their invisible characters', () => {
  const holding = (text: string) =>
    FILES.flatMap(file =>
      casesIn(file).flatMap(({ name, source }) => (source.includes(text) ? `${file}: ${name}` : []))
    )

  expect(holding('\r')).toEqual([
    ...casesIn('crlf.txt').map(({ name }) => `crlf.txt: ${name}`),
    'misread.txt: a lone CR in a comment: Nix ends the comment there',
    'misread.txt: a lone CR in a comment that is the last: Nix reads b',
    'misread.txt: a lone CR in a comment in a list: Nix reads three elements'
  ])
  expect(holding('\uFEFF')).toEqual([
    'errors.txt: character: a BOM in the middle',
    'lenient.txt: a BOM',
    'lenient.txt: a BOM before a comment'
  ])
  expect(holding('\u00A0')).toEqual(['errors.txt: character: a space that is not ASCII'])
  expect(holding('\f')).toEqual(['errors.txt: character: a form feed'])
})

test('the cases contain every node type and every field of the grammar', () => {
  type NodeType = { type: string; named: boolean; fields?: Record<string, unknown> }
  const grammar: NodeType[] = require('tree-sitter-nix/src/node-types.json')
  const trees = FILES.flatMap(casesIn)
    .map(({ tree }) => tree)
    .join('')

  const named = grammar.filter(({ type, named }) => named && !type.startsWith('_'))
  const fields = new Set(grammar.flatMap(({ fields }) => Object.keys(fields ?? {})))
  // The value of this field is always an anonymous node, and printed trees omit anonymous nodes.
  fields.delete('operator')

  expect(
    named.map(({ type }) => type).filter(type => !RegExp(`\\(${type}\\b`).test(trees))
  ).toEqual([])
  expect([...fields].filter(field => !trees.includes(` ${field}: `))).toEqual([])
})

describe('details that a printed tree does not show', () => {
  /** The texts of all nodes of a type, in order. */
  function texts(source: string, type: string): string[] {
    return nodesOf(bareTree(source), type).map(node => source.slice(node.start, node.end))
  }

  function operatorIn(source: string) {
    return bareTree(source).children[0]?.children.find(({ field }) => field === 'operator')
  }

  test.each('-> || && == != < <= > >= // + - * / ++'.split(' '))(
    'the operator of a %s b is an anonymous node in its field',
    operator => {
      expect(operatorIn(`a ${operator} b`)?.type).toBe(operator)
      expect(operatorIn(`a ${operator} b`)?.isNamed).toBe(false)
    }
  )

  test('the operators of unary expressions and of a ? b are nodes in their field', () => {
    expect(['!a', '-a', 'a ? b'].map(it => operatorIn(it)?.type)).toEqual(['!', '-', '?'])
  })

  test('offsets count UTF-16 units', () => {
    const [comment] = nodesOf(bareTree('"ä😀" # c'), 'comment')

    expect([comment?.start, comment?.end]).toEqual(['"ä😀" '.length, '"ä😀" # c'.length])
  })

  test('the root begins at its first token and ends at the end of the text', () => {
    const range = (source: string) => [bareTree(source).start, bareTree(source).end]

    expect(range('\n\n# c\n{ }\n\n')).toEqual([2, 11])
    expect(range('\uFEFF{ }')).toEqual([1, 4])
    expect(range('\n')).toEqual([1, 1])
  })

  test('a binding ends with its semicolon, a binding_set with its last binding', () => {
    const source = '{ # c\n  a = 1 ; # d\n  inherit b; # e\n  # f\n}'

    expect(texts(source, 'binding')).toEqual(['a = 1 ;'])
    expect(texts(source, 'inherit')).toContain('inherit b;')
    expect(texts(source, 'binding_set')).toEqual(['a = 1 ; # d\n  inherit b;'])
  })

  test('a missing token is empty and is placed before the whitespace', () => {
    const [missing] = nodesOf(bareTree('{ a = 1 }'), ';')

    expect([missing?.isMissing, missing?.start, missing?.end]).toEqual([true, 7, 7])
  })

  test('a line comment includes the CR of CRLF, and does not end at a lone CR', () => {
    expect(texts('# a\r\n/* b */\r\nc # d\r\n', 'comment')).toEqual(['# a\r', '/* b */', '# d\r'])
    expect(texts('{ # a\rb = 1;\n}', 'comment')).toEqual(['# a\rb = 1;'])
  })

  test('a string is divided into fragments, escapes and interpolations', () => {
    const source = '"a\\nb\\${c}\\\r\n$${d}${e}"'

    expect(texts(source, 'string_fragment')).toEqual(['a', 'b', '$', '{c}', '\n$${d}'])
    expect(texts(source, 'escape_sequence')).toEqual(['\\n', '\\\r'])
    expect(texts(source, 'dollar_escape')).toEqual(['\\'])
    expect(texts(source, 'interpolation')).toEqual(['${e}'])
  })

  test('an indented string is divided into fragments, escapes and interpolations', () => {
    const source = "''\n  a''\\nb''${c}''\\${d}'''e$''"

    expect(texts(source, 'string_fragment')).toEqual(['\n  a', 'b', '$', '{c}', '$', '{d}', 'e$'])
    expect(texts(source, 'escape_sequence')).toEqual(["''\\n", "'''"])
    expect(texts(source, 'dollar_escape')).toEqual(["''", "''\\"])
  })

  test('a path is divided into fragments at interpolations', () => {
    expect(texts('./a/${b}-c.nix', 'path_fragment')).toEqual(['./a/', '-c.nix'])
    expect(texts('[~/a <b/c>]', 'path_fragment')).toEqual(['~/a'])
    expect(texts('[./a.nix<nixpkgs>]', 'spath_expression')).toEqual(['<nixpkgs>'])
  })

  test('two slashes before a name are read as part of a path', () => {
    expect(texts('a //b', 'path_fragment')).toEqual(['//b'])
    expect(texts('a//b', 'path_fragment')).toEqual(['a//b'])
  })

  test('a name includes the hyphens and apostrophes after it', () => {
    expect(texts("a->b'-c", 'identifier')).toEqual(['a-', "b'-c"])
  })
})

describe('Nix itself', () => {
  const files = FILES.filter(file => kindOf(file).nix !== 'depends')

  test.skipIf(!areAvailable('the grammar', 'nix-instantiate')).for(files)(
    'accepts or refuses the cases of %s as KINDS says',
    file => {
      const cases = casesIn(file)
      // Names that are not defined are no syntax error: inside `with`, Nix looks them up later.
      const accepted = parsedByNix(cases.map(({ source }) => `with { }; ${source}`))
      const verdicts = accepted.map(it => (it ? 'accepts' : 'refuses'))

      expect(cases.map(({ name }, index) => `${verdicts[index]}: ${name}`)).toEqual(
        cases.map(({ name }) => `${kindOf(file).nix}: ${name}`)
      )
    }
  )
})
