// Runs the examples of docs/toolkit.md, and checks that the guide is complete.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { NixDocument } from '../../src/nix/document.ts'
import * as toolkit from '../../src/nix/index.ts'

const guide = readFileSync(new URL('../../docs/toolkit.md', import.meta.url), 'utf8')
const errors = readFileSync(new URL('../../src/nix/errors.ts', import.meta.url), 'utf8')

interface Example {
  heading: string
  code: string
}

function examplesOf(markdown: string): Example[] {
  const found = markdown.matchAll(/^#+ (.*)$|^```ts\n([\s\S]*?)^```$/gm)
  let heading = ''
  return [...found].flatMap(([, title, code]) => {
    heading = title ?? heading
    return code === undefined ? [] : [{ heading, code }]
  })
}

/**
 * An example as a function body. The import takes from `toolkit`. Each `// =>` becomes a call of `check` with the
 * expression before it and the expected value, which is after it or in the comment lines below it.
 */
function runnable(code: string): string {
  const lines = code.trimEnd().split('\n')
  const written: string[] = []
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const imported = /^import (\{.*\}) from 'vfio-patch'$/.exec(line)
    const valued = /^(.*\S) \/\/ => (.*)$/.exec(line)
    if (imported) written.push(`const ${imported[1]} = toolkit`)
    else if (valued) written.push(`;check(${valued[1]}, ${valued[2]})`)
    else if (line === '// =>') {
      const shown: string[] = []
      while (lines[0]?.startsWith('//')) shown.push((lines.shift() ?? '').replace(/^\/\/ ?/, ''))
      const text = JSON.stringify(shown.join('\n'))
      written.push(`;check((${written.pop()}).trimEnd(), ${text})`)
    } else written.push(line)
  }
  return `'use strict'\n${written.join('\n')}`
}

/** Runs an example; returns how many values were compared. */
function run(code: string): number {
  let compared = 0
  const check = (actual: unknown, expected: unknown) => {
    expect(actual).toEqual(expected)
    compared++
  }
  new Function('toolkit', 'check', runnable(code))(toolkit, check)
  return compared
}

const examples = examplesOf(guide)

describe('the examples of the guide to the toolkit', () => {
  it.each(examples)('have the values that they show: $heading', ({ code }) => {
    expect(code.split('// =>').length - 1).toBeGreaterThan(0)
    expect(run(code)).toBe(code.split('// =>').length - 1)
  })

  it('fail if a value is wrong', () => {
    expect(() => run("'a' // => 'b'")).toThrow()
    expect(() => run("'a\\nb'\n// =>\n// a\n// c")).toThrow()
  })
})

describe('the guide to the toolkit', () => {
  const headings = guide.match(/^### .*$/gm)?.join('\n') ?? ''
  const exampled = new Set(examples.map(it => it.heading))

  it('docs/toolkit.md has a section with an example for each function', () => {
    const functions = Object.entries(toolkit).filter(([, it]) => typeof it === 'function')
    expect(functions.length).toBeGreaterThan(5)
    for (const [name] of functions) expect(headings).toContain(`### \`${name}(`)
    for (const heading of headings.split('\n')) expect(exampled).toContain(heading.slice(4))
  })

  it('docs/toolkit.md has a section for each member of a document and each method of a transaction', () => {
    const doc = toolkit.parseDocument('{ }')
    const methods = Object.getOwnPropertyNames(NixDocument.prototype)
    for (const name of [...Object.keys(doc), ...methods].filter(it => it !== 'constructor')) {
      expect(headings).toMatch(new RegExp(`\`doc\\.${name}[(\`]`))
    }
    const transaction = Object.getOwnPropertyNames(Object.getPrototypeOf(doc.edit()))
    for (const name of transaction.filter(it => it !== 'constructor')) {
      expect(headings).toContain(`### \`${name}(`)
    }
  })

  it('docs/toolkit.md explains each member of a plan and each code', () => {
    const plan = toolkit.parseDocument('{ }').edit().plan()
    for (const name of Object.keys(plan.ok ? plan.value : {})) {
      expect(guide).toMatch(new RegExp(`\`${name}[(\`]`))
    }
    const [union = ''] = /export type NixErrorCode =\n(?: {2}\| '[A-Z_]+'\n)+/.exec(errors) ?? []
    const codes = [...union.matchAll(/'([A-Z_]+)'/g)].map(it => it[1])
    expect(codes.length).toBeGreaterThan(10)
    expect([...guide.matchAll(/^\| `([A-Z_]+)`/gm)].map(it => it[1])).toEqual(codes)
  })
})
